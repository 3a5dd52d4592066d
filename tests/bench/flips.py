"""From a change of health to the first DNS answer that knows of it, under load, with caches on."""

import asyncio
import itertools
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import dns.message

from dnslb_backend.pdns.settings import PdnsSettings
from tests.bench.contestants import CACHES_ON
from tests.bench.flipper import address, name
from tests.bench.load import full_speed
from tests.pdns.served import ROOT
from tests.pdns.transports import http_settings, unix_settings
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS

SETTLED = 0.1
"""Seconds after a change from which on no answer may be stale."""

WATCHED = 0.15
"""Seconds that answers are looked at after a change, at least; at most LONGEST."""

LONGEST = 5.0


PATIENCE = 0.05

_numbers = itertools.count()


class Flips(NamedTuple):
    """Seconds until a change was seen; and answers that were stale SETTLED after it."""

    name: str
    changes: int
    median: float
    worst: float
    stale: int
    load: float


async def flips(
    title: str,
    *,
    changes: int,
    queries: Path,
    delay: float | None = None,
    by_api: bool = False,
    rate: int | None = None,
) -> Flips:
    """So many changes, purged over the control socket or `by_api`, at `rate` queries a second
    (default: as many as PowerDNS answers). `delay` has the responder take so long for each
    answer, over HTTP.
    """
    directory = Path(tempfile.mkdtemp(prefix="flips-"))
    path, slow_port, api_port = f"{directory}/flipper.sock", free_port(), free_port()
    over_unix = {**unix_settings(path), "distributor-threads": 4}
    over_http = {**http_settings(slow_port), "distributor-threads": 32}
    settings = {**(over_unix if delay is None else over_http), **CACHES_ON}
    settings |= {"api": "yes", "api-key": "key", "webserver-port": api_port}
    pdns = PowerDNS({**settings, "max-queue-length": 1_000_000})
    channel = PdnsSettings(control_socket=(str(pdns.control_socket),))
    if by_api:
        (key := directory / "key").write_text("key")
        channel = PdnsSettings(api=(f"http://127.0.0.1:{api_port}",), api_key_file=str(key))
    where = ["--unix", path, "--slow", str(slow_port), "--pdns", channel.model_dump_json()]
    flipper = await asyncio.to_thread(_start_flipper, [*where, "--delay", str(delay or 0)])
    try:
        async with pdns:
            seconds = changes * (WATCHED + 0.02)
            load = asyncio.create_task(full_speed(pdns, queries, seconds, rate))
            seen = await asyncio.to_thread(_watch, flipper, pdns.address, changes)
            run = await load
    finally:
        flipper.kill()
        flipper.communicate()
    times = [first for first, _ in seen]
    stale = sum(late for _, late in seen)
    return Flips(title, changes, median(times), max(times), stale, run.rate)


def _start_flipper(arguments: list[str]) -> subprocess.Popen[str]:
    flipper = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.flipper", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert flipper.stderr is not None
    flipper.stderr.readline()
    return flipper


def _watch(
    flipper: subprocess.Popen[str], server: tuple[str, int], changes: int
) -> list[tuple[float, int]]:
    """For each change, when the new address was seen first, and how often the old one too late."""
    assert flipper.stdin is not None
    assert flipper.stdout is not None
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.settimeout(PATIENCE)
        for number in range(1, changes + 1):
            new = socket.inet_aton(address(number))
            query = dns.message.make_query(f"{name(number)}.lb.example", "A").to_wire()
            flipper.stdin.write(f"{number}\n")
            flipper.stdin.flush()
            asked: list[tuple[int, int, bool]] = []
            began = time.monotonic_ns()
            while True:
                sent = time.monotonic_ns()
                answer = _ask(client, query)
                if answer is not None:
                    asked.append((sent, time.monotonic_ns(), new in answer))
                watched = (time.monotonic_ns() - began) / 1e9
                if watched > LONGEST or (watched > WATCHED and asked and asked[-1][2]):
                    break
            live = int(flipper.stdout.readline())
            found.append(_judge(asked, live))
    return found


def _ask(client: socket.socket, query: bytes) -> bytes | None:
    """The answer to one query, None if a datagram was lost under the load."""
    number = next(_numbers) % 65536
    client.send(number.to_bytes(2, "big") + query[2:])
    try:
        while not (answer := client.recv(4096)).startswith(number.to_bytes(2, "big")):
            pass  # to an earlier query, given up on
    except TimeoutError:
        return None
    return answer


def _judge(asked: list[tuple[int, int, bool]], live: int) -> tuple[float, int]:
    first = next((heard for _, heard, is_new in asked if is_new), None)
    stale = sum(not is_new for sent, _, is_new in asked if sent > live + SETTLED * 1e9)
    return (float("inf") if first is None else (first - live) / 1e9), stale
