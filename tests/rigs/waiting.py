"""Waiting for another process: the only place of the tests that uses a clock."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, overload

T = TypeVar("T")

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.05

END_LIMIT = 20.0
"""Seconds within which a process ends that was asked to."""


class Endable(Protocol):
    """A process, whichever way it was started."""

    async def wait(self) -> int: ...


async def exit_code(process: Endable, within: float = END_LIMIT) -> int:
    """The exit code of a process that is ending; TimeoutError if it does not."""
    async with asyncio.timeout(within):
        return await process.wait()


@overload
async def until(
    condition: Callable[[], Awaitable[T]], *, within: float = ..., what: str = ...
) -> T: ...
@overload
async def until(condition: Callable[[], T], *, within: float = ..., what: str = ...) -> T: ...
async def until(
    condition: Callable[[], T | Awaitable[T]], *, within: float = 30.0, what: str = ""
) -> T:
    """Poll `condition` until it returns something true, and return that.

    It is asked again after a pause that grows from 2 to 50 ms. TimeoutError after `within` seconds,
    naming `what` was waited for and what `condition` gave last.
    """
    deadline = time.monotonic() + within
    pause = FIRST_PAUSE
    while True:
        answer = condition()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within} s: {what or condition} (last: {value!r})")
        await asyncio.sleep(pause)  # noqa: TID251 - another process gives no event to wait for
        pause = min(pause * 2, LONGEST_PAUSE)


async def passes(seconds: float) -> None:
    """Wait for time to pass: only where the pause itself is what is tested."""
    await asyncio.sleep(seconds)  # noqa: TID251 - there is no event in it
