"""The status of this node: a row a member, a row a balanced record.

It is put together in slices, so that a status of ten thousand members delays no lookup; all
slices show the moment at which the records that are wanted had been found.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate

from pydantic import ConfigDict, Field, JsonValue

from dnslb_backend.admin.api.readiness import with_details
from dnslb_backend.admin.api.rows import MemberRow, RecordRow, member_row, record_row
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.names import resolve_record_name
from dnslb_backend.admin.http.responses import in_slices, render_with_rows
from dnslb_backend.admin.http.timestamps import Timestamp, render_timestamp
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.model.names import key_of
from dnslb_backend.core.model.records import RecordKey


class NodeStatus(ApiModel):
    """The facts of one running daemon."""

    node: str
    version: str
    started: Timestamp
    time: Timestamp = Field(description="the moment that all rows show")
    ready: bool = Field(description="every balanced record has an answer of its own")
    details: dict[str, JsonValue] = Field(description="by component of the daemon, as in /readyz")


class StatusReport(NodeStatus):
    """The status of one node."""

    members: tuple[MemberRow, ...]
    records: tuple[RecordRow, ...]


class StatusQuery(ApiModel):
    """Which records to show."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        default="",
        max_length=1024,
        description="only these records, with spaces between them: names, absolute or relative "
        "to their zone, or globs; empty: all",
    )
    label: str = Field(
        default="",
        max_length=1024,
        description="only members with this label, as key=value, and their records; empty: all",
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


async def render_status(control: Control, query: StatusQuery) -> bytes:
    """The StatusReport as JSON."""
    states = await states_of(control, query)
    snapshot, at = control.snapshot(), control.now()
    return await render_with_rows(
        node_status(control),
        members=member_rows(
            states, control.health_map, at, query.label, with_by=bool(query.name.split())
        ),
        records=(record_row(state, snapshot, at.mono) for state in states),
    )


async def states_of(control: Control, query: StatusQuery) -> list[RecordState]:
    """What is known of the records that are asked for, at the moment when this returns.

    The states change while an answer is put together; these copies do not.
    """
    wanted = list(control.health_map.records)
    if query.name.split():
        is_meant = await _matcher(control, query.name)
        wanted = [key async for key in in_slices(wanted) if is_meant(key)]
    # One moment, and so one piece. A reload may have taken some away while names were compared.
    records = control.health_map.records
    return [
        _copied(records[key])
        for key in wanted
        if key in records and (not query.label or _rows(records[key], query.label))
    ]


def _rows(state: RecordState, label: str) -> list[MemberStatus]:
    """Those with a label; all if it is empty."""
    return [row for row in state.rows if not label or label in row.member.labels]


def _copied(state: RecordState) -> RecordState:
    return RecordState(
        state.record,
        dict(state.hosts),
        rows=state.rows,
        waiting=dict(state.waiting),
        decision=state.decision,
        is_ready=state.is_ready,
        is_held=state.is_held,
    )


def member_rows(
    states: Iterable[RecordState],
    health: HealthMap,
    at: Instant,
    label: str = "",
    *,
    with_by: bool = False,
) -> Iterator[MemberRow]:
    """The rows of these records, one record after the other; with `label` those that have it."""
    for state in states:
        for status in _rows(state, label):
            yield member_row(status, state, health, at, with_by=with_by)


async def _matcher(control: Control, names: str) -> Callable[[RecordKey], bool]:
    """Whether a record is meant by one of `names`: globs, or names of records.

    A space is no part of a name: where one is meant, it is written as an escape. Raises
    ProblemError for a name that is not that of just one record.
    """
    wanted = names.split()
    globs = [translate(key_of(name)) for name in wanted if _is_glob(name)]
    matches = re.compile("|".join(globs)).match if globs else None
    plain = {
        await resolve_record_name(control, name, "name") for name in wanted if not _is_glob(name)
    }

    def is_meant(key: RecordKey) -> bool:
        return key.name in plain or (matches is not None and matches(key.name) is not None)

    return is_meant


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")
