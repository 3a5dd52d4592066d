"""Trials: the checks of a name, run now because somebody wants to see them."""

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.document import Document
from dnslb_backend.admin.endpoint import STATE
from dnslb_backend.admin.intake import read_body
from dnslb_backend.admin.naming import NAME_LIMIT, QueryType
from dnslb_backend.admin.problems import wrong
from dnslb_backend.admin.replies import json_bytes
from dnslb_backend.admin.slices import render_rows
from dnslb_backend.core.health import Health
from dnslb_backend.core.results import Outcome
from dnslb_backend.core.trials import Trial
from dnslb_backend.errors import NameFormatError


class ProbeRequest(Document):
    """Whose checks to run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(
        min_length=1, max_length=NAME_LIMIT, description="absolute, or relative to its zone"
    )
    type: QueryType = Field(default="ANY", description="of the balanced record; ANY: all types")


class TrialRow(Document):
    """One probe: what was asked, what came back, and what that would do to the target."""

    zone: str
    name: str
    type: str
    contents: tuple[str, ...] = Field(description="the members that this target counts for")
    address: str
    asked: str
    outcome: Outcome
    code: int
    text: str
    priority: int | None = Field(description="as the answer said; null: the configured one")
    weight: int | None = Field(description="as the answer said; null: the configured one")
    duration_ms: float
    health: Health = Field(description="of the target now")
    would_be: Health = Field(description="its health if this had counted")
    streak: int = Field(description="results in a row that would then speak against its health")


class ProbeReport(Document):
    """A row for each target."""

    probes: tuple[TrialRow, ...]


async def run_probes(request: web.Request) -> web.Response:
    asked = await read_body(request, ProbeRequest)
    try:
        trials = await request.app[STATE].control.probe(asked.name, asked.type.upper())
    except NameFormatError as error:
        raise wrong("name", str(error)) from error
    return json_bytes(b'{"probes":[%s]}' % await render_rows(map(trial_row, trials)))


def trial_row(trial: Trial) -> TrialRow:
    result = trial.result
    return TrialRow(
        zone=trial.key.zone,
        name=trial.key.name,
        type=trial.key.type,
        contents=trial.contents,
        address=trial.address,
        asked=trial.asked,
        outcome=result.outcome,
        code=result.code,
        text=result.text,
        priority=result.priority,
        weight=result.weight,
        duration_ms=round(result.duration * 1000, 3),
        health=trial.before,
        would_be=trial.after,
        streak=trial.streak,
    )
