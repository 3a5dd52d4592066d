"""What changed in the health map, to be published, persisted and reported."""

from dataclasses import dataclass
from typing import NamedTuple

from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey


class Overflow(NamedTuple):
    """A host name resolves to `ignored` addresses beyond `limit`, or (0) no longer to any."""

    key: RecordKey
    host: str
    ignored: int
    limit: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since the last `take_changes`, oldest transition first.

    `answers` are records whose answer may have changed; `touched` are those of which any figure
    changed.
    """

    answers: frozenset[RecordKey]
    touched: frozenset[RecordKey]
    transitions: tuple[Transition, ...]
    overflows: tuple[Overflow, ...] = ()
