"""The overrides in force or pending, and what each of them applies to on this node."""

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
from dnslb_backend.slices import in_slices

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
    rows = [
        ListedOverrideRow(
            **override_row(override, wall).model_dump(),
            affects=await _affected(override, control.health_map),
        )
        async for override in in_slices(control.overrides())
    ]
    return json_bytes(await render_with_rows(head, overrides=rows))


async def _affected(override: Override, health: HealthMap) -> AffectedMembers:
    """The members whose health or service this override decides; it may be about all of them."""
    records = members = 0
    first: list[tuple[str, list[str]]] = []
    async for key in in_slices(health.covered([override])):
        # A reload may come in between.
        rows = health.records[key].rows if key in health.records else ()
        found = [r.member.content for r in rows if override in (r.override, r.weighting)]
        if found:
            records += 1
            members += len(found)
            first.append((str(key), found))
        if len(first) == 2 * MANY:
            first = sorted(first)[:MANY]
    named = (f"{name} {content}" for name, contents in sorted(first) for content in contents)
    return AffectedMembers(records=records, members=members, first=tuple(islice(named, MANY)))
