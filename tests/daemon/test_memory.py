"""What a daemon does not use any more does not stay in its memory."""

import asyncio
import gc
import weakref
from contextlib import suppress
from pathlib import Path

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.daemon.memory import COLLECT, collect_garbage
from tests.rigs.waiting import until

RECORDS = 3000


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


def test_a_reload_does_not_keep_the_collector_from_young_objects(tmp_path: Path) -> None:
    """It counts what is made less what is freed: looked at too late, it stops all threads."""
    path = tmp_path / "dnslb.toml"
    records = (
        f'[records.n{n}.A]\npolicy = "all"\ndest = ["10.0.{n >> 8}.{n & 255}"]\n'
        for n in range(RECORDS)
    )
    path.write_text(
        '[global]\ndomain_name = "lb.example"\n[default]\nttl = 5\ninterval = 60\ntimeout = 2\n'
        'dns_timeout = 1\ncheck = { type = "static" }\n' + "".join(records)
    )
    first = load(ConfigPaths(path))
    young: list[int] = []

    def look(phase: str, _: object) -> None:
        if phase == "start":
            young.append(len(gc.get_objects(0)))

    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    gc.callbacks.append(look)
    try:
        load(ConfigPaths(path), first)
    finally:
        gc.callbacks.remove(look)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    assert max(young) < RECORDS
