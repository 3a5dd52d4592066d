"""The sweep: looks all the time for targets that have been silent for too long."""

import asyncio
from collections.abc import Callable

from dnslb_backend.core.health.clock import Instant
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

    def __init__(
        self, health: HealthMap, now: Callable[[], Instant], changed: Callable[[], None]
    ) -> None:
        self._health = health
        self._now = now
        self._changed = changed
        self.last = now().mono

    async def run(self) -> None:
        """Sweep until cancelled."""
        left = list[TargetKey]()
        while True:
            await asyncio.sleep(INTERVAL)
            targets = left or list(self._health.targets)
            left = targets[RATE:]
            for start in range(0, min(len(targets), RATE), SLICE):
                self._health.expire_stale(targets[start : start + SLICE], self._now())
                await asyncio.sleep(0)
            self._health.readmit(self._now())
            self.last = self._now().mono
            self._changed()
