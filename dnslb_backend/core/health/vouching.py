"""What vouches for this node's own network while too few others vote.

With canaries, when they answer; without, when more than half of what this node heard since then
are passes. What answered before says nothing.
"""

from bisect import bisect_left
from typing import NamedTuple

KEPT = 600
"""So many ticks are remembered at least."""


class _Tick(NamedTuple):
    mono: float
    heard: int
    passes: int


class Vouching:
    """Counts results; `canaries` is whether they answer, None where there are none."""

    def __init__(self) -> None:
        self.canaries: bool | None = None
        self._heard = 0
        self._passes = 0
        self._ticks: list[_Tick] = []

    def heard(self, *, is_pass: bool) -> None:
        """A result of this node counts."""
        self._heard += 1
        self._passes += is_pass

    def tick(self, mono: float) -> None:
        """A moment has passed: call it once a second."""
        if len(self._ticks) == 2 * KEPT:
            del self._ticks[:KEPT]
        self._ticks.append(_Tick(mono, self._heard, self._passes))

    def is_vouched(self, since: float) -> bool:
        """Whether this network works, by what came since monotonic `since`."""
        if self.canaries is not None:
            return self.canaries
        position = bisect_left(self._ticks, since, key=lambda tick: tick.mono)
        if position == len(self._ticks):
            return False
        _, heard, passes = self._ticks[position]
        return (self._passes - passes) * 2 > self._heard - heard
