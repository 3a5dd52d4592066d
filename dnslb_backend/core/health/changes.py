"""What changed in the health map, for those who publish, persist and report it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from dnslb_backend.core.health.decision_changes import DecisionChange, report_decisions
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey

T = TypeVar("T", "Overflow", Transition, DecisionChange)


class Overflow(NamedTuple):
    """A host name resolves to `ignored` addresses beyond `limit`, or (0) no longer to any."""

    key: RecordKey
    host: str
    ignored: int
    limit: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since the last call of `HealthMap.take_changes`, oldest transition first.

    `answers` are records whose answer may have changed; `touched` are those of which any figure
    changed.
    """

    answers: frozenset[RecordKey]
    touched: frozenset[RecordKey]
    transitions: tuple[Transition, ...]
    overflows: tuple[Overflow, ...] = ()
    decisions: tuple[DecisionChange, ...] = ()

    def parts(self, limit: int) -> Iterator["Changes"]:
        """These changes for at most so many records at a time, those of each record together."""
        keys = list(self.answers | self.touched)
        if len(keys) <= limit:
            yield self
            return
        transitions = _by_key(self.transitions)
        overflows = _by_key(self.overflows)
        decisions = _by_key(self.decisions)
        keys += (transitions.keys() | overflows.keys() | decisions.keys()).difference(keys)
        for start in range(0, len(keys), limit):
            part = keys[start : start + limit]
            yield Changes(
                self.answers.intersection(part),
                self.touched.intersection(part),
                tuple(each for key in part for each in transitions.get(key, ())),
                tuple(each for key in part for each in overflows.get(key, ())),
                tuple(each for key in part for each in decisions.get(key, ())),
            )

    def followed_by(self, later: "Changes") -> "Changes":
        """These changes and `later` ones as one."""
        return Changes(
            self.answers | later.answers,
            self.touched | later.touched,
            self.transitions + later.transitions,
            self.overflows + later.overflows,
            self.decisions + later.decisions,
        )


def _by_key(changes: Iterable[T]) -> dict[RecordKey, list[T]]:
    found: dict[RecordKey, list[T]] = {}
    for change in changes:
        found.setdefault(change.key, []).append(change)
    return found


NO_CHANGES = Changes(frozenset(), frozenset(), ())


class ChangeLog:
    """Collects changes until `take`."""

    def __init__(self) -> None:
        self._answers: set[RecordKey] = set()
        self._touched: set[RecordKey] = set()
        self._transitions: list[Transition] = []
        self._overflows: list[Overflow] = []
        self._moved: dict[RecordKey, float] = {}

    def answer(self, key: RecordKey) -> None:
        """The answer of this record may read differently now."""
        self._answers.add(key)

    def touch(self, keys: Iterable[RecordKey]) -> None:
        """Figures of these records have changed."""
        self._touched.update(keys)

    def add(self, transitions: Iterable[Transition]) -> None:
        self._transitions += transitions

    def add_overflow(self, overflow: Overflow) -> None:
        self._overflows.append(overflow)

    def move(self, key: RecordKey, wall: float) -> None:
        """The rows or the decision of this record have changed, at this Unix time."""
        self._touched.add(key)
        self._moved[key] = wall

    def take(self, records: Mapping[RecordKey, RecordState]) -> Changes:
        """What was collected since the last call; `records` are those of the health map."""
        for moved in self._transitions:
            if moved.is_flip and moved.key in records:
                records[moved.key].flips.add(moved.content, moved.at)
        changes = Changes(
            frozenset(self._answers),
            frozenset(self._touched),
            tuple(self._transitions),
            tuple(self._overflows),
            tuple(report_decisions(records, self._moved.items())),
        )
        for collected in (self._answers, self._touched, self._transitions, self._overflows):
            collected.clear()
        self._moved.clear()
        return changes
