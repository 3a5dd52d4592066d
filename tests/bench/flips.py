"""From a change of health to the first DNS answer that knows of it, under load, with caches on."""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import dns.message

from tests.bench.contestants import CACHES_ON
from tests.bench.flipper import address
from tests.bench.load import full_speed
from tests.pdns.served import ROOT
from tests.pdns.slow_proxy import slow_proxy
from tests.pdns.transports import http_settings, unix_settings
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS

SETTLED = 0.1
"""Seconds after a change from which on no answer may be stale."""

WATCHED = 0.13
"""Seconds that answers are looked at after a change."""


class Flips(NamedTuple):
    """Seconds until a change was seen; and answers that were stale SETTLED after it."""

    name: str
    changes: int
    median: float
    worst: float
    stale: int
    load: float


async def flips(name: str, *, count: int, queries: Path, delay: float | None = None) -> Flips:
    """So many changes. `delay` has the responder take so long for each answer, over HTTP."""
    directory = Path(tempfile.mkdtemp(prefix="flips-"))
    path, port = f"{directory}/flipper.sock", free_port()
    async with AsyncExitStack() as stack:
        if delay is None:
            settings = {**unix_settings(path), "distributor-threads": 4}
        else:
            slow_port, _ = await stack.enter_async_context(slow_proxy(port, delay))
            settings = {**http_settings(slow_port), "distributor-threads": 32}
        pdns = PowerDNS({**settings, **CACHES_ON, "max-queue-length": 1_000_000})
        flipper = await _start_flipper(path, port, str(pdns.control_socket))
        try:
            await stack.enter_async_context(pdns)
            load = asyncio.create_task(full_speed(pdns, queries, count * (WATCHED + 0.02)))
            seen = await asyncio.to_thread(_watch, flipper, pdns.address, count)
            run = await load
        finally:
            flipper.kill()
            flipper.communicate()
    times = [first for first, _ in seen]
    stale = sum(late for _, late in seen)
    return Flips(name, count, median(times), max(times), stale, run.rate)


async def _start_flipper(path: str, port: int, control_socket: str) -> subprocess.Popen[str]:
    where = ["--unix", path, "--http", str(port), "--control", control_socket]
    flipper = subprocess.Popen(  # noqa: ASYNC220 - the thread that watches talks to it
        [sys.executable, "-m", "tests.bench.flipper", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert flipper.stderr is not None
    await asyncio.to_thread(flipper.stderr.readline)
    return flipper


def _watch(
    flipper: subprocess.Popen[str], server: tuple[str, int], count: int
) -> list[tuple[float, int]]:
    """For each change, when the new address was seen first, and how often the old one too late."""
    query = dns.message.make_query("n0.lb.example", "A").to_wire()
    assert flipper.stdin is not None
    assert flipper.stdout is not None
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.settimeout(5)
        for number in range(1, count + 1):
            new = socket.inet_aton(address(number))
            flipper.stdin.write(f"{number}\n")
            flipper.stdin.flush()
            asked: list[tuple[int, int, bool]] = []
            began = time.monotonic_ns()
            while time.monotonic_ns() - began < WATCHED * 1e9:
                sent = time.monotonic_ns()
                client.send(query)
                answer = client.recv(4096)
                asked.append((sent, time.monotonic_ns(), new in answer))
            live = int(flipper.stdout.readline())
            found.append(_judge(asked, live))
    return found


def _judge(asked: list[tuple[int, int, bool]], live: int) -> tuple[float, int]:
    first = next((heard for _, heard, is_new in asked if is_new), None)
    stale = sum(not is_new for sent, _, is_new in asked if sent > live + SETTLED * 1e9)
    return (float("inf") if first is None else (first - live) / 1e9), stale
