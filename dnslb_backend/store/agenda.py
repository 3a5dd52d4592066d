"""What is to be written next: what changed comes first, then what has stood long enough.

Every unit is written again once in its period, at a moment of its own in it, so that writing is
spread evenly. Pure but for the numbers it is given: seconds of a monotonic clock.
"""

import heapq
import math
import zlib
from collections.abc import Callable, Iterable

from dnslb_backend.store.source import Unit


class Agenda:
    """`period` says after how many seconds an unchanged unit is due again."""

    def __init__(self, period: Callable[[Unit], float]) -> None:
        self._period = period
        self._pressing: dict[Unit, float] = {}
        self._taken: dict[Unit, float] = {}
        self._due: dict[Unit, float] = {}
        self._heap: list[tuple[float, Unit]] = []

    @property
    def is_pressing(self) -> bool:
        """Whether anything waits because it changed."""
        return bool(self._pressing)

    @property
    def backlog(self) -> int:
        """How many units wait because they changed, or are on their way."""
        return len(self._pressing) + len(self._taken)

    @property
    def oldest(self) -> float | None:
        """Since when the first of those waits."""
        firsts = (next(iter(waiting.values()), None) for waiting in (self._taken, self._pressing))
        return min((first for first in firsts if first is not None), default=None)

    @property
    def next_due(self) -> float:
        """When an unchanged unit is to be written again; infinity where there is none."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def units(self) -> set[Unit]:
        """All there are."""
        return set(self._due)

    def adopt(self, units: Iterable[Unit], now: float) -> None:
        """These are all there are. What is new presses, and what is gone, so that its rows go."""
        wanted = dict.fromkeys(units)
        gone = [unit for unit in self._due if unit not in wanted]
        for unit in gone:
            del self._due[unit]
        self.press(gone, now)
        self.press((unit for unit in wanted if unit not in self._due), now)
        for unit in wanted:
            # What is overdue and waits for its turn must not wait for another period.
            if self._due.get(unit, math.inf) > now:
                self._schedule(unit, now)

    def press(self, units: Iterable[Unit], now: float) -> None:
        """These changed; one that waits already keeps its place."""
        for unit in units:
            self._pressing.setdefault(unit, now)

    def press_all(self, now: float) -> None:
        self.press(self._due, now)

    def take(self, now: float) -> Unit | None:
        """The next unit to write, None when nothing is to be written now."""
        unit = next(iter(self._pressing), None)
        if unit is not None:
            self._taken[unit] = self._pressing.pop(unit)
            return unit
        if self.next_due > now:
            return None
        _, unit = heapq.heappop(self._heap)
        self._schedule(unit, now)
        self._taken[unit] = now
        return unit

    def done(self) -> None:
        """What was taken is written."""
        self._taken.clear()

    def give_back(self) -> None:
        """What was taken is not written: it waits again, in its old place."""
        self._pressing = self._taken | self._pressing
        self._taken = {}

    def _schedule(self, unit: Unit, now: float) -> None:
        """At the first moment after `now` that is the unit's own in its period."""
        period = self._period(unit)
        phase = zlib.crc32(" ".join(unit).encode("utf-8", "replace")) / 2**32 * period
        due = (math.floor((now - phase) / period) + 1) * period + phase
        due = due if due > now else due + period
        if self._due.get(unit) != due:
            self._due[unit] = due
            heapq.heappush(self._heap, (due, unit))
