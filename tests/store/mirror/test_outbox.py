"""Transitions are sent once, in order, and bounded; those of an outage outlive the daemon."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Delete, Select, Store
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.schema import load_scripts, sql_directory
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.state_file import APPLICATION_ID
from dnslb_backend.store.database.tables import DECISION, TRANSITION, TableRow
from dnslb_backend.store.database.values import sql_datetime
from dnslb_backend.store.mirror.node import Identity
from dnslb_backend.store.mirror.outbox import Outbox, Outboxes, read_checkpoint, save_checkpoint
from dnslb_backend.store.mirror.retention import Retention
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.store.mirror.test_history import decided, moved, store_decisions, store_transitions
from tests.store.test_persistence import A, Node, alive, is_settled, mirror

IDENTITY = Identity("ns1", "run", "1.0", 1.0)
WHAT = ("event", "at", "content", "to_health")


async def events(store: Store) -> list[TableRow]:
    return await store.read(Select(TRANSITION, WHAT, order="id"))


def flip(node: Node, times: int) -> None:
    """The only healthy member of www goes down and comes back, in turn."""
    for _, is_good in zip(range(times), cycle((True, False)), strict=False):
        node.check("www", good=[A] if is_good else [], bad=[] if is_good else [A])


async def decisions(store: Store) -> list[TableRow]:
    what = ("event", "at", "name", "from_decision", "to_decision")
    return await store.read(Select(DECISION, what, order="id"))


async def agree(path: Path, settings: MysqlSettings) -> int:
    """Wait until both stores have the same history in the same order; how many transitions."""
    local, remote = SqliteStore(path), MariaStore(settings)

    async def same() -> bool:
        return await events(local) == await events(remote) and (
            await decisions(local) == await decisions(remote) != []
        )

    try:
        await until(same, within=30, what="the database to have every change once")
        return len(await events(local))
    finally:
        await local.close()
        await remote.close()


async def is_in_file(node: Node) -> bool:
    """Whether the local file has every change."""
    return not mirror(node, "local").history


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.mark.parametrize("flush", [True, False], ids=["stopped", "killed"])
async def test_transitions_of_an_outage_outlive_the_daemon(
    path: Path, mariadb: MariaDB, settings: MysqlSettings, flush: bool
) -> None:
    first, second, third = (Node(path, settings) for _ in range(3))
    async with alive(first, flush=flush):
        flip(first, 4)
        await until(lambda: is_settled(first))
    await mariadb.stop()
    for node in (second, third):
        async with alive(node, flush=False):
            flip(node, 700)
            await until(partial(is_in_file, node))
            if flush:
                assert not await node.persistence.flush(0.2)
            assert mirror(node, "mariadb").history >= 2 * 699
    last = Node(path, settings)
    async with alive(last):
        flip(last, 2)
        await mariadb.start()
        assert await agree(path, settings) >= 2 * 699 + 4
        await until(lambda: is_settled(last))
        assert mirror(last, "mariadb").dropped == 0


async def test_transitions_sent_after_the_last_checkpoint_are_stored_once(
    path: Path, settings: MysqlSettings
) -> None:
    for _ in range(2):
        node = Node(path, settings)
        async with alive(node, flush=False):
            flip(node, 30)
            await until(partial(is_settled, node))
    count = await agree(path, settings)
    store = MariaStore(settings)
    assert len({event for event, *_ in await events(store)}) == count
    await store.close()


async def test_stored_transitions_are_not_sent_again(path: Path, settings: MysqlSettings) -> None:
    """Nor are they put back after they were deleted."""
    node = Node(path, settings)
    async with alive(node):
        flip(node, 30)
    store = MariaStore(settings)
    stored = await store.read(Select(TRANSITION, ("event",)))
    await store.write([Delete(TRANSITION, stored)])
    again = Node(path, settings)
    async with alive(again):
        flip(again, 2)
    left = {event for event, *_ in await events(store)}
    assert left
    assert not left & {event for (event,) in stored}
    await store.close()


async def test_a_database_that_was_removed_and_added_gets_what_it_missed(
    path: Path, settings: MysqlSettings
) -> None:
    node = Node(path, settings)
    async with alive(node):
        flip(node, 10)
        await until(lambda: is_settled(node))
        node.reconfigure(None)
        await until(lambda: len(node.persistence.stats.mirrors) == 1)
        flip(node, 11)
        node.reconfigure(settings)
        await until(lambda: len(node.persistence.stats.mirrors) == 2)
        flip(node, 10)
        await until(lambda: is_settled(node))
        assert await agree(path, settings) > 28


# -- the queue of this run ----------------------------------------------------------------


def outbox(bound: int = 100) -> Outbox:
    return Outbox(IDENTITY, TRANSITION, bound=bound)


def put(queue: Outbox, times: Iterable[int], now: float = 0.0) -> None:
    queue.put([moved(4e9 + time) for time in times], now)


async def times(queue: Outbox, count: int = 100) -> list[float]:
    return [seconds(row) for row in await queue.first(count)]


def seconds(row: TableRow) -> float:
    return float(str(row[TRANSITION.columns.index("at")])[-6:])


START = float(str(sql_datetime(4e9))[-6:])


async def test_transitions_leave_in_order_when_they_are_stored() -> None:
    queue = outbox()
    put(queue, range(5), now=7.0)
    assert await times(queue, 3) == [START, START + 1, START + 2]
    assert len(queue) == 5
    queue.done()
    assert await times(queue) == [START + 3, START + 4]
    assert queue.oldest == 7.0
    assert (await outbox().first(3), outbox().oldest) == ([], None)


async def test_transitions_that_were_not_stored_are_given_again() -> None:
    queue = outbox()
    put(queue, range(5))
    first = await queue.first(3)
    assert await queue.first(3) == first


async def test_the_oldest_are_dropped_and_counted() -> None:
    queue = outbox(bound=3)
    put(queue, range(10))
    assert await times(queue) == [START + 7, START + 8, START + 9]
    assert (queue.dropped, queue.count) == (7, 10)


async def test_some_may_be_dropped_while_they_are_being_sent() -> None:
    queue = outbox(bound=4)
    put(queue, range(4))
    await queue.first(2)
    put(queue, range(4, 7))
    queue.done()
    assert await times(queue) == [START + 3, START + 4, START + 5, START + 6]


async def test_each_transition_has_its_own_event() -> None:
    queue = outbox(bound=3)
    seen: list[str] = []
    for _ in range(5):
        put(queue, range(2))
        seen += [str(row[0]) for row in await queue.first(1) if row[0] not in seen]
        queue.done()
    assert seen == sorted(set(seen))
    assert len(seen) == 5


# -- earlier runs -------------------------------------------------------------------------


async def read_all(queue: Outbox) -> int:
    """How many are left, read in small portions."""
    count = 0
    while rows := await queue.first(7):
        count += len(rows)
        queue.done()
    return count


async def leave_unsent(store: SqliteStore, count: int, checkpoint: int) -> None:
    await store_transitions(store, *(moved(4e9 + number) for number in range(count)))
    await save_checkpoint(store, TRANSITION, checkpoint)


async def test_the_newest_are_sent_and_the_others_counted(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 50, checkpoint=10)
    queue = Outbox(IDENTITY, TRANSITION, local_store, bound=25)
    await queue.open(0.0)
    assert (len(queue), queue.dropped) == (25, 15)
    assert await read_all(queue) == 25
    assert (len(queue), queue.dropped, queue.oldest) == (0, 15, None)
    await queue.save_checkpoint()
    assert await read_checkpoint(local_store, TRANSITION) == 50


async def test_those_of_earlier_runs_are_sent_first(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 5, checkpoint=2)
    queue = Outbox(IDENTITY, TRANSITION, local_store)
    put(queue, [50], now=9.0)
    await queue.open(3.0)
    assert (len(queue), queue.oldest) == (4, 3.0)
    sent: list[str] = []
    while rows := await queue.first(2):
        sent += [str(row[0]) for row in rows]
        queue.done()
    assert sent == ["ns1-2", "ns1-3", "ns1-4", "run-1"]


async def test_each_table_has_its_own_checkpoint(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 5, checkpoint=2)
    await store_decisions(local_store, *(decided(4e9 + number) for number in range(4)))
    boxes = Outboxes(IDENTITY, local_store)
    await boxes.open(0.0)
    boxes.put(([moved(4e9)], [decided(4e9)]), 0.0)
    assert len(boxes) == 3 + 4 + 1 + 1
    while sent := await boxes.first(2):
        assert {upsert.table for upsert in sent} <= {TRANSITION, DECISION}
        boxes.done()
    await boxes.save_checkpoints()
    assert await read_checkpoint(local_store, TRANSITION) == 5
    assert await read_checkpoint(local_store, DECISION) == 4


BEFORE_CHECKPOINTS = load_scripts(sql_directory() / "sqlite")[:5]


async def test_the_checkpoint_of_an_earlier_version_is_kept(path: Path) -> None:
    """It was in the header of the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for script in BEFORE_CHECKPOINTS:
            database.executescript(script.text)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("PRAGMA user_version = 4711")
    store = SqliteStore(path)
    assert await read_checkpoint(store, TRANSITION) == 4711
    assert await read_checkpoint(store, DECISION) == 0
    await store.close()


async def test_what_the_file_deletes_meanwhile_is_counted(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 50, checkpoint=10)
    queue = Outbox(IDENTITY, TRANSITION, local_store)
    await queue.open(0.0)
    await Retention(local_store, "ns1", 86400, 30).delete_expired()
    assert await read_all(queue) == 30
    assert (len(queue), queue.dropped) == (0, 10)


async def test_all_of_them_deleted_are_counted_too(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 50, checkpoint=10)
    queue = Outbox(IDENTITY, TRANSITION, local_store)
    await queue.open(0.0)
    rows = await local_store.read(Select(TRANSITION, ("event",)))
    await local_store.write([Delete(TRANSITION, rows)])
    assert await read_all(queue) == 0
    assert (len(queue), queue.dropped) == (0, 40)


async def test_without_a_checkpoint_nothing_counts_as_dropped(local_store: SqliteStore) -> None:
    await leave_unsent(local_store, 50, checkpoint=0)
    queue = Outbox(IDENTITY, TRANSITION, local_store, bound=25)
    await queue.open(0.0)
    assert (await read_all(queue), queue.dropped) == (25, 0)


async def test_a_file_that_cannot_be_read_keeps_its_checkpoint(
    tmp_path: Path, local_store: SqliteStore
) -> None:
    """Also when it comes back: then it is the next run that sends its transitions."""
    await leave_unsent(local_store, 5, checkpoint=2)
    blocked = tmp_path / "state.sqlite"
    aside = blocked.with_name("elsewhere")
    await local_store.close()
    blocked.rename(aside)
    blocked.mkdir()
    store = SqliteStore(blocked, memory_term=0.0)
    queue = Outbox(IDENTITY, TRANSITION, store)
    await queue.open(0.0)
    assert (len(queue), queue.oldest) == (0, None)
    blocked.rmdir()
    aside.rename(blocked)
    with pytest.raises(StoreError, match="can be used again"):
        await store.write([])
    put(queue, [50])
    await queue.first(1)
    queue.done()
    await queue.save_checkpoint()
    await store.close()
    assert await read_checkpoint(local_store, TRANSITION) == 2
