"""The status as lines: a balanced record with its members on each, sent as they are rendered.

A reader can show the first records while the last ones are being rendered, and the whole is never
held in memory. As in the status, all lines show one moment.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from dnslb_backend.admin.api.rows import MemberRow, RecordRow, record_row
from dnslb_backend.admin.api.status import (
    NodeStatus,
    StatusQuery,
    member_rows,
    node_status,
    states_of,
)
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import in_slices, render_with_rows
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.target import Health

MEDIA_LINES = "application/jsonl"

LINES = 50
"""Lines that are sent at once."""


class StatusHead(NodeStatus):
    """The first line: the node, and how much follows.

    `up` and its like count members; fallback addresses, which are none, are left out.
    """

    records: int
    members: int
    up: int
    down: int
    unknown: int


class RecordLine(ApiModel):
    """Every further line."""

    record: RecordRow
    members: tuple[MemberRow, ...]


async def show_status_lines(request: web.Request) -> web.StreamResponse:
    query = read_query(request, StatusQuery)
    response = web.StreamResponse(headers={"Content-Type": MEDIA_LINES})
    if request.method == "HEAD":
        return response
    state = request.app[STATE]
    async with state.reads.sending():
        parts = render_lines(state.control, query)
        async with state.reads.rendering:
            part = await anext(parts, b"")
        # Not before the query has proved to be good.
        await response.prepare(request)
        while part and await state.reads.write(request, response, part):
            async with state.reads.rendering:
                part = await anext(parts, b"")
    return response


async def render_lines(control: Control, query: StatusQuery) -> AsyncIterator[bytes]:
    """The StatusHead, then a RecordLine a record in the order of zone, name and type."""
    states = sorted(await states_of(control, query), key=lambda state: state.record.key)
    snapshot, at = control.snapshot(), control.now()
    yield _head(control, states).model_dump_json().encode() + b"\n"
    parts: list[bytes] = []
    async for state in in_slices(states):
        line = RecordLine(record=record_row(state, snapshot, at.mono), members=())
        members = member_rows(
            [state], control.health_map, at, query.label, with_by=bool(query.name.split())
        )
        parts.append(await render_with_rows(line, members=members) + b"\n")
        if len(parts) >= LINES:
            yield b"".join(parts)
            parts.clear()
    yield b"".join(parts)


def _head(control: Control, states: Sequence[RecordState]) -> StatusHead:
    found = Counter(row.effective for s in states for row in s.rows if not row.is_fallback)
    return StatusHead(
        **node_status(control).model_dump(),
        records=len(states),
        members=found.total(),
        up=found[Health.UP],
        down=found[Health.DOWN],
        unknown=found[Health.UNKNOWN],
    )
