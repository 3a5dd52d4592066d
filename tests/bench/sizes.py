"""What grows with the configuration: the start, the memory, and the cost of one change."""

import time
from typing import NamedTuple

from dnslb_backend.core.answers.invalidation import find_references
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.pdns.cache.purge_queue import PurgeQueue
from tests.bench.contestants import configuration
from tests.pdns.world import World
from tests.rigs.daemon import Daemon
from tests.rigs.processes import resident

CHANGES = 200


class PatientDaemon(Daemon):
    """10,000 records take longer to read than a test has patience for."""

    start_limit = 120.0


class Size(NamedTuple):
    """A daemon with so many records of three members each.

    `listening` and `ready` are seconds after its start, `megabytes` its resident memory then;
    `change` is the CPU in seconds that one change costs, from decision to purge.
    """

    records: int
    listening: float
    ready: float
    megabytes: float
    change: float


async def measure_size(records: int) -> Size:
    daemon = PatientDaemon(configuration(records), ready=False)
    began = time.monotonic()
    async with daemon:
        listening = time.monotonic() - began
        await daemon.ready(within=300)
        ready = time.monotonic() - began
        megabytes = resident(daemon.pid)
    return Size(records, listening, ready, megabytes, change_cost(records))


def change_cost(records: int) -> float:
    """CPU of a new snapshot after one member changed, and of telling the purger."""
    world = World()
    for number in range(records):
        world.serve(f"n{number}", "A", f"10.1.{number >> 8}.{number & 255}")
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
