"""Which records a status is about: by name, glob and label, in the order of zone, name and type."""

import base64
import binascii
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from itertools import islice
from typing import NamedTuple

from pydantic import ConfigDict, Field

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.names import resolve_record_name
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.core.answers.name_index import NameIndex
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.model.names import key_of
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.slices import in_slices

AT_ONCE = 500
"""Records that are shown as of one moment: a copy of more would hold up lookups."""


class RecordsQuery(ApiModel):
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

    @property
    def is_by_name(self) -> bool:
        return bool(self.name.split())


class Moment(NamedTuple):
    """Copies of some records, and what answers and the clock said when they were made."""

    states: Sequence[RecordState]
    snapshot: Snapshot
    at: Instant


async def wanted_keys(
    control: Control,
    query: RecordsQuery,
    *,
    after: RecordKey | None = None,
    most: int | None = None,
) -> list[RecordKey]:
    """The records that are asked for, in order; those after one of them, and the first `most`.

    Raises ProblemError for a name that is not that of just one record.
    """
    index, records = control.snapshot().name_index, control.health_map.records
    keys = balanced_keys(index, after)
    is_meant: Callable[[RecordKey], bool] = _any
    if query.is_by_name:
        plain, matches = await _named(control, query.name)
        if matches is None:
            keys = _keys_of(index, plain, after)
        else:
            is_meant = matches
    found: list[RecordKey] = []
    async for key in in_slices(keys):
        if is_meant(key) and key in records and _has_label(records[key], query.label):
            found.append(key)
            if len(found) == most:
                break
    return found


def moments(control: Control, keys: Sequence[RecordKey], label: str) -> Iterator[Moment]:
    """These records as they are when each is reached, AT_ONCE at a time.

    The states change while an answer is put together; the copies do not. A reload may have taken
    some away.
    """
    for start in range(0, len(keys), AT_ONCE):
        records = control.health_map.records
        states = [
            _copied(records[key])
            for key in islice(keys, start, start + AT_ONCE)
            if key in records and _has_label(records[key], label)
        ]
        yield Moment(states, control.snapshot(), control.now())


def balanced_keys(index: NameIndex, after: RecordKey | None = None) -> Iterator[RecordKey]:
    """All records of a configuration in the order of zone, name and type, those `after` one."""
    for zone in sorted(index.zones):
        names = index.names[zone]
        first = 0
        if after is not None:
            if zone < after.zone:
                continue
            first = bisect_left(names, after.name) if zone == after.zone else 0
        for name in islice(names, first, None):
            yield from _keys_at(index, name, after)


def labelled(state: RecordState, label: str) -> list[MemberStatus]:
    """Those with a label; all if it is empty."""
    return [row for row in state.rows if not label or label in row.member.labels]


def _has_label(state: RecordState, label: str) -> bool:
    return not label or bool(labelled(state, label))


def write_cursor(key: RecordKey) -> str:
    """The page after this record, for clients to send back."""
    return base64.urlsafe_b64encode(" ".join(key).encode()).decode().rstrip("=")


def read_cursor(text: str) -> RecordKey:
    """Raises ProblemError for what `write_cursor` has not written."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        words = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(" ")
        return RecordKey(*words)
    except (UnicodeError, binascii.Error, TypeError) as error:
        message = "not one of this API; leave it out for the first page"
        raise field_problem("cursor", message) from error


async def _named(
    control: Control, names: str
) -> tuple[set[str], Callable[[RecordKey], bool] | None]:
    """The names without globs, resolved; with globs also what all of them mean.

    A space is no part of a name: where one is meant, it is written as an escape.
    """
    wanted = names.split()
    globs = [translate(key_of(name)) for name in wanted if _is_glob(name)]
    plain = {
        await resolve_record_name(control, name, "name") for name in wanted if not _is_glob(name)
    }
    if not globs:
        return plain, None
    matches = re.compile("|".join(globs)).match

    def is_meant(key: RecordKey) -> bool:
        return key.name in plain or matches(key.name) is not None

    return plain, is_meant


def _any(_: RecordKey) -> bool:
    return True


def _keys_of(index: NameIndex, names: set[str], after: RecordKey | None) -> Iterator[RecordKey]:
    found = (key for name in names for key in _keys_at(index, name, after))
    yield from sorted(found)


def _keys_at(index: NameIndex, name: str, after: RecordKey | None) -> Iterator[RecordKey]:
    entry = index.entries.get(name)
    if entry is None or not entry.records:
        return
    for key in sorted(record.key for record, _ in entry.records):
        if after is None or key > after:
            yield key


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


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")
