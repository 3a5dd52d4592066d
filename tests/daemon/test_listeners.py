"""Listeners of a new configuration: all of them are open before one of the old ones closes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from dnslb_backend.admin.server import AdminServer
from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.daemon.listeners import CannotListenError, Listeners
from dnslb_backend.pdns.methods.responder import Responder
from tests.admin.node import Node
from tests.pdns.world import World
from tests.rigs.ports import free_port
from tests.system.writing import FINE, config, record, table

PLACES = ("http", "unix", "admin")


class Addresses:
    """Where a configuration listens."""

    def __init__(self, folder: Path, name: str) -> None:
        self.http, self.admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.unix = folder / f"{name}.sock"
        self._file = folder / f"{name}.toml"

    async def config(self) -> Config:
        self._file.write_text(
            config(
                table("server", http=self.http, unix=str(self.unix)),
                table("admin", listen=self.admin),
                record("www", dest=["192.0.2.1"], check=FINE),
            )
        )
        return await asyncio.to_thread(load, ConfigPaths(self._file))

    async def serving(self) -> set[str]:
        """Which of the three answer."""
        urls = {"http": f"http://{self.http}/dns/lookup/x/A", "admin": f"http://{self.admin}/livez"}
        found = {name for name, url in urls.items() if await answers(url)}
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            if self.unix.exists() and client.connect_ex(str(self.unix)) == 0:
                found.add("unix")
        return found

    def occupy(self, place: str) -> socket.socket:
        """Take one of them, so that nobody else can listen there."""
        if place == "unix":
            self.unix.mkdir()
            return socket.socket()
        host, _, port = str(getattr(self, place)).rpartition(":")
        taken = socket.socket()
        taken.bind((host, int(port)))
        taken.listen()
        return taken


async def answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url):
            return True
    except (aiohttp.ClientConnectionError, TimeoutError):
        return False


@asynccontextmanager
async def listening(before: Addresses) -> AsyncIterator[Listeners]:
    configured = await before.config()
    admin = AdminServer(configured.admin, configured.access, Node())
    listeners = Listeners(Responder(World().current), admin)
    await listeners.open(configured)
    try:
        yield listeners
    finally:
        await listeners.close()


async def test_a_move_serves_at_the_new_addresses_and_closes_the_old_ones(tmp_path: Path) -> None:
    before, after = Addresses(tmp_path, "before"), Addresses(tmp_path, "after")
    async with listening(before) as listeners:
        change = await listeners.prepare(await after.config())
        # Nothing that serves was touched.
        assert await before.serving() == set(PLACES)
        await listeners.retire(listeners.commit(change))
        assert await after.serving() == set(PLACES)
        assert not {"http", "unix"} & await before.serving()
    assert not before.unix.exists()
    assert not after.unix.exists()


@pytest.mark.parametrize("place", PLACES)
async def test_where_one_cannot_be_opened_none_has_moved(place: str, tmp_path: Path) -> None:
    before, after = Addresses(tmp_path, "before"), Addresses(tmp_path, "after")
    async with listening(before) as listeners:
        wanted = await after.config()
        with after.occupy(place):
            with pytest.raises(CannotListenError) as refused:
                await listeners.prepare(wanted)
            assert refused.value.key == {"admin": "admin.listen"}.get(place, f"server.{place}")
        if place == "unix":
            after.unix.rmdir()
        assert await before.serving() == set(PLACES)
        assert await after.serving() == set()
        assert not after.unix.exists()
        # All of it is free for the next attempt.
        await listeners.retire(listeners.commit(await listeners.prepare(wanted)))
        assert await after.serving() == set(PLACES)


async def test_a_change_that_is_not_committed_can_be_undone(tmp_path: Path) -> None:
    before, after = Addresses(tmp_path, "before"), Addresses(tmp_path, "after")
    async with listening(before) as listeners:
        change = await listeners.prepare(await after.config())
        await change.undo.aclose()
        assert await before.serving() == set(PLACES)
        assert await after.serving() == set()
