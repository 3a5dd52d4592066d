"""The status of this node: a row a member, a row a balanced record.

It is put together in slices, so that a status of ten thousand members delays no lookup; all
slices show the moment at which it was asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.moments import Moment, render_moment
from dnslb_backend.admin.rows import MemberRow, RecordRow, member_row, record_row
from dnslb_backend.admin.slices import render_rows
from dnslb_backend.core.healthmap import HealthMap, RecordState
from dnslb_backend.core.names import key_of
from dnslb_backend.core.records import RecordKey


class NodeStatus(BaseModel):
    """The facts of one running daemon."""

    model_config = ConfigDict(frozen=True)

    node: str
    version: str
    started: Moment
    time: Moment = Field(description="when this was put together")
    ready: bool = Field(description="every balanced record has an answer of its own")


class StatusReport(NodeStatus):
    """The status of one node."""

    members: tuple[MemberRow, ...]
    records: tuple[RecordRow, ...]


class StatusQuery(BaseModel):
    """Which records to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="",
        max_length=1024,
        description="only this name: absolute, relative to its zone, or a glob; empty: all",
    )


def node_status(control: Control) -> NodeStatus:
    return NodeStatus(
        node=control.node,
        version=control.version,
        started=render_moment(control.started),
        time=render_moment(control.now().wall),
        ready=not control.map.pending(),
    )


async def render_status(control: Control, query: StatusQuery) -> bytes:
    """The StatusReport as JSON."""
    head = node_status(control).model_dump_json().encode()
    snapshot, mono = control.snapshot(), control.now().mono
    wanted = _matcher(query.name)
    # The states change while we work: the copies do not.
    states = [
        replace(state, hosts=dict(state.hosts))
        for key, state in control.map.records.items()
        if wanted(key)
    ]
    members = await render_rows(_member_rows(states, control.map))
    records = await render_rows(record_row(state, snapshot, mono) for state in states)
    return b'%s,"members":[%s],"records":[%s]}' % (head[:-1], members, records)


def _member_rows(states: Iterable[RecordState], health: HealthMap) -> Iterator[MemberRow]:
    for state in states:
        for status in state.rows:
            yield member_row(status, state.record, state.decision, health)


def _matcher(name: str) -> Callable[[RecordKey], bool]:
    """Whether a record is meant by `name`, in any letter case."""
    pattern = key_of(name)
    if not pattern:
        return lambda key: True
    if any(sign in pattern for sign in "*?["):
        return lambda key: fnmatchcase(key.name, pattern)
    return lambda key: key.name in (pattern, f"{pattern}.{key.zone}")
