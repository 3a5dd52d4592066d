"""History: changes of members and of decisions as the stores have them, newest first."""

from typing import Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.event_stream import (
    DecisionRow,
    TransitionRow,
    decision_row,
    transition_row,
)
from dnslb_backend.admin.http.names import Name, resolve_record_name
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import json_bytes, render_with_rows
from dnslb_backend.admin.http.timestamps import GivenTimestamp, Timestamp, render_timestamp
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.history import (
    DEFAULT_LIMIT,
    LARGEST_ID,
    MAX_LIMIT,
    ChangeKind,
    HistoryQuery,
    Position,
    StoredChange,
    position_after,
)

LONGEST = 1000 * 366 * 86400.0


class HistoryQueryText(ApiModel):
    """Which changes."""

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
        default="",
        max_length=1024,
        description="only of members with this label; empty: all, and decisions",
    )
    event: Literal["", "transition", "decision"] = Field(
        default="", description="only these; empty: both"
    )
    before: str = Field(
        default="",
        pattern=r"^(?:[1-9]\d{0,18}-[1-9]\d{0,18})?$",
        description="from here on, as in the page before; empty: from the newest on",
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


class HistoryTransition(TransitionRow):
    """A transition, its node, and its number in the store that was asked."""

    event: Literal[ChangeKind.TRANSITION] = ChangeKind.TRANSITION
    id: int
    node: str


class HistoryDecision(DecisionRow):
    """A change of a decision, its node, and its number in the store that was asked."""

    event: Literal[ChangeKind.DECISION] = ChangeKind.DECISION
    id: int
    node: str


HistoryRow = HistoryTransition | HistoryDecision


class HistoryReport(ApiModel):
    """Changes, newest first."""

    source: str = Field(description="the store that was asked: local, mariadb")
    time: Timestamp = Field(description="when it was asked")
    before: str | None = Field(description="for the next page; null: this is the last")
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
        before=_position(asked.before),
        limit=asked.limit,
        kind=ChangeKind(asked.event) if asked.event else None,
    )
    events, source = await control.history(query)
    end = position_after(events, query.before)
    before = f"{end.transition}-{end.decision}" if len(events) >= asked.limit else None
    head = HistoryReport(source=source, time=render_timestamp(wall), before=before, events=())
    return json_bytes(await render_with_rows(head, events=map(history_row, events)))


def _position(text: str) -> Position:
    return Position(*(min(int(number), LARGEST_ID) for number in text.split("-") if number))


def history_row(stored: StoredChange) -> HistoryRow:
    head = {"id": stored.id, "node": stored.node}
    if isinstance(stored.change, DecisionChange):
        row = decision_row(stored.change)
        return HistoryDecision.model_validate(row.model_dump(by_alias=True) | head)
    return HistoryTransition.model_validate(transition_row(stored.change).model_dump() | head)
