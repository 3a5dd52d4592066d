"""Blocking calls with a deadline, in threads that nothing waits for.

The executor of asyncio is shared, small, and joined at the end of the process: one file on storage
that hangs would stop every other user of it, and the shutdown.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

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
    call = threading.Thread(
        target=_call, args=(function, loop, outcome), name=THREAD_NAME, daemon=True
    )
    try:
        call.start()
    except RuntimeError:
        _slots.release()
        raise
    try:
        async with asyncio.timeout(deadline):
            return await outcome
    finally:
        # It holds the exception, whose traceback refers to this frame: without this, they and all
        # that the function had at hand would wait for the garbage collector.
        del outcome


def _call(
    function: Callable[[], T], loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T]
) -> None:
    try:
        deliver = partial(_deliver, outcome, function(), None)
    except BaseException as error:  # noqa: BLE001 -- carried over to the caller
        deliver = partial(_deliver, outcome, None, error)
    finally:
        _slots.release()
    with suppress(RuntimeError):  # the loop has ended, and the caller with it
        loop.call_soon_threadsafe(deliver)
    del outcome, deliver  # for the reason above


def _deliver(outcome: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if outcome.done():
        return
    if error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(value)


def is_under_way() -> bool:
    """Whether a call has not returned yet.

    The interpreter cannot be ended then as usual: it ends the thread in the middle, and libraries
    in Rust or C++ abort the process (pthread_exit(3) unwinds their frames).
    """
    return any(thread.name == THREAD_NAME for thread in threading.enumerate())
