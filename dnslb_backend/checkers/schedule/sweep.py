"""The sweep: looks all the time for targets that have been silent for too long."""

import asyncio
import math
from collections.abc import Callable

from dnslb_backend.clock import mono, now
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey

INTERVAL = 1.0
RATE = 20_000
"""At most so many targets are looked at in each interval: a sweep over many takes several."""

SLICE = 500
"""So many are looked at before others on the event loop have their turn."""


class StaleSweep:
    """Marks silent targets in the health map, and readmits members whose time has come. `changed`
    is called afterwards; `last` is when that was last, in monotonic seconds."""

    def __init__(self, health: HealthMap, changed: Callable[[], None]) -> None:
        self._health = health
        self._changed = changed
        self._left = list[TargetKey]()
        self._due = -math.inf
        self.last = mono()

    def restart(self) -> None:
        """Look at all targets again: there may be others, or others may fall silent first."""
        self._due = -math.inf

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if self._left or mono() >= self._due:
                await self._look()
            self._health.readmit(now())
            self.last = mono()
            self._changed()

    async def _look(self) -> None:
        """Look at all targets, or at those that the last look has left."""
        if not self._left:
            self._left, self._due = list(self._health.targets), math.inf
        targets, self._left = self._left[:RATE], self._left[RATE:]
        for start in range(0, len(targets), SLICE):
            part = targets[start : start + SLICE]
            self._due = min(self._due, self._health.expire_stale(part, now()))
            await asyncio.sleep(0)
