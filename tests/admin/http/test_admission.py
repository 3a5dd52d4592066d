"""Long answers take turns: who asks for many, or reads none, costs lookups and others little."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from dnslb_backend.admin.app import build_app
from dnslb_backend.admin.http.access import load_access
from dnslb_backend.admin.http.admission import RENDERING, SENDING, ReadAdmission
from dnslb_backend.admin.http.endpoint import AdminState, Endpoint
from dnslb_backend.admin.http.event_stream import EventRing, EventStreams
from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import Node
from tests.rigs.waiting import until

LARGE = 16 << 20
"""Bytes; more than the kernel keeps for a connection."""


class Renderer:
    """An endpoint whose answers wait for `go`, and say how many began before them."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.begun = 0
        self.at_once = self.most = 0
        self.go = asyncio.Event()

    async def render(self, _: web.Request) -> web.Response:
        self.begun += 1
        number = self.begun
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.go.wait()
        self.at_once -= 1
        return web.Response(body=b"%d" % number + b" " * self.size)


def connections(runner: web.AppRunner) -> int:
    assert runner.server is not None
    return len(runner.server.connections)


def url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def serving(renderer: Renderer, reads: ReadAdmission) -> AsyncIterator[web.AppRunner]:
    state = AdminState(Node(), load_access(AdminSettings()), EventRing(7), reads)
    endpoint = Endpoint("GET", "/long", "", renderer.render, {}, is_long=True)
    runner = web.AppRunner(build_app(state, EventStreams(), [endpoint]), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner
    finally:
        await runner.cleanup()
        await reads.close()


async def asked(session: aiohttp.ClientSession, query: str = "") -> tuple[int, str]:
    async with session.get(f"/long?{query}") as response:
        return response.status, (await response.text()).strip()


async def test_two_are_put_together_at_a_time_and_who_waits_for_the_same_shares_it() -> None:
    renderer = Renderer()
    async with (
        serving(renderer, ReadAdmission()) as runner,
        aiohttp.ClientSession(url(runner)) as session,
    ):
        first = [asyncio.create_task(asked(session, f"n={n}")) for n in range(RENDERING)]
        await until(lambda: renderer.begun == RENDERING)
        same = [asyncio.create_task(asked(session, "same")) for _ in range(20)]
        other = [asyncio.create_task(asked(session, "other")) for _ in range(20)]
        assert await asked_for_health(session) == 404
        renderer.go.set()
        assert {text for _, text in await asyncio.gather(*first)} == {"1", "2"}
        assert len(set(await asyncio.gather(*same))) == 1
        assert len(set(await asyncio.gather(*other))) == 1
        assert (renderer.begun, renderer.most) == (RENDERING + 2, RENDERING)
        # Nothing is kept: who asks now is shown this moment.
        assert await asked(session, "same") == (200, str(RENDERING + 3))


async def asked_for_health(session: aiohttp.ClientSession) -> int:
    """What is no long answer waits for none."""
    async with session.get("/nothing") as response:
        return response.status


async def test_who_gets_no_turn_in_time_is_asked_to_come_later() -> None:
    renderer = Renderer()
    async with (
        serving(renderer, ReadAdmission(wait=0.05)) as runner,
        aiohttp.ClientSession(url(runner)) as session,
    ):
        first = [asyncio.create_task(asked(session, f"n={n}")) for n in range(RENDERING)]
        await until(lambda: renderer.begun == RENDERING)
        async with session.get("/long?late") as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
        renderer.go.set()
        assert {status for status, _ in await asyncio.gather(*first)} == {200}
        assert (await asked(session, "late"))[0] == 200


async def test_readers_that_take_nothing_are_cut_off() -> None:
    renderer = Renderer(LARGE)
    renderer.go.set()
    async with serving(renderer, ReadAdmission(send_timeout=0.5, crowded=0.1)) as runner:
        reader = await silent_reader(runner)
        await until(lambda: connections(runner) == 1)
        await until(lambda: connections(runner) == 0)
        assert await everything_from(reader) < LARGE
        reader.close()


async def test_where_others_wait_readers_that_take_nothing_make_room() -> None:
    renderer = Renderer(LARGE)
    renderer.go.set()
    async with serving(renderer, ReadAdmission(send_timeout=60, crowded=0.1)) as runner:
        silent = [await silent_reader(runner) for _ in range(SENDING)]
        await until(lambda: renderer.at_once == 0 and renderer.begun)
        async with aiohttp.ClientSession(url(runner)) as session:
            status, text = await asked(session)
            assert (status, text.isdigit()) == (200, True)
        for reader in silent:
            reader.close()


async def silent_reader(runner: web.AppRunner) -> socket.socket:
    """A client that asks, and reads nothing."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, runner.addresses[0])
    await loop.sock_sendall(sock, b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return sock


async def everything_from(sock: socket.socket) -> int:
    """How many bytes arrive until the other side closes; a reset is an end as well."""
    loop = asyncio.get_running_loop()
    received = 0
    try:
        async with asyncio.timeout(20):
            while chunk := await loop.sock_recv(sock, 1 << 16):
                received += len(chunk)
    except ConnectionError:
        pass
    return received
