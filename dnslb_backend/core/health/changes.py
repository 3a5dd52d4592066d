"""What changed in the health map, for those who publish, keep and report it."""

from dataclasses import dataclass
from typing import NamedTuple

from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey


class Overflow(NamedTuple):
    """A host name began to have addresses beyond `limit`, or has none any more (`ignored` 0)."""

    key: RecordKey
    host: str
    ignored: int
    limit: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened since the last time somebody asked, oldest transition first.

    `answers` are records whose answer may read differently now; `touched` are those of which
    any figure changed.
    """

    answers: frozenset[RecordKey]
    touched: frozenset[RecordKey]
    transitions: tuple[Transition, ...]
    overflows: tuple[Overflow, ...] = ()
