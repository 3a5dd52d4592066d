"""Whether this node's own network works, which counts while too few others vote.

With canaries, when they answer; without, when more than half of the results of this node since then
are passes. What answered before proves nothing.
"""

from bisect import bisect_left
from typing import NamedTuple

KEPT = 600
"""So many ticks are remembered at least."""


class _Tick(NamedTuple):
    mono: float
    results: int
    passes: int


class Connectivity:
    """Counts results; `canaries` is whether they answer, None where there are none."""

    def __init__(self) -> None:
        self.canaries: bool | None = None
        self._results = 0
        self._passes = 0
        self._ticks: list[_Tick] = []

    def count(self, *, is_pass: bool) -> None:
        """A result of this node counts."""
        self._results += 1
        self._passes += is_pass

    def tick(self, mono: float) -> None:
        """A moment has passed: call it once a second."""
        if len(self._ticks) == 2 * KEPT:
            del self._ticks[:KEPT]
        self._ticks.append(_Tick(mono, self._results, self._passes))

    def is_connected(self, since: float) -> bool:
        """Whether this network works, by what came since monotonic `since`."""
        if self.canaries is not None:
            return self.canaries
        position = bisect_left(self._ticks, since, key=lambda tick: tick.mono)
        if position == len(self._ticks):
            return False
        _, results, passes = self._ticks[position]
        return (self._passes - passes) * 2 > self._results - results
