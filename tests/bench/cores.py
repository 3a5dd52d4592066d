"""More than one core: a daemon behind its PowerDNS, and two such pairs side by side.

What is asked for may not be cached, so that both have to work for every answer. Pairs stay on
cores of their own; the clients take their time from all, and so CPU time says more than rates.
"""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.contestants import CACHES_ON
from tests.bench.load import full_speed, write_queries
from tests.bench.uncached import UNIX, Side, ours, weighted
from tests.rigs.processes import processor_time

WARM_UP = 1.0

Layout = tuple[tuple[int, ...], ...]
"""For each pair the cores that it stays on."""


class Cores(NamedTuple):
    """So many pairs on so many cores together: queries a second, and microseconds of a query."""

    pairs: int
    cores: int
    rate: float
    server: float
    backend: float


async def measure_cores(*, rounds: int, seconds: float) -> list[Cores]:
    """One pair on one core, one on two, and two of them on one each, in turns."""
    queries = write_queries(Path(tempfile.mkdtemp(prefix="cores-")))
    layouts: tuple[Layout, ...] = (((0,),), ((0, 1),), ((0,), (1,)))
    runs: dict[Layout, list[Cores]] = {layout: [] for layout in layouts}
    for _ in range(rounds):
        for layout in layouts:
            runs[layout].append(await _measure(layout, queries, seconds))
    return [
        Cores(
            len(layout),
            len({core for cores in layout for core in cores}),
            *(median(run[place] for run in found) for place in (2, 3, 4)),
        )
        for layout, found in runs.items()
    ]


async def _measure(layout: Layout, queries: Path, seconds: float) -> Cores:
    async with AsyncExitStack() as stack:
        pairs: list[Side] = []
        for cores in layout:
            opened = ours(UNIX, CACHES_ON, "weighted", weighted)
            pairs.append(await stack.enter_async_context(opened))
            for pid in _pids(pairs[-1]):
                _pin(pid, cores)
        await asyncio.gather(*(full_speed(pair.server, queries, WARM_UP) for pair in pairs))
        before = [processor_time(pid) for pair in pairs for pid in _pids(pair)]
        runs = await asyncio.gather(*(full_speed(each.server, queries, seconds) for each in pairs))
        after = [processor_time(pid) for pair in pairs for pid in _pids(pair)]
    spent = [now - then for now, then in zip(after, before, strict=True)]
    answered = sum(run.sent - run.lost for run in runs)
    server, backend = (1e6 * sum(spent[place::2]) / answered for place in (0, 1))
    count = len({core for cores in layout for core in cores})
    return Cores(len(layout), count, sum(run.rate for run in runs), server, backend)


def _pids(pair: Side) -> tuple[int, int]:
    assert pair.backend is not None
    return pair.server.pid, pair.backend.pid


def _pin(pid: int, cores: tuple[int, ...]) -> None:
    """Keep every thread of a process on these cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)
