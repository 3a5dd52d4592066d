"""What a daemon does not use any more does not stay in its memory."""

import asyncio
import gc
import weakref
from contextlib import suppress

from dnslb_backend.daemon.memory import collect_garbage
from tests.rigs.waiting import until


class Node:
    """Refers to itself: only the garbage collector frees it."""

    def __init__(self) -> None:
        self.next = self


async def test_cycles_that_outlived_their_first_collection_are_collected() -> None:
    thresholds = gc.get_threshold()
    node = Node()
    left = weakref.ref(node)
    gc.collect(0)
    gc.set_threshold(thresholds[0], 10_000)
    collecting = asyncio.create_task(collect_garbage(interval=0.01))
    try:
        del node
        await until(lambda: left() is None)
    finally:
        gc.set_threshold(*thresholds)
        collecting.cancel()
        with suppress(asyncio.CancelledError):
            await collecting
