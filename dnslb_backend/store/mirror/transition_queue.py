"""Transitions on their way to a store: in order, each once, and never more than a bound."""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from dnslb_backend.core.health.transitions import Transition

BOUND = 100_000
"""So many transitions outlive an outage of a store, in about 30 MB; the oldest go first."""


class QueuedTransition(NamedTuple):
    """`number` counts up over the life of the daemon; `since` is monotonic."""

    number: int
    since: float
    transition: Transition


class TransitionQueue:
    """A queue that forgets its oldest entries when it is full, and counts them.

    `start` is how many transitions there were before it.
    """

    def __init__(self, bound: int = BOUND, *, start: int = 0) -> None:
        self._bound = bound
        self._waiting: deque[QueuedTransition] = deque()
        self._last = start
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def count(self) -> int:
        """The number of the one that was put in last."""
        return self._last

    @property
    def oldest(self) -> float | None:
        """Since when the first one waits."""
        return self._waiting[0].since if self._waiting else None

    def put(self, transitions: Iterable[Transition], now: float) -> None:
        for transition in transitions:
            self._last += 1
            self._waiting.append(QueuedTransition(self._last, now, transition))
        while len(self._waiting) > self._bound:
            self._waiting.popleft()
            self.dropped += 1

    def first(self, count: int) -> list[QueuedTransition]:
        """The oldest ones; they stay until they are `done`."""
        return list(islice(self._waiting, count))

    def done(self, number: int) -> None:
        """All up to this number have been stored."""
        while self._waiting and self._waiting[0].number <= number:
            self._waiting.popleft()
