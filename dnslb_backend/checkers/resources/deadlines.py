"""Limits of time for what a target must do, which tell its silence from our own standing still."""

import asyncio
from types import TracebackType

from dnslb_backend.checkers.resources.classify import ProbeError

STALL_ALLOWANCE = 0.5
"""A limit noticed so much (s) too late means that this process did not run when it was due."""


def within(limit: float) -> "Limit":
    """TimeoutError when the body is not done `limit` seconds from now."""
    return Limit(asyncio.get_running_loop().time() + limit)


def until(deadline: float) -> "Limit":
    """TimeoutError when the body is not done at `deadline`, a time of the event loop."""
    return Limit(deadline)


class Limit:
    """An asynchronous context manager that ends its body with TimeoutError.

    With ProbeError instead where the loop stood still: the answer may well have been here in time.
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
            self._own_up()
            raise
        if isinstance(error, TimeoutError):
            self._own_up()

    def _own_up(self) -> None:
        late = asyncio.get_running_loop().time() - self._deadline
        if late > STALL_ALLOWANCE:
            raise ProbeError(f"this daemon stood still for {late:.1f} s in the probe") from None
