"""Noticing that this process stood still, so that our sleep is not taken for a target's silence."""

import asyncio
from collections.abc import Callable

BEAT = 0.1
ALLOWANCE = 0.5
"""A beat that comes this much (s) late is a stall; less is a busy moment."""


class StallDetector:
    """Beats on the event loop and remembers when a beat was last late. Times are monotonic."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._last = mono()
        self._end = float("-inf")

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT)
            now = self._mono()
            if now - self._last > BEAT + ALLOWANCE:
                self._end = now
            self._last = now

    def stalled_since(self, moment: float) -> bool:
        """Whether the event loop was stopped for a while between `moment` and now."""
        return self._end >= moment or self._mono() - self._last > BEAT + ALLOWANCE
