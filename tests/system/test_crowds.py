"""Crowds of connections take nothing from PowerDNS, operators or checks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import pytest

from tests.rigs.daemon import Daemon, follows, with_setting
from tests.rigs.processes import open_files
from tests.rigs.server import executable
from tests.rigs.targets import farm
from tests.rigs.waiting import passes, until
from tests.system.writing import FINE, config, http, record

FILES = 256
"""Descriptors that the daemon may have; each listener a quarter of them."""

CROWD = FILES * 3 // 10


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def crowd(connect: Connect, sent: bytes) -> AsyncIterator[None]:
    """More peers than one listener takes, who are silent, and come back when hung up on."""
    arrivals = 0

    async def insist() -> None:
        nonlocal arrivals
        while True:
            with suppress(OSError):
                reader, writer = await connect()
                arrivals += 1
                try:
                    writer.write(sent)
                    while await reader.read(4096):
                        """Until it is hung up on."""
                finally:
                    writer.close()
            await passes(0.1)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(insist()) for _ in range(CROWD)]
        await until(lambda: arrivals > CROWD, what="more of them than it takes")
        yield
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize("asks", [False, True], ids=["silent", "asked once"])
async def test_crowds_take_nothing_from_powerdns_operators_or_checks(asks: bool) -> None:
    async with AsyncExitStack() as stack:
        first, second = await stack.enter_async_context(farm(2))
        check = http(first.port)
        www = record("www", dest=[first.host, second.host], check=check, interval=0.3, timeout=0.2)
        limited = [executable("prlimit"), f"--nofile={FILES}"]
        daemon = Daemon(config(www), inside=limited)
        path = str(daemon.directory / "pdns.sock")
        daemon.configure(with_setting(config(www), "server", "unix", path))
        pdns = daemon.powerdns()
        await stack.enter_async_context(daemon)
        await stack.enter_async_context(pdns)
        assert f"only {FILES} open files are allowed: set LimitNOFILE=" in daemon.log
        line = b'{"method": "lookup", "parameters": {"qname": "www.lb.example.", "qtype": "A"}}\n'
        for connect, sent in (
            (partial(asyncio.open_unix_connection, path), line),
            (partial(asyncio.open_connection, *daemon.http.split(":")), get("/dns/getAllDomains")),
            (partial(asyncio.open_connection, *daemon.admin.split(":")), get("/livez")),
        ):
            await stack.enter_async_context(crowd(connect, sent if asks else b""))
        await follows(pdns, "www.lb.example", {first.host, second.host})
        await second.stop()
        await follows(pdns, "www.lb.example", {first.host})
        await pdns.restart()
        await follows(pdns, "www.lb.example", {first.host})
        assert (await daemon.get("/readyz"))[0] == 200
        assert open_files(daemon.pid) < FILES
        assert "Too many open files" not in daemon.log


async def test_clients_that_leave_with_their_answer_leave_nothing() -> None:
    """Their end may come before the server is ready for another request."""
    async with Daemon(config(record("www", dest=["192.0.2.1"], check=FINE))) as daemon:

        def ask(address: str, request: bytes) -> None:
            host, _, port = address.rpartition(":")
            for _ in range(200):
                with socket.create_connection((host, int(port)), timeout=10) as sock:
                    sock.sendall(request)
                    assert sock.recv(65536).startswith(b"HTTP/1.1")

        before = open_files(daemon.pid)
        for address, path in ((daemon.http, "/dns/getAllDomains"), (daemon.admin, "/livez")):
            await asyncio.to_thread(ask, address, get(path))
            await until(lambda: open_files(daemon.pid) <= before, what="closed connections")


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
