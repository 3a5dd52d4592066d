"""A change is in force when it is durable; one that failed never comes into force."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.answers.dnssec import Metadata, ZoneKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import KEY as KEY_TABLE
from dnslb_backend.store.database.tables import TableRow
from dnslb_backend.store.shared.dnssec import DnssecTable
from dnslb_backend.store.shared.key_store import StoredKeys
from dnslb_backend.store.shared.replicated_table import TableSync
from tests.rigs.hung_storage import hung
from tests.rigs.waiting import passes, until

ZONE = "lb.example"
KEY = ZoneKey(ZONE, 1, 257, active=True, published=True, content="secret")


class Node:
    """A key store on a file, and what it has reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = SqliteStore(path)
        self.written = 0
        self.changed: list[frozenset[str]] = []
        self.keys = StoredKeys(
            self.file, now, on_written=self._count, on_keys_changed=self.changed.append
        )
        self.sync = TableSync(self.keys.table, self.file)

    def _count(self) -> None:
        self.written += 1


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path / "state.sqlite")
    yield made
    await made.file.close()


async def stored(path: Path) -> DnssecTable:
    """What another run would find."""
    store, table = SqliteStore(path), DnssecTable()
    await TableSync(table, store).sync(now().wall)
    await store.close()
    return table


async def test_a_change_is_on_the_disk_and_reported(node: Node) -> None:
    await node.keys.put(KEY)
    await node.keys.put(Metadata(ZONE, "SOA-EDIT", ("EPOCH",)))
    table = await stored(node.path)
    assert (table.keys(ZONE), table.metadata(ZONE)) == ((KEY,), {"SOA-EDIT": ("EPOCH",)})
    await node.keys.delete(KEY)
    assert (await stored(node.path)).keys(ZONE) == ()
    assert node.keys.keys(ZONE) == ()
    assert (node.written, node.changed) == (3, [frozenset({ZONE})] * 3)


async def test_a_change_that_cannot_be_written_is_not_in_force(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node = Node(tmp_path / "file" / "state.sqlite")
    with pytest.raises(StoreError, match="memory does not outlive a restart"):
        await node.keys.put(KEY)
    assert node.keys.keys(ZONE) == ()
    assert node.changed == []
    await node.file.close()


async def test_a_file_that_is_locked_is_an_error_and_loses_nothing(node: Node) -> None:
    await node.keys.put(KEY)
    with closing(sqlite3.connect(node.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError):
            await node.keys.delete(KEY)
    assert node.keys.keys(ZONE) == (KEY,)
    await node.keys.delete(KEY)
    assert node.keys.keys(ZONE) == ()


# -- storage that hangs -------------------------------------------------------------------


async def give_up(node: Node, change: Coroutine[Any, Any, None]) -> None:
    """Begin a change whose write hangs, and cancel it as PowerDNS's request is after its time."""
    # A file that was touched is opened again, which hangs.
    node.path.touch()
    with hung(node.path) as is_held:
        task = asyncio.create_task(change)
        await until(is_held)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def in_file(node: Node) -> list[TableRow]:
    return await node.file.read(Select(KEY_TABLE, ("active", "gone"), order="id"))


async def test_a_write_that_was_given_up_never_comes_into_force(node: Node) -> None:
    """Although the disk completes it as soon as it can."""
    await node.keys.put(KEY)
    await give_up(node, node.keys.put(replace(KEY, active=False)))
    assert await in_file(node) == [(0, 0)]
    for _ in range(2):
        await node.sync.sync(now().wall)
        assert node.keys.keys(ZONE) == (KEY,)
    assert await in_file(node) == [(1, 0)]
    assert node.changed == [frozenset({ZONE})]


async def test_a_deletion_that_was_given_up_never_comes_into_force(node: Node) -> None:
    await node.keys.put(KEY)
    await give_up(node, node.keys.delete(KEY))
    assert await in_file(node) == [(0, 1)]
    await node.sync.sync(now().wall)
    assert (await stored(node.path)).keys(ZONE) == (KEY,)
    await node.keys.delete(KEY)
    assert (await stored(node.path)).keys(ZONE) == ()


async def test_a_new_key_that_was_given_up_never_comes_into_force(node: Node) -> None:
    await node.keys.put(KEY)
    await give_up(node, node.keys.put(replace(KEY, id=2)))
    assert await in_file(node) == [(1, 0), (1, 0)]
    await node.sync.sync(now().wall)
    assert await in_file(node) == [(1, 0), (0, 1)]
    assert (await stored(node.path)).keys(ZONE) == node.keys.keys(ZONE) == (KEY,)
    await node.keys.put(replace(KEY, id=2))
    assert len((await stored(node.path)).keys(ZONE)) == 2


async def test_a_write_that_was_given_up_before_it_began_is_not_begun(node: Node) -> None:
    await node.keys.put(KEY)
    node.path.touch()
    with hung(node.path) as is_held:
        before = asyncio.create_task(in_file(node))
        await until(is_held)
        task = asyncio.create_task(node.keys.put(replace(KEY, id=2)))
        await passes(0)
        task.cancel()
        await asyncio.wait([task])
    assert await before == [(1, 0)]
    assert await in_file(node) == [(1, 0)]
