"""What grows with the configuration: the start, memory, one change, and a reload.

A daemon of so many records of three members each, whose checks ask nobody. While it makes its first
rounds and while it reloads it is asked all the time; no lookup may have to wait.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from dnslb_backend.core.answers.invalidation import find_references
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.pdns.cache.purge_queue import PurgeQueue
from tests.bench.asker import lookups
from tests.bench.beating import BeatingDaemon, Gap
from tests.bench.contestants import configuration
from tests.bench.table import table
from tests.pdns.world import World
from tests.rigs.processes import processor_time, resident
from tests.rigs.waiting import passes

CHANGES = 200
PATIENCE = 600.0

AFTERMATH = 12.0
"""Seconds after a reload in which what follows from it is measured as well."""


class Stall(NamedTuple):
    """The longest gap in the event loop, and the longest lookup, in seconds."""

    gap: Gap
    lookup: float


class Size(NamedTuple):
    """A daemon with so many records.

    `load` is its CPU until it listens, `rounds` that from then on until it is ready; `megabytes` is
    its resident memory then. `change` is the CPU that one change costs, from decision to purge.
    `start` is from the first listener until it is ready, `reloads` are of one changed record each,
    with `reload`, the CPU of one until it is in force.
    """

    records: int
    load: float
    rounds: float
    megabytes: float
    change: float
    start: Stall
    reload: float
    reloads: list[Stall]


async def measure_size(records: int, reloads: int = 3) -> Size:
    daemon = beating(records)
    async with daemon:
        began, load = time.monotonic(), processor_time(daemon.pid)
        async with lookups(daemon.path) as taken:
            await daemon.ready(within=PATIENCE)
        start = Stall(daemon.longest(began), max(taken))
        rounds, megabytes = processor_time(daemon.pid) - load, resident(daemon.pid)
        await passes(AFTERMATH)
        spent, stalls, written = [], [], daemon.config_file.read_text()
        for number in range(reloads):
            daemon.config_file.write_text(changed(written, number))
            async with lookups(daemon.path) as taken:
                began, cpu = time.monotonic(), processor_time(daemon.pid)
                await reload(daemon)
                spent.append(processor_time(daemon.pid) - cpu)
                await passes(AFTERMATH)
            stalls.append(Stall(daemon.longest(began), max(taken)))
    change = change_cost(records)
    return Size(records, load, rounds, megabytes, change, start, median(spent), stalls)


def change_cost(records: int) -> float:
    """CPU of a new snapshot after one member changed, and of telling the purger."""
    world = World()
    for number in range(records):
        world.serve(f"n{number}", "A", f"10.1.{number >> 8 & 255}.{number & 255}")
    world.snapshot = world.build()
    plan = Plan(world.zones, world.records)
    dependents = find_references(plan, world.snapshot.name_index)
    queue = PurgeQueue()
    keys = [key for key in world.records if key.name.startswith("n1")][:CHANGES]
    decisions = [world.decisions[key] for key in keys]
    began = time.process_time()
    for key, decision in zip(keys, decisions, strict=True):
        changed = world.decide(key, type(decision)(decision.kind, ("192.0.2.250",)))
        queue.add(dependents.names_to_purge(changed), time.monotonic())
    return (time.process_time() - began) / len(keys)


def beating(records: int) -> BeatingDaemon:
    daemon = BeatingDaemon("[global]\ndomain_name = 'x'")
    daemon.configure(configuration(records, daemon.path))
    return daemon


def changed(written: str, number: int) -> str:
    """The configuration with another address in one record, each time."""
    return written.replace('"10.0.0.5"', f'"10.250.{number >> 8}.{number & 255}"')


async def reload(daemon: BeatingDaemon) -> None:
    after = len(daemon.log)
    daemon.reload()
    await daemon.logged("reloaded:", within=PATIENCE, after=after)


def sizes_table(found: Sequence[Size]) -> str:
    """Each figure, and per record how many times that of the smallest size it is."""
    first = found[0]
    head = (
        "records",
        "load s",
        "ms each",
        "ratio",
        "rounds s",
        "ms each",
        "ratio",
        "MB",
        "kB each",
    )
    return table(
        (*head, "change ms", "start gap ms", "lookup ms", "reload s", "gap ms", "lookup ms"),
        [
            (
                f"{size.records:,}",
                f"{size.load:.1f}",
                *_each(size, first, lambda one: one.load),
                f"{size.rounds:.1f}",
                *_each(size, first, lambda one: one.rounds),
                f"{size.megabytes:.0f}",
                _slope(size, first),
                f"{1e3 * size.change:.3f}",
                f"{1e3 * size.start.gap.seconds:.0f}",
                f"{1e3 * size.start.lookup:.0f}",
                f"{size.reload:.2f}",
                f"{1e3 * median(stall.gap.seconds for stall in size.reloads):.0f}",
                f"{1e3 * median(stall.lookup for stall in size.reloads):.0f}",
            )
            for size in found
        ],
    )


def _each(size: Size, first: Size, figure: Callable[[Size], float]) -> tuple[str, str]:
    one, least = figure(size) / size.records, figure(first) / first.records
    return f"{1e3 * one:.2f}", f"{one / least:.2f}"


def _slope(size: Size, first: Size) -> str:
    """kB a record, beyond what the smallest size takes."""
    if size is first:
        return ""
    more = 1e3 * (size.megabytes - first.megabytes)
    return f"{more / (size.records - first.records):.1f}"
