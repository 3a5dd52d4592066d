"""Slots: how many records may be at work at once; the others wait, first come, first served."""

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
        self._at_work: dict[RecordKey, int] = {}
        self._waiting: dict[RecordKey, dict[T, float]] = {}

    def want(self, key: RecordKey, piece: T, due: float) -> None:
        """Begin a piece of work as soon as the record has a slot."""
        if not self._waiting and self._has_slot(key):
            self._start(key, piece, due)
        else:
            self._waiting.setdefault(key, {}).setdefault(piece, due)
            self._let_in()

    def is_waiting(self, key: RecordKey, piece: T) -> bool:
        return piece in self._waiting.get(key, ())

    def done(self, key: RecordKey) -> None:
        """A piece of work of this record has ended."""
        left = self._at_work[key] - 1
        if left:
            self._at_work[key] = left
        else:
            del self._at_work[key]
        if self._waiting:
            self._let_in()

    def drop(self, key: RecordKey) -> None:
        """Forget what waits of this record; what has begun goes on."""
        self._waiting.pop(key, None)

    def clear(self) -> None:
        self._waiting.clear()

    def _let_in(self) -> None:
        while self._waiting:
            key = next(iter(self._waiting))
            if not self._has_slot(key):
                return
            for piece, due in self._waiting.pop(key).items():
                self._start(key, piece, due)

    def _has_slot(self, key: RecordKey) -> bool:
        return key in self._at_work or len(self._at_work) < self.limit

    def _start(self, key: RecordKey, piece: T, due: float) -> None:
        if self._begin(key, piece, due):
            self._at_work[key] = self._at_work.get(key, 0) + 1
