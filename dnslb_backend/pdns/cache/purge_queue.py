"""What PowerDNS is still to forget, and when to tell it.

A change is told at once, and again after a while, several times: a lookup that was answered
before the change may end after the first purge, and put the old answer back into the cache.
Changes of one name are told SPACING apart, so that flapping cannot flood PowerDNS. What follows a
change comes the sooner, as an old answer may stand until then; while a name goes on changing,
nothing follows but the next change, which waits for nothing that follows another.
Nothing is struck off before it is known to be done.

There are two lanes, each of which has one batch under way at a time: URGENT is the first purge
after a change, CALM all that follows it, and what is not urgent at all.

Sans-IO: callers pass the time in.
"""

import enum
import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dnslb_backend.core.answers.invalidation import PurgeItem

FOLLOW_UPS = (0.02, 0.05, 0.1, 0.2, 0.5, 2.5)
"""Seconds after a change when it is purged once more. A lookup lasts 2 s at the most: then
PowerDNS has given up on it (the timeout of remote-connection-string)."""

SPACING = 0.05
"""Seconds between two purges of one name for its changes."""

EVERYTHING = PurgeItem("", below=True)
"""All names there are, in place of more than are worth listing."""

_NEVER = float("-inf")


class Lane(enum.Enum):
    """Which of the purges, so that those that matter most wait for no others."""

    URGENT = enum.auto()
    CALM = enum.auto()


@dataclass(slots=True)
class _QueuedPurge:
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
        self._entries: dict[PurgeItem, _QueuedPurge] = {}
        self._heaps: dict[Lane, list[tuple[float, int, PurgeItem]]] = {lane: [] for lane in Lane}
        self._order = itertools.count()

    def add(self, stale: Iterable[PurgeItem], now: float) -> None:
        """These answers have become wrong at this moment."""
        for item in stale:
            entry = self._entries.get(item)
            if entry is None:
                if len(self._entries) >= self._limit and item != EVERYTHING:
                    return self._give_up_listing(now)
                self._entries[item] = _QueuedPurge(now, now)
                self._push(now, item)
            elif entry.is_told:
                entry.changed = now
                entry.due = max(now, entry.news + self._spacing(item))
                self._push(entry.due, item)
            else:
                entry.changed = now  # it is on its way already, or waits to be
        return None

    def take(self, now: float, lane: Lane) -> list[PurgeItem]:
        """What is to be purged now; `done` or `failed` must follow."""
        taken: dict[PurgeItem, None] = {}
        heap = self._heaps[lane]
        while heap and heap[0][0] <= now:
            due, _, item = heapq.heappop(heap)
            entry = self._entries.get(item)
            if entry is None or entry.due != due or _lane(item, entry) is not lane:
                continue  # it was put off, or brought forward
            if self._next(entry) is None:
                del self._entries[item]
            else:
                taken[item] = None
        return list(taken)

    def done(self, batch: Sequence[PurgeItem], began: float, lane: Lane) -> None:
        """PowerDNS has purged these; `began` is when it was asked to."""
        for item in batch:
            entry = self._entries.get(item)
            if entry is None or _overtaken(item, entry, lane):
                continue
            if entry.told < entry.changed <= began:
                entry.news = began
            entry.told = max(entry.told, began)
            due = self._next(entry)
            # Even when nothing is left, the name is remembered until it may be purged again.
            follows = due is not None and entry.is_told and item.is_urgent
            apart = FOLLOW_UPS[0] if follows else self._spacing(item)
            entry.due = max(entry.told if due is None else due, entry.told + apart)
            self._push(entry.due, item)

    def failed(self, batch: Sequence[PurgeItem], lane: Lane) -> None:
        """These could not be purged; they stay due."""
        for item in batch:
            entry = self._entries.get(item)
            if entry is not None and not _overtaken(item, entry, lane):
                self._push(entry.due, item)

    def due(self, lane: Lane) -> float | None:
        """When there is something to take, None while there is nothing."""
        heap = self._heaps[lane]
        return heap[0][0] if heap else None

    @property
    def unpurged(self) -> list[float]:
        """When those changes happened that PowerDNS has not been told of at all."""
        return [entry.changed for entry in self._entries.values() if not entry.is_told]

    def _next(self, entry: _QueuedPurge) -> float | None:
        """The next moment that a purge is owed for, None when all is done."""
        if not entry.is_told:
            return entry.changed
        return next(
            (entry.changed + gap for gap in FOLLOW_UPS if entry.changed + gap > entry.told), None
        )

    def _spacing(self, item: PurgeItem) -> float:
        return SPACING if item.is_urgent else self._calm

    def _push(self, due: float, item: PurgeItem) -> None:
        heap = self._heaps[_lane(item, self._entries[item])]
        heapq.heappush(heap, (due, next(self._order), item))

    def _give_up_listing(self, now: float) -> None:
        told = max((e.told for e in self._entries.values()), default=_NEVER)
        self._entries = {EVERYTHING: _QueuedPurge(now, max(now, told + SPACING), told)}
        for heap in self._heaps.values():
            heap.clear()
        self._push(self._entries[EVERYTHING].due, EVERYTHING)


def _lane(item: PurgeItem, entry: _QueuedPurge) -> Lane:
    return Lane.URGENT if item.is_urgent and not entry.is_told else Lane.CALM


def _overtaken(item: PurgeItem, entry: _QueuedPurge, lane: Lane) -> bool:
    """Whether it changed while a purge that follows another was under way: URGENT has it now."""
    return lane is Lane.CALM and _lane(item, entry) is Lane.URGENT
