"""What changed in the health map, for those who publish, persist and report it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from dnslb_backend.core.health.decision_changes import DecisionChange, report_decisions
from dnslb_backend.core.health.record_state import RecordState
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
    """What changed since the last call of `HealthMap.take_changes`, that of each record together.

    `answers` are records whose answer may have changed; `touched` are those of which any figure
    besides times changed.
    """

    answers: frozenset[RecordKey]
    touched: frozenset[RecordKey]
    transitions: tuple[Transition, ...]
    overflows: tuple[Overflow, ...] = ()
    decisions: tuple[DecisionChange, ...] = ()

    def followed_by(self, later: "Changes") -> "Changes":
        """These changes and `later` ones as one."""
        return Changes(
            self.answers | later.answers,
            self.touched | later.touched,
            self.transitions + later.transitions,
            self.overflows + later.overflows,
            self.decisions + later.decisions,
        )


NO_CHANGES = Changes(frozenset(), frozenset(), ())


class ChangeLog:
    """Collects changes until `take`."""

    def __init__(self) -> None:
        self._keys: dict[RecordKey, None] = {}
        """Every record of which something is collected, in the order of its first change."""
        self._answers: set[RecordKey] = set()
        self._touched: set[RecordKey] = set()
        self._transitions: dict[RecordKey, list[Transition]] = {}
        self._overflows: dict[RecordKey, list[Overflow]] = {}
        self._moved: dict[RecordKey, float] = {}

    def __len__(self) -> int:
        """Of how many records something is collected."""
        return len(self._keys)

    @property
    def has_news(self) -> bool:
        """Whether anything but figures is collected."""
        return bool(self._answers or self._transitions or self._overflows or self._moved)

    def answer(self, key: RecordKey) -> None:
        """The answer of this record may read differently now."""
        self._keys[key] = None
        self._answers.add(key)

    def touch(self, keys: Collection[RecordKey]) -> None:
        """Figures of these records have changed."""
        self._keys.update(dict.fromkeys(keys))
        self._touched.update(keys)

    def add(self, key: RecordKey, transitions: Sequence[Transition]) -> None:
        """Members of this record have changed."""
        if transitions:
            self._keys[key] = None
            self._transitions.setdefault(key, []).extend(transitions)

    def add_overflow(self, overflow: Overflow) -> None:
        self._keys[overflow.key] = None
        self._overflows.setdefault(overflow.key, []).append(overflow)

    def move(self, key: RecordKey, wall: float) -> None:
        """The rows or the decision of this record have changed, at this Unix time."""
        self._keys[key] = None
        self._touched.add(key)
        self._moved[key] = wall

    def take(self, records: Mapping[RecordKey, RecordState], limit: int | None = None) -> Changes:
        """What was collected of all records, or the first `limit`, since the last call; `records`
        are those of the health map."""
        keys = list(islice(self._keys, limit))
        transitions = [each for key in keys for each in self._transitions.pop(key, ())]
        for moved in transitions:
            if moved.is_flip and moved.key in records:
                records[moved.key].flips.add(moved.content, moved.at)
        walls = ((key, self._moved.pop(key)) for key in keys if key in self._moved)
        changes = Changes(
            frozenset(self._answers.intersection(keys)),
            frozenset(self._touched.intersection(keys)),
            tuple(transitions),
            tuple(each for key in keys for each in self._overflows.pop(key, ())),
            tuple(report_decisions(records, walls)),
        )
        self._answers -= changes.answers
        self._touched -= changes.touched
        for key in keys:
            del self._keys[key]
        return changes
