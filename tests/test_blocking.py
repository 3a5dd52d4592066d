"""Blocking calls end at their deadline for the caller, and never hold up the end of a process."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from contextlib import suppress

import pytest

from dnslb_backend.blocking import MAX_THREADS, run_blocking
from tests.rigs.waiting import until

OUTLIVED = """
import asyncio, threading
from dnslb_backend.blocking import run_blocking
async def main():
    try:
        await run_blocking(threading.Event().wait, 0.05)
    except TimeoutError:
        print("gave up")
asyncio.run(main())
"""


async def test_what_a_call_returns_and_raises_reaches_the_caller() -> None:
    assert await run_blocking(lambda: 7, 5) == 7
    with pytest.raises(ZeroDivisionError):
        await run_blocking(lambda: 1 // 0, 5)


class Loaded:
    """What a function had at hand when it failed."""


async def test_what_a_failed_call_had_at_hand_is_freed_at_once() -> None:
    """A refused reload of a large configuration must not wait for the garbage collector."""
    left: list[weakref.ref[Loaded]] = []

    def fail() -> None:
        loaded = Loaded()
        left.append(weakref.ref(loaded))
        raise ValueError

    gc.disable()
    try:
        with suppress(ValueError):
            await run_blocking(fail, 5)
        await until(lambda: left[0]() is None)
    finally:
        gc.enable()


async def test_calls_that_never_return_use_up_their_own_slots_only() -> None:
    release = threading.Event()
    calls = [run_blocking(release.wait, 0.1) for _ in range(MAX_THREADS)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    with pytest.raises(TimeoutError, match="under way"):
        await run_blocking(lambda: 7, 5)
    release.set()

    async def works_again() -> bool:
        with suppress(TimeoutError):
            return await run_blocking(lambda: True, 5)
        return False

    await until(works_again)


def test_a_call_that_never_returns_does_not_hold_up_the_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUTLIVED], capture_output=True, timeout=20, check=True, text=True
    )
    assert done.stdout == "gave up\n"
