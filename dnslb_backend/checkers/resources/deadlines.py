"""Time limits of probes, and the stalls of this process, which are never a target's silence.

A limit that is noticed too late shows a stall at its end; StallDetector finds those before it.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType

from dnslb_backend.checkers.resources.classify import StallError

STALL_ALLOWANCE = 0.5
"""A timer that fires so much (s) too late means that this process did not run when it was due; less
is a busy moment."""

BEAT = 0.1
"""Seconds between two looks at the clock."""


class StallDetector:
    """Remembers when the event loop last stalled. Times are monotonic."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._last = mono()
        self._end = float("-inf")

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            await asyncio.sleep(BEAT)
            now = self._mono()
            if self._is_late(now):
                self._end = now
            self._last = now

    def stalled_since(self, moment: float) -> bool:
        """Whether the event loop stalled between `moment` and now."""
        return self._end >= moment or self._is_late(self._mono())

    def _is_late(self, now: float) -> bool:
        return now - self._last > BEAT + STALL_ALLOWANCE


def within(limit: float) -> "Limit":
    """TimeoutError when the body is not done `limit` seconds from now."""
    return Limit(asyncio.get_running_loop().time() + limit)


def until(deadline: float) -> "Limit":
    """TimeoutError when the body is not done at `deadline`, a time of the event loop."""
    return Limit(deadline)


class Limit:
    """An asynchronous context manager that ends its body with TimeoutError.

    With StallError instead where the loop stalled: the answer may well have been here in time.
    """

    # No generator: thousands of probes a second pass through here.
    __slots__ = ("_deadline", "_scope")

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._scope = asyncio.timeout_at(deadline)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._scope.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise time_up(self._deadline) from None
        if isinstance(error, TimeoutError):
            stall = time_up(self._deadline)
            if isinstance(stall, StallError):
                raise stall from None


def time_up(deadline: float) -> TimeoutError | StallError:
    """What went wrong where something is not done now, at its deadline."""
    late = asyncio.get_running_loop().time() - deadline
    if late > STALL_ALLOWANCE:
        return StallError(f"this daemon stalled for {late:.1f} s during the probe")
    return TimeoutError()
