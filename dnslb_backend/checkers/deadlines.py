"""Limits of time for what a target must do, which tell its silence from our own standing still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dnslb_backend.checkers.failures import ProbeError

STALL_ALLOWANCE = 0.5
"""A limit noticed so much (s) too late means that this process did not run when it was due."""


@asynccontextmanager
async def within(limit: float) -> AsyncIterator[None]:
    """TimeoutError when the body is not done `limit` seconds from now."""
    async with until(asyncio.get_running_loop().time() + limit):
        yield


@asynccontextmanager
async def until(deadline: float) -> AsyncIterator[None]:
    """TimeoutError when the body is not done at `deadline`, a time of the event loop.

    ProbeError instead where the loop stood still: the answer may well have been here in time.
    """
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        late = asyncio.get_running_loop().time() - deadline
        if late > STALL_ALLOWANCE:
            raise ProbeError(f"this daemon stood still for {late:.1f} s in the probe") from None
        raise
