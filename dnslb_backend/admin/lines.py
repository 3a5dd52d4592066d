"""The status as lines: a balanced record with its members on each, as soon as it is rendered.

A reader can show the first records while the last ones are still being put together, and none of
it has to be held in memory as a whole. As in the status, all lines show one moment.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.document import Document
from dnslb_backend.admin.endpoint import STATE
from dnslb_backend.admin.intake import read_query
from dnslb_backend.admin.rows import MemberRow, RecordRow, record_row
from dnslb_backend.admin.slices import SLICE
from dnslb_backend.admin.status import (
    NodeStatus,
    StatusQuery,
    member_rows,
    node_status,
    states_of,
)
from dnslb_backend.core.health import Health
from dnslb_backend.core.recordstate import RecordState

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


class RecordLine(Document):
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
        await response.prepare(request)
        parts = render_lines(state.control, query)
        while True:
            async with state.reads.rendering:
                part = await anext(parts, b"")
            if not part or not await state.reads.write(request, response, part):
                break
    return response


async def render_lines(control: Control, query: StatusQuery) -> AsyncIterator[bytes]:
    """The StatusHead, then a RecordLine a record in the order of zone, name and type.

    Others have their turn whenever SLICE members have been rendered.
    """
    snapshot, mono = control.snapshot(), control.now().mono
    states = sorted(await states_of(control, query), key=lambda state: state.record.key)
    yield _head(control, states).model_dump_json().encode() + b"\n"
    parts: list[bytes] = []
    room = SLICE
    for state in states:
        members: list[bytes] = []
        for row in member_rows([state], control.map):
            members.append(row.model_dump_json().encode())
            room -= 1
            if room <= 0:
                await asyncio.sleep(0)
                room = SLICE
        record = record_row(state, snapshot, mono).model_dump_json().encode()
        parts.append(b'{"record":%s,"members":[%s]}\n' % (record, b",".join(members)))
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
