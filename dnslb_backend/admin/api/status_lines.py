"""The status as lines: a balanced record with its members on each, sent as they are rendered.

A reader can show the first records while the last ones are being rendered, and the whole is never
held in memory. Each line shows one moment, as in the status.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from dnslb_backend.admin.api.rows import MemberRow, RecordRow, record_row
from dnslb_backend.admin.api.selection import RecordsQuery, moments, wanted_keys
from dnslb_backend.admin.api.status import NodeStatus, member_rows, node_status
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import render_with_rows
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.slices import in_slices

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
    query = read_query(request, RecordsQuery)
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


async def render_lines(control: Control, query: RecordsQuery) -> AsyncIterator[bytes]:
    """The StatusHead, then a RecordLine a record in the order of zone, name and type."""
    keys = await wanted_keys(control, query)
    yield (await _head(control, keys)).model_dump_json().encode() + b"\n"
    parts: list[bytes] = []
    async for moment in in_slices(moments(control, keys, query.label)):
        async for state in in_slices(moment.states):
            record = record_row(state, moment.snapshot, moment.at.mono)
            line = RecordLine(record=record, members=())
            members = member_rows([state], control.health_map, moment.at, query)
            parts.append(await render_with_rows(line, members=members) + b"\n")
            if len(parts) >= LINES:
                yield b"".join(parts)
                parts.clear()
    yield b"".join(parts)


async def _head(control: Control, keys: Sequence[RecordKey]) -> StatusHead:
    found: Counter[Health] = Counter()
    async for key in in_slices(keys):
        if (state := control.health_map.records.get(key)) is not None:
            found.update(row.effective for row in state.rows if not row.is_fallback)
    return StatusHead(
        **node_status(control).model_dump(),
        records=len(keys),
        members=found.total(),
        up=found[Health.UP],
        down=found[Health.DOWN],
        unknown=found[Health.UNKNOWN],
    )
