"""Blocking calls with a deadline, in threads that nothing waits for.

The executor of asyncio is shared, small, and joined at the end of the process: one file on storage
that hangs would stop every other user of it, and the shutdown.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MAX_THREADS = 32
"""Calls under way at once, those included that were given up and have not returned."""

THREAD_NAME = "blocking call"

_slots = threading.BoundedSemaphore(MAX_THREADS)


async def run_blocking(function: Callable[[], T], deadline: float | None) -> T:
    """What `function` returns or raises, or TimeoutError after `deadline` seconds (None: never).

    A call that is given up goes on in its thread, a daemon thread that does not hold up the exit,
    and its outcome is discarded. While MAX_THREADS calls are under way, the next one raises
    TimeoutError at once.
    """
    if not _slots.acquire(blocking=False):
        raise TimeoutError(f"{MAX_THREADS} blocking calls are under way")
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)  # type: ignore[arg-type]  # T may be Optional itself

    def call() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = function()
        except BaseException as raised:  # noqa: BLE001  # carried over to the caller
            error = raised
        finally:
            _slots.release()
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:
            return  # the loop has ended: nobody waits for the outcome

    try:
        threading.Thread(target=call, name=THREAD_NAME, daemon=True).start()
    except RuntimeError:
        _slots.release()
        raise
    async with asyncio.timeout(deadline):
        return await outcome


def is_under_way() -> bool:
    """Whether a call has not returned yet.

    The interpreter cannot be ended then as usual: it ends the thread in the middle, and libraries
    in Rust or C++ abort the process (pthread_exit(3) unwinds their frames).
    """
    return any(thread.name == THREAD_NAME for thread in threading.enumerate())
