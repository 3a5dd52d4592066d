"""What PowerDNS is still to forget, and when to tell it.

A change is told at once, and again after a while, several times: a lookup that was answered
before the change may end after the first purge, and put the old answer back into the cache.
Changes of one name are told SPACING apart, so that flapping cannot flood PowerDNS. What follows a
change comes the sooner, as an old answer may stand until then; while a name goes on changing,
nothing follows but the next change, which waits for nothing that follows another.
Nothing is struck off before it is known to be done.

This is asked and told; it waits for nobody and looks at no clock.
"""

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dnslb_backend.core.dependents import Stale

FOLLOW_UPS = (0.02, 0.05, 0.1, 0.2, 0.5, 2.5)
"""Seconds after a change when it is purged once more. A lookup lasts 2 s at the most: then
PowerDNS has given up on it (the timeout of remote-connection-string)."""

SPACING = 0.05
"""Seconds between two purges of one name for its changes."""

EVERYTHING = Stale("", below=True)
"""All names there are, in place of more than are worth listing."""

_NEVER = float("-inf")


@dataclass(slots=True)
class _Entry:
    changed: float
    due: float
    told: float = _NEVER
    """When the last purge began that is known to be done."""
    news: float = _NEVER
    """The same of the last one that told of a change."""

    @property
    def is_told(self) -> bool:
        return self.told >= self.changed


class PurgeQueue:
    """The purges of one PowerDNS. Times are seconds of a clock that never jumps.

    More than `limit` names become EVERYTHING. `calm` is the spacing of what is not urgent.
    """

    def __init__(self, limit: int = 5000, calm: float = SPACING) -> None:
        self._limit = limit
        self._calm = calm
        self._entries: dict[Stale, _Entry] = {}
        self._heap: list[tuple[float, int, Stale]] = []
        self._order = itertools.count()

    def add(self, stale: Iterable[Stale], now: float) -> None:
        """These answers have become wrong at this moment."""
        for item in stale:
            entry = self._entries.get(item)
            if entry is None:
                if len(self._entries) >= self._limit and item != EVERYTHING:
                    return self._give_up_listing(now)
                self._entries[item] = _Entry(now, now)
                self._push(now, item)
            elif entry.is_told:
                entry.changed = now
                entry.due = max(now, entry.news + self._spacing(item))
                self._push(entry.due, item)
            else:
                entry.changed = now  # it is on its way already, or waits to be
        return None

    def take(self, now: float) -> list[Stale]:
        """What is to be purged now; `done` or `failed` must follow."""
        taken: dict[Stale, None] = {}
        while self._heap and self._heap[0][0] <= now:
            due, _, item = heapq.heappop(self._heap)
            entry = self._entries.get(item)
            if entry is None or entry.due != due:
                continue  # it was put off, or brought forward
            if self._next(entry) is None:
                del self._entries[item]
            else:
                taken[item] = None
        return list(taken)

    def done(self, batch: Sequence[Stale], began: float) -> None:
        """PowerDNS has purged these; `began` is when it was asked to."""
        for item in batch:
            entry = self._entries.get(item)
            if entry is None:
                continue
            if entry.told < entry.changed <= began:
                entry.news = began
            entry.told = began
            due = self._next(entry)
            # Even when nothing is left, the name is remembered until it may be purged again.
            follows = due is not None and entry.is_told and item.is_urgent
            apart = FOLLOW_UPS[0] if follows else self._spacing(item)
            entry.due = max(began if due is None else due, began + apart)
            self._push(entry.due, item)

    def failed(self, batch: Sequence[Stale]) -> None:
        """These could not be purged; they stay due."""
        for item in batch:
            if (entry := self._entries.get(item)) is not None:
                self._push(entry.due, item)

    @property
    def due(self) -> float | None:
        """When there is something to take, None while there is nothing."""
        return self._heap[0][0] if self._heap else None

    @property
    def unpurged(self) -> list[float]:
        """When those changes happened that PowerDNS has not been told of at all."""
        return [entry.changed for entry in self._entries.values() if not entry.is_told]

    def _next(self, entry: _Entry) -> float | None:
        """The next moment that a purge is owed for, None when all is done."""
        if not entry.is_told:
            return entry.changed
        return next(
            (entry.changed + gap for gap in FOLLOW_UPS if entry.changed + gap > entry.told), None
        )

    def _spacing(self, item: Stale) -> float:
        return SPACING if item.is_urgent else self._calm

    def _push(self, due: float, item: Stale) -> None:
        heapq.heappush(self._heap, (due, next(self._order), item))

    def _give_up_listing(self, now: float) -> None:
        told = max((e.told for e in self._entries.values()), default=_NEVER)
        self._entries = {EVERYTHING: _Entry(now, max(now, told + SPACING), told)}
        self._heap.clear()
        self._push(self._entries[EVERYTHING].due, EVERYTHING)
