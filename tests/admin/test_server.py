"""The listener: opening, moving and closing."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from dnslb_backend.admin.http.access import load_access
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import READ_TOKEN, Node
from tests.core.building import dest, record


async def status_of(port: int | None, **headers: str) -> int:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.get("/api/v1/status", headers=headers) as response,
    ):
        return response.status


async def test_an_empty_address_opens_nothing(node: Node) -> None:
    settings = AdminSettings(listen="")
    server = AdminServer(settings, load_access(settings), node)
    await server.start()
    assert server.port is None
    await server.stop()


async def test_an_address_in_use_is_an_error(node: Node) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = AdminSettings(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        server = AdminServer(settings, load_access(settings), node)
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()


async def test_new_tokens_need_no_new_listener(node: Node, token_file: Path) -> None:
    strict = AdminSettings(listen="127.0.0.1:0", allow=())
    server = AdminServer(strict, load_access(strict), node)
    await server.start()
    port = server.port
    assert await status_of(port, Authorization=f"Bearer {READ_TOKEN}") == 401
    named = AdminSettings(listen="127.0.0.1:0", allow=(), token_file=token_file)
    server.commit(await server.prepare(named, await asyncio.to_thread(load_access, named)))
    assert server.port == port
    assert await status_of(port, Authorization=f"Bearer {READ_TOKEN}") == 200
    await server.stop()


async def test_new_metric_labels_need_no_new_listener(node: Node) -> None:
    node.adopt(replace(record(), dests=(replace(dest("10.0.0.1"), labels=("dc=fra",)),)))
    plain = AdminSettings(listen="127.0.0.1:0")
    access = load_access(plain)
    server = AdminServer(plain, access, node)
    await server.start()
    url = f"http://127.0.0.1:{server.port}/metrics"
    async with aiohttp.ClientSession() as session:
        for settings, count in (
            (plain, 0),
            (plain.model_copy(update={"metric_labels": ("dc",)}), 3),
            (plain, 0),
        ):
            server.commit(await server.prepare(settings, access))
            async with session.get(url) as response:
                assert (await response.text()).count("dnslb_label_members{") == count
    await server.stop()


async def test_another_address_is_moved_to_and_the_old_one_closed(node: Node) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    access = load_access(settings)
    server = AdminServer(settings, access, node)
    await server.start()
    old = server.port
    server.commit(await server.prepare(AdminSettings(listen="[::]:0"), access))
    assert server.port != old
    assert await status_of(server.port) == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await status_of(old)
    server.commit(await server.prepare(AdminSettings(listen=""), access))
    assert server.port is None
    await server.stop()


async def test_a_move_that_fails_changes_nothing(node: Node) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    access = load_access(settings)
    server = AdminServer(settings, access, node)
    await server.start()
    port = server.port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = AdminSettings(listen=f"127.0.0.1:{taken.getsockname()[1]}", allow=())
        with pytest.raises(OSError, match="in use"):
            await server.prepare(wanted, load_access(wanted))
    assert server.port == port
    assert await status_of(port) == 200
    await server.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /li",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a second request", "nothing more"],
)
async def test_a_client_that_asks_nothing_is_left(node: Node, sent: bytes) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    server = AdminServer(settings, load_access(settings), node, send_timeout=0.2)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    async with asyncio.timeout(5):
        told = await reader.read()
    assert told.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
    writer.close()
    await server.stop()


async def test_what_is_no_http_is_told_of_in_one_line_and_not_every_time(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    server = AdminServer(settings, load_access(settings), node)
    await server.start()
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /livez HTTP/1.1\r\nnonsense\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "127.0.0.1" in line.getMessage()
    assert line.exc_info is None
    await server.stop()


async def test_an_idle_connection_does_not_hold_up_the_end(node: Node) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    server = AdminServer(settings, load_access(settings), node)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(1):
        await server.stop()
        assert await reader.read() == b""
    writer.close()
    await server.stop()
