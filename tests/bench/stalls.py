"""What operators ask of a large node, and how long lookups wait for it meanwhile."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median
from typing import NamedTuple

import aiohttp

from dnslb_backend.core.model.zones import assign_ids
from dnslb_backend.pdns.methods.responder import Responder
from tests.bench.asker import lookups
from tests.bench.beating import LargeDaemon
from tests.bench.contestants import configuration
from tests.pdns.served import ROOT
from tests.pdns.world import World
from tests.rigs.daemon import Daemon, with_setting
from tests.rigs.processes import processor_time, resident
from tests.rigs.waiting import until

LOOK = 0.1
PAUSE = 0.2
CLIENTS = 1000

WHOLE = "/api/v1/status"
PAGE = 1000
SHORT = 200_000
"""Bytes of metrics without the series of thousands of records."""


class Stall(NamedTuple):
    """What one kind of request costs: seconds of CPU and bytes of each (all pages of a status are
    one), and the lookups beside it. `megabytes` is the resident memory at its highest.
    """

    scene: str
    records: int
    asked: int
    cpu: float
    size: int
    lookup_p50: float
    lookup_p99: float
    lookup_max: float
    megabytes: float


Ask = Callable[[aiohttp.ClientSession], Awaitable[int]]
"""Asks once; returns the bytes that came."""


def get(path: str) -> Ask:
    async def ask(session: aiohttp.ClientSession) -> int:
        async with session.get(path) as response:
            assert response.status == 200, await response.text()
            return len(await response.read())

    return ask


async def all_pages(session: aiohttp.ClientSession) -> int:
    cursor, size = "", 0
    while True:
        query = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        async with session.get(WHOLE, params=query) as response:
            body = await response.read()
            assert response.status == 200, body
        size += len(body)
        cursor = json.loads(body)["cursor"]
        if cursor is None:
            return size


async def idle(_: aiohttp.ClientSession) -> int:
    return 0


async def scrape_both(session: aiohttp.ClientSession) -> int:
    return sum(await asyncio.gather(get(WHOLE)(session), get("/metrics")(session)))


SCENES: dict[str, Ask] = {
    "nothing": idle,
    "the whole status": get(WHOLE),
    f"the status in pages of {PAGE:,}": all_pages,
    "the status in lines": get("/api/v1/status/lines"),
    "metrics": get("/metrics"),
    "status and metrics at once": scrape_both,
    "the OpenAPI document": get("/api/v1/openapi.json"),
    "readiness": get("/readyz"),
}


async def measure_stalls(records: int, seconds: float) -> list[Stall]:
    daemon = LargeDaemon("[global]\ndomain_name = 'x'", ready=False)
    path = str(daemon.directory / "unix")
    config = configuration(records, path)
    daemon.configure(config)
    async with daemon:
        await daemon.ready(within=300)
        await asyncio.sleep(3)  # noqa: TID251 - until the mirror has taken in the first health
        loads = {scene: _repeat(ask, seconds) for scene, ask in SCENES.items()}
        loads[f"{CLIENTS:,} slow clients"] = _crowd(seconds)
        found = [
            await _measure(daemon, path, scene, records, load) for scene, load in loads.items()
        ]
        daemon.configure(with_setting(config, "admin", "record_metrics", "problems"))
        daemon.reload()
        await until(lambda: _is_short(daemon, "/metrics"), within=60)
        scene = "metrics of records in trouble only"
        load = _repeat(get("/metrics"), seconds)
        return [*found, await _measure(daemon, path, scene, records, load)]


async def _is_short(daemon: Daemon, path: str) -> bool:
    async with aiohttp.ClientSession(f"http://{daemon.admin}") as session:
        return await get(path)(session) < SHORT


Load = Callable[[Daemon], Awaitable[tuple[int, int]]]
"""Asks for some time; returns how often, and the bytes that came."""


async def _measure(daemon: Daemon, path: str, scene: str, records: int, load: Load) -> Stall:
    sys.stderr.write(f"{scene}\n")
    cpu = processor_time(daemon.pid)
    async with _memory(daemon) as highest, lookups(path) as taken:
        asked, size = await load(daemon)
    spent = processor_time(daemon.pid) - cpu
    p50, p99, longest = taken
    times = max(asked, 1)
    return Stall(scene, records, asked, spent / times, size // times, p50, p99, longest, highest[0])


def _repeat(ask: Ask, seconds: float) -> Load:
    async def load(daemon: Daemon) -> tuple[int, int]:
        asked, size, end = 0, 0, time.monotonic() + seconds
        async with aiohttp.ClientSession(f"http://{daemon.admin}") as session:
            while time.monotonic() < end:
                size += await ask(session)
                asked += 1
                await asyncio.sleep(PAUSE)  # noqa: TID251 - scrapes have pauses
        return asked, size

    return load


def _crowd(seconds: float) -> Load:
    """Clients that ask for the whole status and take nothing of it."""

    async def load(daemon: Daemon) -> tuple[int, int]:
        host, _, port = daemon.admin.rpartition(":")
        writers = []
        for _ in range(CLIENTS):
            _, writer = await asyncio.open_connection(host, int(port), limit=1)
            writer.write(f"GET {WHOLE} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            writers.append(writer)
        await asyncio.sleep(seconds)  # noqa: TID251 - they take nothing
        for writer in writers:
            writer.transport.abort()
        return CLIENTS, 0

    return load


@asynccontextmanager
async def _memory(daemon: Daemon) -> AsyncIterator[list[float]]:
    """A list whose one element is the most megabytes that were resident."""
    highest = [resident(daemon.pid)]

    async def look() -> None:
        while True:
            highest[0] = max(highest[0], resident(daemon.pid))
            await asyncio.sleep(LOOK)  # noqa: TID251 - it is sampled

    looking = asyncio.create_task(look())
    try:
        yield highest
    finally:
        looking.cancel()


class ZoneList(NamedTuple):
    """CPU seconds of getAllDomains: the first one, the next one, and one after a change."""

    zones: int
    first: float
    again: float
    after_change: float


def measure_zone_list(zones: int) -> ZoneList:
    world, names = World(), [f"z{number}.example" for number in range(zones)]
    ids = assign_ids(names)
    (one, *_) = world.zones.values()
    for name in names:
        world.zones[name] = replace(one, name=name, spelling=name, id=ids[name], static=())
    world.snapshot = world.build()
    responder = Responder(world.current)

    def cost() -> float:
        began = time.process_time()
        responder.answer("getAllDomains", {})
        return time.process_time() - began

    first, again = cost(), cost()
    world.change("www", "A", "10.0.0.3")
    return ZoneList(zones, first, again, cost())


class CommandStart(NamedTuple):
    """CPU seconds of a command from its start to its end, the median of several."""

    command: str
    cpu: float


COMMANDS = (
    "--version",
    "check-config -c configs/minimal.toml",
    "status --admin http://127.0.0.1:1",
)


async def measure_starts(runs: int = 7) -> list[CommandStart]:
    return [
        CommandStart(command, median([await _start(command.split()) for _ in range(runs)]))
        for command in COMMANDS
    ]


async def _start(words: list[str]) -> float:
    before = os.times()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dnslb_backend", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system
