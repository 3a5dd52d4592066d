"""Probes on demand: the checks of a name, run now."""

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.names import NAME_LIMIT, QueryType, resolve_record_name
from dnslb_backend.admin.http.requests import read_body
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.health.results import Outcome
from dnslb_backend.core.health.target import Health


class ProbeRequest(ApiModel):
    """Whose checks to run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(
        min_length=1, max_length=NAME_LIMIT, description="absolute, or relative to its zone"
    )
    type: QueryType = Field(default="ANY", description="of the balanced record; ANY: all types")


class ProbeRow(ApiModel):
    """One probe: its request, its result, and what that would do to the target."""

    zone: str
    name: str
    type: str
    contents: tuple[str, ...] = Field(description="the members that this target counts for")
    address: str
    asked: str
    outcome: Outcome
    code: int
    text: str
    priority: int | None = Field(description="as the check reported it; null: the configured one")
    weight: int | None = Field(description="as the check reported it; null: the configured one")
    duration_ms: float
    health: Health = Field(description="of the target now")
    would_be: Health = Field(description="its health if this had counted")
    streak: int = Field(description="results in a row against its health, with this one")
    probers: tuple[str, ...] | None = Field(
        description="nodes that probe it on schedule; null: all nodes do"
    )


class ProbeResponse(ApiModel):
    """A row for each target."""

    probes: tuple[ProbeRow, ...]


async def run_probes(request: web.Request) -> web.Response:
    asked = await read_body(request, ProbeRequest)
    control = request.app[STATE].control
    name = await resolve_record_name(control, asked.name, "name")
    reports = await control.probe(name, asked.type)
    body = await render_with_rows(ProbeResponse(probes=()), probes=map(probe_row, reports))
    return json_bytes(body)


def probe_row(report: ProbeReport) -> ProbeRow:
    result = report.result
    return ProbeRow(
        zone=report.key.zone,
        name=report.key.name,
        type=report.key.type,
        contents=report.contents,
        address=report.address,
        asked=report.check,
        outcome=result.outcome,
        code=result.code,
        text=result.text,
        priority=result.priority,
        weight=result.weight,
        duration_ms=round(result.duration * 1000, 3),
        health=report.before,
        would_be=report.after,
        streak=report.streak,
        probers=report.probers,
    )
