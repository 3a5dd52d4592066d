"""History: transitions as the stores have them, newest first."""

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.event_stream import TransitionRow, transition_row
from dnslb_backend.admin.http.names import Name, resolve_record_name
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.admin.http.timestamps import GivenTimestamp, Timestamp, render_timestamp
from dnslb_backend.core.health.history import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    HistoryQuery,
    StoredTransition,
)

LARGEST_ID = 2**63 - 1
LONGEST = 1000 * 366 * 86400.0


class HistoryQueryText(ApiModel):
    """Which transitions."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(
        default="",
        description="only this record; with a final dot also one that is no longer configured; "
        "empty: all",
    )
    since: GivenTimestamp | None = None
    until: GivenTimestamp | None = Field(default=None, description="exclusive")
    within: float | None = Field(
        default=None,
        gt=0,
        le=LONGEST,
        allow_inf_nan=False,
        description="the last so many seconds by this node's clock; instead of since",
    )
    node: str = Field(default="", max_length=255, description="only of this node; empty: all")
    label: str = Field(
        default="", max_length=1024, description="only of members with this label; empty: all"
    )
    before: int | None = Field(
        default=None, ge=1, le=LARGEST_ID, description="older than the one with this id"
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


class HistoryRow(TransitionRow):
    """A transition, its node, and its number in the store that was asked."""

    id: int
    node: str


class HistoryReport(ApiModel):
    """Transitions, newest first."""

    source: str = Field(description="the store that was asked: local, mariadb")
    time: Timestamp = Field(description="when it was asked")
    before: int | None = Field(description="for the next page; null: this is the last")
    events: tuple[HistoryRow, ...]


async def show_history(request: web.Request) -> web.Response:
    asked = read_query(request, HistoryQueryText)
    control = request.app[STATE].control
    wall = control.now().wall
    if asked.since is not None and asked.within is not None:
        raise field_problem("since", "cannot be combined with within")
    since = asked.since.timestamp() if asked.since is not None else None
    query = HistoryQuery(
        name=await resolve_record_name(control, asked.name, "name") if asked.name else None,
        since=wall - asked.within if asked.within is not None else since,
        until=asked.until.timestamp() if asked.until is not None else None,
        node=asked.node or None,
        label=asked.label or None,
        before=asked.before,
        limit=asked.limit,
    )
    events, source = await control.history(query)
    before = events[-1].id if len(events) >= asked.limit else None
    head = HistoryReport(source=source, time=render_timestamp(wall), before=before, events=())
    return json_bytes(await render_with_rows(head, events=map(history_row, events)))


def history_row(event: StoredTransition) -> HistoryRow:
    row = transition_row(event.transition)
    return HistoryRow(id=event.id, node=event.node, **row.model_dump())
