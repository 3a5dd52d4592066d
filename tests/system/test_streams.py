"""Five hundred who listen to events and one who never reads: a real daemon takes no notice."""

import asyncio
import socket
import time
from contextlib import ExitStack

import pytest

from tests.rigs.daemon import Daemon
from tests.rigs.processes import resident
from tests.rigs.targets import TcpTarget
from tests.rigs.waiting import until
from tests.system.writing import config, record

pytestmark = pytest.mark.soak

FLOCK = [f"127.0.1.{number}" for number in range(1, 101)]
IDLE = 500
FLIPS = 12
GROWTH = (IDLE + 1) * 0.12 + 16
"""Megabytes that so many connections, and the ring of events, may take all in all."""

ASK = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_nobody_waits_and_nothing_grows() -> None:
    async with TcpTarget("0.0.0.0") as target:
        check = {"type": "tcp", "port": target.port}
        text = config(
            record("flock", dest=FLOCK, check=check),
            record("calm", dest=["192.0.2.1"], check={"type": "static"}),
        )
        async with Daemon(text) as daemon:
            await _flip(daemon, target)
            before = resident(daemon.pid)
            with ExitStack() as stack:
                for _ in range(IDLE + 1):
                    stack.enter_context(_listener(daemon))
                await until(lambda: _listens(daemon, IDLE + 1), within=30, what="all listen")
                levels, longest = [], 0.0
                for _ in range(FLIPS):
                    await _flip(daemon, target)
                    longest = max(longest, await _lookup(daemon))
                    levels.append(resident(daemon.pid))
            assert max(levels) - before < GROWTH, levels
            # What the second half brings is no more than what the first has settled on.
            assert levels[-1] - levels[FLIPS // 2] < 2, levels
            assert longest < 1
            await until(lambda: _listens(daemon, 0), within=30, what="all are forgotten")


def _listener(daemon: Daemon) -> socket.socket:
    """A client that asks for events, and reads none of them."""
    host, _, port = daemon.admin.rpartition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((host, int(port)))
    sock.sendall(ASK)
    return sock


async def _flip(daemon: Daemon, target: TcpTarget) -> None:
    """A hundred members leave and come back."""
    for act, word in ((target.stop, "DOWN"), (target.start, "UP")):
        await act()
        await until(lambda word=word: _all(daemon, word), within=30, what=f"all {word}")  # type: ignore[misc]


async def _all(daemon: Daemon, word: str) -> bool:
    _, report = await daemon.get("/api/v1/status?name=flock")
    return {row["health"] for row in report["members"]} == {word}


async def _listens(daemon: Daemon, count: int) -> bool:
    _, text = await daemon.get("/metrics")
    return f"dnslb_event_clients {count}.0" in text


async def _lookup(daemon: Daemon) -> float:
    """Seconds until PowerDNS would have its answer."""
    host, _, port = daemon.http.rpartition(":")
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /dns/lookup/calm.lb.example./ANY HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()
    return time.monotonic() - began
