"""What one probe costs: the daemon beside HAProxy and gdnsd that check the same targets.

In every round each of them runs alone, with all targets up and in steady state, for the same
time at the same rate; its CPU time counts whole, helper processes included.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from tests.bench.beating import LargeDaemon
from tests.bench.haproxy import SITE, Targets, checker
from tests.rigs.ports import free_port
from tests.rigs.processes import family, processor_time
from tests.rigs.server import Server, executable
from tests.rigs.waiting import passes, until

INTERVAL = 5

PATIENCE = 120.0

SETTLING = 2.0
"""Seconds from when all targets are up until the measurement begins."""

Setup = Callable[["Questions", Targets], AbstractAsyncContextManager[Server]]


@dataclass(frozen=True, slots=True)
class Questions:
    """So many targets of one kind, each asked every INTERVAL seconds."""

    kind: str
    count: int

    @property
    def addresses(self) -> list[str]:
        return [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(self.count)]


QUESTIONS = (
    Questions("static", 5000),
    Questions("tcp", 5000),
    Questions("http", 2500),
    Questions("https", 500),
)


class ProbeCost(NamedTuple):
    """CPU of one probe in seconds, in each round."""

    kind: str
    who: str
    costs: list[float]

    @property
    def cost(self) -> float:
        return median(self.costs)

    def ratio(self, other: "ProbeCost") -> float:
        """The median of the ratios of each round."""
        return median(own / peer for own, peer in zip(self.costs, other.costs, strict=True))


async def measure_probes(rounds: int, seconds: float, wanted: Sequence[str]) -> list[ProbeCost]:
    """`wanted` are parts of kinds."""
    chosen = [each for each in QUESTIONS if any(part in each.kind for part in wanted)]
    found: list[ProbeCost] = []
    async with Targets() as targets:
        for questions in chosen:
            costs = {who: ProbeCost(questions.kind, who, []) for who in _who(questions)}
            for number in range(rounds):
                for who, cost in costs.items():
                    sys.stderr.write(f"{questions.kind}, {who}, round {number + 1}\n")
                    cost.costs.append(await _measure(SETUPS[who], questions, targets, seconds))
            found += costs.values()
    return found


def _who(questions: Questions) -> list[str]:
    if questions.kind == "static":
        return ["dnslb-backend"]
    # gdnsd speaks no TLS.
    return [who for who in SETUPS if who != "gdnsd" or questions.kind != "https"]


async def _measure(setup: Setup, questions: Questions, targets: Targets, seconds: float) -> float:
    async with setup(questions, targets) as server:
        await passes(SETTLING)
        before = sum(map(processor_time, family(server.pid)))
        await passes(seconds)
        spent = sum(map(processor_time, family(server.pid))) - before
    return spent / (questions.count / INTERVAL * seconds)


@asynccontextmanager
async def _ours(questions: Questions, targets: Targets) -> AsyncIterator[Server]:
    port = targets.tls_port if questions.kind == "https" else targets.port
    check: dict[str, object] = {"type": questions.kind}
    if questions.kind == "tcp":
        check["port"] = port
    elif questions.kind != "static":
        check["url"] = f"{questions.kind}://{SITE}:{port}/health"
    if questions.kind == "https":
        check["ca_file"] = str(targets.ca_file)
    members = questions.addresses
    rows = ", ".join(f"{key} = {json.dumps(value)}" for key, value in check.items())
    text = f"""
[global]
domain_name = "lb.example"
loglevel = "error"
max_record_checks = 5000
[default]
interval = {INTERVAL}
timeout = 2
dns_timeout = 1
ttl = 5
check = {{ {rows} }}
""" + "".join(
        f"[records.n{start}.A]\ndest = {json.dumps(members[start : start + 4])}\n"
        for start in range(0, len(members), 4)
    )
    async with LargeDaemon(text, ready=False) as daemon:

        async def up() -> bool:
            _, shown = await daemon.get("/metrics")
            return f'dnslb_targets{{health="UP"}} {float(questions.count)}' in shown

        await until(up, within=PATIENCE, what="all targets UP")
        yield daemon


@asynccontextmanager
async def _haproxy(questions: Questions, targets: Targets) -> AsyncIterator[Server]:
    async with checker(questions.kind, questions.addresses, INTERVAL, targets) as server:

        async def up() -> bool:
            return (await server.statuses()).count("UP") == questions.count

        # A server counts as UP before its first check.
        await passes(INTERVAL)
        await until(up, within=PATIENCE, what="all targets UP")
        yield server


class Gdnsd(Server):
    """gdnsd that monitors these targets, in resources of 50 addresses."""

    name = "gdnsd"

    def __init__(self, questions: Questions, port: int) -> None:
        super().__init__()
        plugin = "tcp_connect" if questions.kind == "tcp" else "http_status"
        page = "" if questions.kind == "tcp" else f'url_path => "/health", vhost => "{SITE}",'
        members = questions.addresses
        resources = "\n".join(
            f"r{start} => {{ "
            + ", ".join(f"m{at} => {each}" for at, each in enumerate(members[start : start + 50]))
            + " }"
            for start in range(0, len(members), 50)
        )
        folders = "".join(f"{each}_dir => {self.directory}/{each}\n" for each in ("run", "state"))
        (self.directory / "config").write_text(
            f"options => {{ listen => 127.0.0.1:{free_port()}\n{folders} }}\n"
            f"service_types => {{ web => {{ plugin => {plugin}, {page} port => {port},"
            f" interval => {INTERVAL}, timeout => 2 }} }}\n"
            f"plugins => {{ multifo => {{ service_types => web\n{resources} }} }}\n"
        )

    def command(self) -> list[str]:
        return [executable("gdnsd"), "-c", str(self.directory), "start"]

    async def answers(self) -> bool:
        return "DNS listeners started" in self.latest_log


@asynccontextmanager
async def _gdnsd(questions: Questions, targets: Targets) -> AsyncIterator[Server]:
    async with Gdnsd(questions, targets.port) as server:
        await passes(INTERVAL)
        yield server


SETUPS: dict[str, Setup] = {"dnslb-backend": _ours, "HAProxy": _haproxy, "gdnsd": _gdnsd}
