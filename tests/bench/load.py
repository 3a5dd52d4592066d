"""Full load, and what it shows: dnsperf in front of a PowerDNS."""

import asyncio
import re
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple, Protocol

from tests.pdns.served import read_tally
from tests.pdns.serving import NAMES
from tests.rigs.server import executable

CLIENTS, OUTSTANDING = 20, 200

ANSWERED = re.compile(r"^> (?P<code>\w+) \S+ \S+ (?P<seconds>[0-9.]+)$", re.MULTILINE)


class NameServer(Protocol):
    """Whatever answers DNS there."""

    host: str
    port: int


class Run(NamedTuple):
    """One measurement at full speed: queries a second, and what was not answered well."""

    rate: float
    sent: int
    lost: int
    failed: int


class Latency(NamedTuple):
    """Seconds from query to answer, at a steady `rate` far below the limit."""

    rate: int
    p50: float
    p99: float


def write_queries(directory: Path) -> Path:
    """The names of tests.pdns.serving, once each."""
    path = directory / "queries"
    path.write_text("".join(f"n{number}.lb.example A\n" for number in range(NAMES)))
    return path


async def full_speed(
    server: NameServer, queries: Path, seconds: float, rate: int | None = None
) -> Run:
    """As many queries as it answers, or `rate` of them a second."""
    limit = ("-Q", str(rate)) if rate else ("-c", str(CLIENTS), "-q", str(OUTSTANDING))
    report = await _dnsperf(server, queries, "-l", str(seconds), *limit)
    tally = read_tally(report)
    failed = sum(count for code, count in tally.codes.items() if code != "NOERROR")
    return Run(tally.rate, tally.sent, tally.lost, failed)


async def steady(server: NameServer, queries: Path, seconds: float, rate: int) -> Latency:
    """How long answers take while it has time."""
    report = await _dnsperf(server, queries, "-l", str(seconds), "-Q", str(rate), "-v")
    times = [float(found["seconds"]) for found in ANSWERED.finditer(report)]
    if len(times) < 100:
        return Latency(rate, float("nan"), float("nan"))
    cuts = quantiles(times, n=100)
    return Latency(rate, cuts[49], cuts[98])


async def _dnsperf(server: NameServer, queries: Path, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(executable("dnsperf"), "-s", server.host, "-p", str(server.port), "-d", str(queries)),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return output.decode()
