"""Which group is written next: those that changed come first, then those whose refresh is due.

Every group is written again once in its period, each at its own moment, so that writing is spread
evenly. Sans-IO: callers pass the time in, seconds of a monotonic clock.
"""

import heapq
import math
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable

from dnslb_backend.store.mirror.source import RowGroup


class WriteQueue:
    """`period` gives after how many seconds an unchanged group is due again."""

    def __init__(self, period: Callable[[RowGroup], float]) -> None:
        self._period = period
        # Finding the first key of a dict takes longer with each one that was removed before.
        self._dirty = OrderedDict[RowGroup, float]()
        self._taken: dict[RowGroup, float] = {}
        self._due: dict[RowGroup, float] = {}
        self._heap: list[tuple[float, RowGroup]] = []

    @property
    def has_dirty(self) -> bool:
        """Whether any group waits because it changed."""
        return bool(self._dirty)

    @property
    def backlog(self) -> int:
        """How many groups wait because they changed, or are being written."""
        return len(self._dirty) + len(self._taken)

    @property
    def oldest(self) -> float | None:
        """Since when the first of those waits."""
        firsts = (next(iter(waiting.values()), None) for waiting in (self._taken, self._dirty))
        return min((first for first in firsts if first is not None), default=None)

    @property
    def next_due(self) -> float:
        """When an unchanged group is to be written again; infinity where there is none."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def groups(self) -> set[RowGroup]:
        """All there are."""
        return set(self._due)

    def keep(self, group: RowGroup, now: float) -> None:
        """This group exists: a new one is dirty, another has perhaps a new period."""
        due = self._due.get(group)
        if due is None:
            self.mark_dirty([group], now)
        # An overdue group must not wait for another period.
        if due is None or due > now:
            self._schedule(group, now)

    def remove(self, groups: Iterable[RowGroup], now: float) -> None:
        """These are gone: they are dirty, so that their rows are deleted."""
        for group in groups:
            self._due.pop(group, None)
            self.mark_dirty([group], now)

    def mark_dirty(self, groups: Iterable[RowGroup], now: float) -> None:
        """These changed; a group that already waits keeps its place."""
        for group in groups:
            self._dirty.setdefault(group, now)

    def take(self, now: float) -> RowGroup | None:
        """The next group to write, None when there is none now."""
        group = next(iter(self._dirty), None)
        if group is not None:
            self._taken[group] = self._dirty.pop(group)
            return group
        if self.next_due > now:
            return None
        _, group = heapq.heappop(self._heap)
        self._schedule(group, now)
        self._taken[group] = now
        return group

    def done(self) -> None:
        """The groups that were taken are stored."""
        self._taken.clear()

    def requeue(self) -> None:
        """The groups that were taken are not stored: they wait again, in their old place."""
        for group, since in reversed(self._taken.items()):
            self._dirty[group] = since
            self._dirty.move_to_end(group, last=False)
        self._taken = {}

    def _schedule(self, group: RowGroup, now: float) -> None:
        """Due at the group's own moment of its period, the first one after `now`."""
        period = self._period(group)
        phase = zlib.crc32(" ".join(group).encode("utf-8", "replace")) / 2**32 * period
        due = (math.floor((now - phase) / period) + 1) * period + phase
        due = due if due > now else due + period
        if self._due.get(group) != due:
            self._due[group] = due
            heapq.heappush(self._heap, (due, group))
