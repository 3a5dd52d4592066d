"""The status of this node: a row a member, a row a balanced record; whole, or in pages.

It is put together in slices, so that a status of ten thousand members delays no lookup. A
record is shown with its members as of one moment, and so are AT_ONCE records in a row.
"""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field, JsonValue

from dnslb_backend.admin.api.readiness import with_details
from dnslb_backend.admin.api.rows import MemberRow, RecordRow, member_row, record_row
from dnslb_backend.admin.api.selection import (
    AT_ONCE,
    RecordsQuery,
    labelled,
    moments,
    read_cursor,
    wanted_keys,
    write_cursor,
)
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.admin.http.responses import JsonArray, json_pieces
from dnslb_backend.admin.http.timestamps import Timestamp, render_timestamp
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.slices import in_slices

LARGEST_PAGE = 1000
MOST_RECORDS = 20_000
"""Records that are shown without a limit: all of it is held in memory until it is sent."""


class NodeStatus(ApiModel):
    """The facts of one running daemon."""

    node: str
    version: str
    started: Timestamp
    time: Timestamp = Field(
        description=f"the moment that up to {AT_ONCE} records show; of more the others follow"
    )
    ready: bool = Field(description="every balanced record has an answer of its own")
    details: dict[str, JsonValue] = Field(description="by component of the daemon, as in /readyz")


class StatusReport(NodeStatus):
    """The status of one node."""

    cursor: str | None = Field(description="for the next page; null: there is none")
    members: tuple[MemberRow, ...]
    records: tuple[RecordRow, ...]


class StatusQuery(RecordsQuery):
    """Which records to show, and how many of them."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_PAGE,
        description="at most so many records, in the order of zone, name and type; without it all, "
        f"up to {MOST_RECORDS}",
    )
    cursor: str = Field(
        default="",
        max_length=2048,
        description="from here on, as in the page before; empty: from the first record on",
    )


def node_status(control: Control) -> NodeStatus:
    return NodeStatus(
        node=control.node,
        version=control.version,
        started=render_timestamp(control.started),
        time=render_timestamp(control.now().wall),
        ready=not control.unanswered(),
        details=with_details(control),
    )


async def render_status(control: Control, query: StatusQuery) -> list[bytes]:
    """The StatusReport as JSON, in pieces. Raises ProblemError for a query that is not valid."""
    keys, cursor = await _page(control, query)
    members, records = JsonArray(), JsonArray()
    head = StatusReport(**node_status(control).model_dump(), cursor=cursor, members=(), records=())
    async for moment in in_slices(moments(control, keys, query.label)):
        rows = member_rows(moment.states, control.health_map, moment.at, query)
        async for row in in_slices(rows):
            members.add(row)
        async for state in in_slices(moment.states):
            records.add(record_row(state, moment.snapshot, moment.at.mono))
    return json_pieces(head, members=members, records=records)


async def _page(control: Control, query: StatusQuery) -> tuple[Sequence[RecordKey], str | None]:
    """The records to show, and the cursor of what follows."""
    if query.limit is None:
        if query.cursor:
            raise field_problem("cursor", "needs limit as well")
        keys = await wanted_keys(control, query, most=MOST_RECORDS + 1)
        if len(keys) > MOST_RECORDS:
            message = f"is needed for more than {MOST_RECORDS} records: ask for pages"
            raise field_problem("limit", message)
        return keys, None
    after = read_cursor(query.cursor) if query.cursor else None
    keys = await wanted_keys(control, query, after=after, most=query.limit + 1)
    page = keys[: query.limit]
    return page, write_cursor(page[-1]) if len(keys) > len(page) else None


def member_rows(
    states: Iterable[RecordState], health: HealthMap, at: Instant, query: RecordsQuery
) -> Iterator[MemberRow]:
    """The rows of these records, one record after the other; those that are asked for."""
    for state in states:
        for status in labelled(state, query.label):
            yield member_row(status, state, health, at, with_by=query.is_by_name)
