"""On-demand probes, which operators ask for; never more often than a target can bear."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.tasks import BackgroundTasks

SPACING = 1.0
"""Seconds between the starts of two probes of one target, however many operators ask."""


@dataclass(slots=True)
class _PlannedProbe:
    """The latest of a target: `begin` is when it starts, or has started."""

    begin: float
    result: asyncio.Task[Result]


class OnDemandProbes:
    """Probes targets: calls for one that is being probed, or soon will be, share the result."""

    def __init__(self, spacing: float = SPACING) -> None:
        self._tasks = BackgroundTasks("check")
        self._spacing = spacing
        self._latest: dict[TargetKey, _PlannedProbe] = {}

    async def result(self, target: TargetKey, probe: Callable[[], Awaitable[Result]]) -> Result:
        """What `probe` returns, or what another call's probe of the target does meanwhile."""
        latest = self._latest.get(target)
        if latest is None or latest.result.done():
            latest = self._schedule(target, probe, latest)
        # A caller that is cancelled must not cancel it for the others.
        return await asyncio.shield(latest.result)

    async def close(self) -> None:
        """Cancel every probe."""
        await self._tasks.close()

    def _schedule(
        self,
        target: TargetKey,
        probe: Callable[[], Awaitable[Result]],
        before: _PlannedProbe | None,
    ) -> _PlannedProbe:
        now = asyncio.get_running_loop().time()
        begin = now if before is None else max(now, before.begin + self._spacing)
        planned = _PlannedProbe(begin, self._tasks.share(_after(begin - now, probe)))
        # The oldest come first: they are the first to be forgotten.
        self._latest.pop(target, None)
        self._latest[target] = planned
        self._expire(now)
        return planned

    def _expire(self, now: float) -> None:
        while self._latest:
            target, oldest = next(iter(self._latest.items()))
            if not oldest.result.done() or oldest.begin + self._spacing > now:
                return
            del self._latest[target]


async def _after(seconds: float, probe: Callable[[], Awaitable[Result]]) -> Result:
    if seconds > 0:
        await asyncio.sleep(seconds)
    return await probe()
