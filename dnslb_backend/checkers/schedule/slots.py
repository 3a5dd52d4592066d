"""Slots: how many records may be at work at once; the others wait, first come, first served."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from dnslb_backend.core.model.records import RecordKey

T = TypeVar("T", bound=Hashable)

Begin = Callable[[RecordKey, T, float], bool]


class Slots(Generic[T]):
    """Work of records, a piece at a time: probes, or lookups of host names.

    `begin` gets the record, the piece and when it was due, and returns whether work begins; callers
    report its end with `done`. A record at work may begin more at once, unless others wait for a
    slot: then it queues as well, so that one whose work never ends keeps no slot for ever.
    """

    def __init__(self, limit: int, begin: Begin[T]) -> None:
        self.limit = limit
        self._begin = begin
        self._at_work: Counter[RecordKey] = Counter()
        self._waiting: dict[RecordKey, dict[T, float]] = {}

    def want(self, key: RecordKey, piece: T, due: float) -> None:
        """Begin a piece of work as soon as the record has a slot."""
        self._waiting.setdefault(key, {}).setdefault(piece, due)
        self._let_in()

    def is_waiting(self, key: RecordKey, piece: T) -> bool:
        return piece in self._waiting.get(key, ())

    def done(self, key: RecordKey) -> None:
        """A piece of work of this record has ended."""
        self._at_work[key] -= 1
        if not self._at_work[key]:
            del self._at_work[key]
        self._let_in()

    def drop(self, key: RecordKey) -> None:
        """Forget what waits of this record; what has begun goes on."""
        self._waiting.pop(key, None)

    def clear(self) -> None:
        self._waiting.clear()

    def _let_in(self) -> None:
        while self._waiting:
            key = next(iter(self._waiting))
            if key not in self._at_work and len(self._at_work) >= self.limit:
                return
            for piece, due in self._waiting.pop(key).items():
                self._at_work[key] += self._begin(key, piece, due)
            if not self._at_work[key]:
                del self._at_work[key]
