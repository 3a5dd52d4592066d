"""Trials: probes because somebody asked for them, never more often than a target can bear."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dnslb_backend.core.members import TargetKey
from dnslb_backend.core.results import Result

SPACING = 1.0
"""Seconds between the begins of two trials of one target, however many ask."""


@dataclass(slots=True)
class _Trial:
    """The latest of a target: `begin` is when it began, or will."""

    begin: float
    result: asyncio.Task[Result]


class Trials:
    """Tries targets: who asks while one is being tried, or soon will be, is told that result."""

    def __init__(self, spacing: float = SPACING) -> None:
        self._spacing = spacing
        self._latest: dict[TargetKey, _Trial] = {}

    async def result(self, target: TargetKey, probe: Callable[[], Awaitable[Result]]) -> Result:
        """What `probe` brings home, or somebody else's probe of the target at the same time."""
        latest = self._latest.get(target)
        if latest is None or latest.result.done():
            latest = self._plan(target, probe, latest)
        # The others still want it when one of those who asked has gone.
        return await asyncio.shield(latest.result)

    def _plan(
        self, target: TargetKey, probe: Callable[[], Awaitable[Result]], before: _Trial | None
    ) -> _Trial:
        now = asyncio.get_running_loop().time()
        begin = now if before is None else max(now, before.begin + self._spacing)
        trial = _Trial(begin, asyncio.create_task(_after(begin - now, probe)))
        # The oldest come first: they are the first to be forgotten.
        self._latest.pop(target, None)
        self._latest[target] = trial
        self._forget(now)
        return trial

    def _forget(self, now: float) -> None:
        while self._latest:
            target, oldest = next(iter(self._latest.items()))
            if not oldest.result.done() or oldest.begin + self._spacing > now:
                return
            del self._latest[target]


async def _after(seconds: float, probe: Callable[[], Awaitable[Result]]) -> Result:
    if seconds > 0:
        await asyncio.sleep(seconds)
    return await probe()
