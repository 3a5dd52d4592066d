"""Many targets: how late probes begin, and what lookups notice of them.

Every scene is a daemon of its own with its targets in another process. It is looked at in steady
state, for as long as it is told, by what its own metrics say and by a client that asks over the
unix connector, one lookup after the other.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from statistics import quantiles
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.alone import UNIX_LINE
from tests.bench.asker import lookups
from tests.bench.beating import LargeDaemon
from tests.bench.haproxy import Targets
from tests.rigs.daemon import Daemon
from tests.rigs.namespaces import Namespace, namespace
from tests.rigs.processes import family, processor_time, resident

INTERVAL = 5
LOOKUP_PAUSE = 0.004
LOOK_PAUSE = 1.0
HOLE = "10.64.0.0/10"

Samples = dict[tuple[str, str], float]
"""Values by name and by what tells them apart: `le` of a bucket, health of targets."""


class Checking(NamedTuple):
    """What one scene showed. Times are seconds, memory is megabytes with all helper processes.

    `probes` and `cpu` are for each second; `settled` is when every target was decided, `first_max`
    the slowest lookup until then.
    """

    scene: str
    targets: int
    settled: float
    first_max: float
    probes: float
    lag_p50: float
    lag_p99: float
    lookup_p50: float
    lookup_p99: float
    lookup_max: float
    megabytes: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Scene:
    """`records` list the addresses of each record, `check` is asked of each."""

    name: str
    check: object
    records: Sequence[Sequence[str]]
    is_swallowed: bool = False
    interval: int = INTERVAL

    @property
    def targets(self) -> int:
        return len({address for addresses in self.records for address in addresses})


def scenes(port: int) -> list[Scene]:
    http = {"type": "http", "url": f"http://%(address)s:{port}/health"}
    tcp = {"type": "tcp", "port": port}
    return [
        Scene("10,000 tcp", tcp, grouped(addresses("127.1.0.1", 10_000), 4)),
        Scene("30,000 tcp", tcp, grouped(addresses("127.1.0.1", 30_000), 4)),
        Scene("2,000 http", http, grouped(addresses("127.1.0.1", 2_000), 4)),
        Scene("5,000 http", http, grouped(addresses("127.1.0.1", 5_000), 4)),
        Scene("1,000 commands, 200/s", ["true"], grouped(addresses("127.1.0.1", 1_000), 4)),
        Scene(
            "10,000 that never answer",
            tcp,
            grouped(addresses("10.64.0.1", 10_000), 4),
            is_swallowed=True,
        ),
        Scene(
            "100,000 that never answer, every 60 s",
            tcp,
            grouped(addresses("10.64.0.1", 100_000), 1),
            is_swallowed=True,
            interval=60,
        ),
        Scene("300 shared by 5,000 records", tcp, shared(addresses("127.1.0.1", 300), 5_000, 4)),
    ]


def addresses(first: str, count: int) -> list[str]:
    start = IPv4Address(first)
    return [str(start + number) for number in range(count)]


def grouped(found: Sequence[str], size: int) -> list[Sequence[str]]:
    return [found[start : start + size] for start in range(0, len(found), size)]


def shared(found: Sequence[str], records: int, size: int) -> list[list[str]]:
    """Each record has other neighbours, and every address is in many."""
    return [
        [found[(number * 7 + place * 31) % len(found)] for place in range(size)]
        for number in range(records)
    ]


async def checking(seconds: float, wanted: Sequence[str]) -> list[Checking]:
    async with Targets() as targets:
        chosen = [
            scene for scene in scenes(targets.port) if any(part in scene.name for part in wanted)
        ]
        return [await measure_scene(scene, seconds) for scene in chosen]


async def measure_scene(scene: Scene, seconds: float) -> Checking:
    sys.stderr.write(f"{scene.name}\n")
    async with AsyncExitStack() as stack:
        space: Namespace | None = None
        if scene.is_swallowed:
            space = stack.enter_context(namespace())
            space.swallow(HOLE)
        daemon = await stack.enter_async_context(_daemon(scene, space))
        path = str(daemon.directory / "unix")
        began = time.monotonic()
        async with lookups(path) as first:
            await _settle(daemon, scene)
        settled = time.monotonic() - began
        await asyncio.sleep(2 * INTERVAL)  # noqa: TID251 - until it is in its steady state
        before, cpu, start = await _samples(daemon), processor_time(daemon.pid), time.monotonic()
        taken = await _ask(path, seconds)
        lasted = time.monotonic() - start
        after, spent = await _samples(daemon), processor_time(daemon.pid) - cpu
        lag = _difference(before, after, "dnslb_scheduler_lag_seconds_bucket")
        cuts = quantiles(taken, n=100)
        return Checking(
            scene.name,
            scene.targets,
            settled,
            max(first),
            lag[-1][1] / lasted,
            quantile(lag, 0.5),
            quantile(lag, 0.99),
            cuts[49],
            cuts[98],
            max(taken),
            sum(map(resident, family(daemon.pid))),
            spent / lasted,
        )


@asynccontextmanager
async def _daemon(scene: Scene, space: Namespace | None) -> AsyncIterator[Daemon]:
    inside = space.inside if space else ()
    host = space.inner if space else "127.0.0.1"
    daemon = LargeDaemon("[global]\ndomain_name = 'x'", ready=False, host=host, inside=inside)
    allowed = f'allow = ["127.0.0.0/8", "{space.outer}/32"]' if space else ""
    daemon.configure(_configuration(scene, str(daemon.directory / "unix"), allowed))
    async with daemon:
        yield daemon


def _configuration(scene: Scene, path: str, allowed: str) -> str:
    head = f"""
[global]
domain_name = "lb.example"
loglevel = "error"
max_record_checks = 5000
[default]
ttl = 5
interval = {scene.interval}
timeout = 2
dns_timeout = 1
check = {_toml(scene.check)}
{'expect = ""' if isinstance(scene.check, list) else ""}
[server]
unix = "{path}"
{allowed}
[admin]
record_metrics = "problems"
{allowed}
"""
    records = (
        f"[records.n{number}.A]\ndest = {json.dumps(list(addresses))}\n"
        for number, addresses in enumerate(scene.records)
    )
    return head + "".join(records)


def _toml(check: object) -> str:
    if isinstance(check, dict):
        return "{ " + ", ".join(f"{key} = {json.dumps(each)}" for key, each in check.items()) + " }"
    return json.dumps(check)


async def _settle(daemon: Daemon, scene: Scene) -> None:
    """Wait until every target is UP or DOWN."""
    decided = 0.0
    while decided < scene.targets:
        # Not oftener: its metrics cost it time as well.
        await asyncio.sleep(LOOK_PAUSE)  # noqa: TID251 - see above
        found = await _samples(daemon)
        decided = sum(found.get(("dnslb_targets", health), 0) for health in ("UP", "DOWN"))


async def _samples(daemon: Daemon) -> Samples:
    _, text = await daemon.get("/metrics")
    return {
        (sample.name, sample.labels.get("le") or sample.labels.get("health") or ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _difference(before: Samples, after: Samples, name: str) -> list[tuple[float, float]]:
    """The buckets of a histogram as they filled in between: upper bound, how many up to it."""
    return sorted(
        (float(bound), value - before.get((found, bound), 0.0))
        for (found, bound), value in after.items()
        if found == name
    )


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """The value below which `share` lies, as Prometheus's histogram_quantile estimates it."""
    rank, low, below = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            inside = (rank - below) / (count - below) if count > below else 0.0
            return low if bound == float("inf") else low + (bound - low) * inside
        low, below = bound, count
    return low


async def _ask(path: str, seconds: float) -> list[float]:
    """How long each of many lookups took, one after the other with a pause."""
    reader, writer = await asyncio.open_unix_connection(path)
    taken: list[float] = []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += 1
        began = time.perf_counter()
        writer.write(UNIX_LINE % (number % 200))
        await reader.readline()
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(LOOKUP_PAUSE)  # noqa: TID251 - the load of the measurement
    writer.close()
    return taken
