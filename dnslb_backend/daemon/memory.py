"""How this process uses memory: Python's garbage collector, and the C library's allocator."""

import asyncio
import ctypes
import gc

COLLECT = (500, 5, 1_000_000_000)
"""Thresholds of the garbage collector: it often looks at new objects, and at those that outlived
that before there are many, which takes a millisecond; never at all others, which may be millions.
"""

INTERVAL = 10.0
"""Seconds between two collections of what outlived the first one, if there is little of it."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE = 128 << 10
"""Bytes from which a block is mapped by itself, and returned to the system when it is freed."""

ARENAS = 2


def configure_allocator() -> None:
    """Have glibc return what is freed to the system (mallopt(3)); other C libraries are left alone.

    By default every thread gets an arena of its own, and the size that counts as large grows with
    each large block that is freed: what a reload or a long page of status took for a moment would
    stay with the process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(M_ARENA_MAX, ARENAS)
    mallopt(M_MMAP_THRESHOLD, LARGE)
    mallopt(M_TRIM_THRESHOLD, LARGE)


def exempt_from_collection() -> None:
    """Exempt what exists by now, which stays: with ten thousand members, looking through all of it
    again and again would stop the event loop for tens of milliseconds."""
    gc.freeze()
    gc.set_threshold(*COLLECT)


async def collect_garbage(interval: float = INTERVAL) -> None:
    """Collect reference cycles that outlived their first collection; runs until cancelled.

    By its thresholds alone the collector would look at them after hours: requests that are not
    HTTP and peers that leave in the middle make cycles, too few for those and too many to keep.
    """
    while True:
        await asyncio.sleep(interval)
        gc.collect(1)
