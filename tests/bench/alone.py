"""The connectors without PowerDNS: lookups a second, and what each costs of the processor."""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple, cast

from tests.bench.contestants import configuration
from tests.pdns.serving import NAMES
from tests.rigs.daemon import Daemon
from tests.rigs.processes import processor_time

CONNECTIONS = 8

HTTP_HEAD = (
    b"GET /dns/lookup/n%d%%2elb%%2eexample%%2e/ANY HTTP/1.1\r\nAccept: application/json\r\n"
    b"Connection: Keep-Alive\r\nHost: 127.0.0.1\r\nUser-Agent: YaHTTP v1.0\r\n"
    b"X-Remotebackend-Local: 127.0.0.1\r\nX-Remotebackend-Real-Remote: 127.0.0.1/32\r\n"
    b"X-Remotebackend-Remote: 127.0.0.1\r\nX-Remotebackend-Zone-Id: 7\r\n\r\n"
)
UNIX_LINE = (
    b'{"method": "lookup", "parameters": {"local": "127.0.0.1", "qname": "n%d.lb.example.", '
    b'"qtype": "ANY", "real-remote": "127.0.0.1/32", "remote": "127.0.0.1", "zone-id": 7}}\n'
)
TABBED_LINE = b"Q\tn%d.lb.example\tIN\tANY\t-1\t127.0.0.1\t127.0.0.1\t127.0.0.1/32\n"
HELLO = b"HELO\t5\n"


class Alone(NamedTuple):
    """One transport: lookups a second, and microseconds of the daemon's CPU for each."""

    name: str
    rate: float
    microseconds: float


class Asker(asyncio.Protocol):
    """Asks as PowerDNS does: the next thing when the last is answered."""

    answers = 0

    def __init__(self, request: bytes, hello: bytes) -> None:
        self._requests = [request % number for number in range(NAMES)]
        self._hello = hello

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._hello or self._requests[0])

    def data_received(self, data: bytes) -> None:
        Asker.answers += 1
        self._transport.write(self._requests[Asker.answers % NAMES])


async def alone(directory: Path, seconds: float) -> list[Alone]:
    """Every transport of one daemon, one after the other."""
    path = f"{directory}/alone.sock"
    async with Daemon(configuration(NAMES, path)) as daemon:
        port = int(daemon.http.rpartition(":")[2])
        return [
            await _measure("http", HTTP_HEAD, b"", daemon.pid, seconds, port=port),
            await _measure("unix", UNIX_LINE, b"", daemon.pid, seconds, path=path),
            await _measure("pipe backend", TABBED_LINE, HELLO, daemon.pid, seconds, path=path),
        ]


async def _measure(
    name: str,
    request: bytes,
    hello: bytes,
    pid: int,
    seconds: float,
    *,
    port: int = 0,
    path: str = "",
) -> Alone:
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(CONNECTIONS):
        if path:
            made = await loop.create_unix_connection(lambda: Asker(request, hello), path)
        else:
            made = await loop.create_connection(lambda: Asker(request, hello), "127.0.0.1", port)
        transports.append(made[0])
    before, cpu, began = Asker.answers, processor_time(pid), time.monotonic()
    await asyncio.sleep(seconds)  # noqa: TID251 - this is how long is measured
    answers, spent = Asker.answers - before, processor_time(pid) - cpu
    lasted = time.monotonic() - began
    for transport in transports:
        transport.abort()
    return Alone(name, answers / lasted, 1e6 * spent / answers)
