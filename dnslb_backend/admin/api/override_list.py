"""The overrides in force or pending, and what each of them applies to on this node."""

from collections.abc import Iterator
from itertools import islice

from aiohttp import web
from pydantic import Field

from dnslb_backend.admin.api.rows import OverrideRow, override_row
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.admin.http.timestamps import Timestamp, render_timestamp
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Override

MANY = 20
"""Members named for one override; the count goes on."""


class AffectedMembers(ApiModel):
    """What an override applies to now: a more specific or newer one may take its place."""

    records: int
    members: int
    first: tuple[str, ...] = Field(description="`name/type content` of the first members")


class ListedOverrideRow(OverrideRow):
    """An override in force or pending."""

    affects: AffectedMembers = Field(description="on this node")


class OverridesReport(ApiModel):
    """The overrides in force or pending on any node, oldest first."""

    node: str = Field(description="this node")
    time: Timestamp
    overrides: tuple[ListedOverrideRow, ...]


async def show_overrides(request: web.Request) -> web.Response:
    control = request.app[STATE].control
    wall = control.now().wall
    head = OverridesReport(node=control.node, time=render_timestamp(wall), overrides=())
    health = control.health_map
    rows = (_listed_row(override, health, wall) for override in control.overrides())
    return json_bytes(await render_with_rows(head, overrides=rows))


def _listed_row(override: Override, health: HealthMap, wall: float) -> ListedOverrideRow:
    affected = list(_affected(override, health))
    return ListedOverrideRow(
        **override_row(override, wall).model_dump(),
        affects=AffectedMembers(
            records=len({record for record, _ in affected}),
            members=len(affected),
            first=tuple(islice((f"{record} {content}" for record, content in affected), MANY)),
        ),
    )


def _affected(override: Override, health: HealthMap) -> Iterator[tuple[str, str]]:
    """Record and content of every member whose health or service this override decides."""
    for key in sorted(health.covered([override])):
        for row in health.records[key].rows:
            if override in (row.override, row.weighting):
                yield str(key), row.member.content
