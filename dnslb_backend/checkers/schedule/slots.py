"""Slots: how many records may be at work at once; the others wait, first come, first served."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
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
        # Finding the first key of a dict takes longer with each one that was removed before.
        self._waiting = OrderedDict[RecordKey, dict[T, float]]()

    def want(self, key: RecordKey, pieces: Collection[T], due: float) -> None:
        """Begin these pieces of work as soon as the record has a slot."""
        if not pieces:
            return
        if not self._waiting and self._has_slot(key):
            self._start(key, [(piece, due) for piece in pieces])
        else:
            waiting = self._waiting.setdefault(key, {})
            for piece in pieces:
                waiting.setdefault(piece, due)
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
            self._start(key, self._waiting.pop(key).items())

    def _has_slot(self, key: RecordKey) -> bool:
        return key in self._at_work or len(self._at_work) < self.limit

    def _start(self, key: RecordKey, pieces: Iterable[tuple[T, float]]) -> None:
        for piece, due in pieces:
            if self._begin(key, piece, due):
                self._at_work[key] = self._at_work.get(key, 0) + 1
