"""What happened while the database was away outlives the daemon as well."""

from functools import partial
from itertools import cycle
from pathlib import Path

import pytest

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Delete, Select, Store
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import TRANSITION, TableRow
from dnslb_backend.store.mirror.replay import TransitionReplay
from dnslb_backend.store.mirror.retention import Retention
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.store.mirror.test_history import moved, tell
from tests.store.test_persistence import A, Node, alive, is_settled, mirror

WHAT = ("event", "at", "content", "to_health")


async def events(store: Store) -> list[TableRow]:
    return await store.read(Select(TRANSITION, WHAT, order="id"))


def flip(node: Node, times: int) -> None:
    """A member of www goes down and comes back, in turn."""
    for _, is_good in zip(range(times), cycle((True, False)), strict=False):
        node.check("www", good=[A] if is_good else [], bad=[] if is_good else [A])


async def agree(path: Path, settings: MysqlSettings) -> int:
    """Wait until both stores tell the same in the same order; how much that is."""
    local, remote = SqliteStore(path), MariaStore(settings)

    async def same() -> bool:
        return await events(local) == await events(remote)

    try:
        await until(same, within=30, what="the database to have every transition once")
        return len(await events(local))
    finally:
        await local.close()
        await remote.close()


async def is_kept(node: Node) -> bool:
    """Whether the local file has everything."""
    return not mirror(node, "local").transitions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.mark.parametrize("flush", [True, False], ids=["stopped", "killed"])
async def test_what_happened_in_an_outage_outlives_the_daemon(
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
            await until(partial(is_kept, node))
            if flush:
                assert not await node.keeper.flush(0.2)
            assert mirror(node, "mariadb").transitions >= 699
    last = Node(path, settings)
    async with alive(last):
        flip(last, 2)
        await mariadb.start()
        assert await agree(path, settings) >= 2 * 699 + 4
        await until(lambda: is_settled(last))
        assert mirror(last, "mariadb").dropped == 0


async def test_what_was_told_and_not_noted_is_there_once(
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


async def test_what_was_told_is_not_told_again(path: Path, settings: MysqlSettings) -> None:
    """Nor is it put back where somebody deleted it."""
    node = Node(path, settings)
    async with alive(node):
        flip(node, 30)
    store = MariaStore(settings)
    told = await store.read(Select(TRANSITION, ("event",)))
    await store.write([Delete(TRANSITION, told)])
    again = Node(path, settings)
    async with alive(again):
        flip(again, 2)
    left = {event for event, *_ in await events(store)}
    assert left
    assert not left & {event for (event,) in told}
    await store.close()


async def test_a_database_that_was_taken_away_for_a_while_gets_what_it_missed(
    path: Path, settings: MysqlSettings
) -> None:
    node = Node(path, settings)
    async with alive(node):
        flip(node, 10)
        await until(lambda: is_settled(node))
        node.keeper.reconfigure(None, delete_unknowns=True, config_hash="")
        await until(lambda: len(node.keeper.stats.mirrors) == 1)
        flip(node, 11)
        node.keeper.reconfigure(settings, delete_unknowns=True, config_hash="")
        await until(lambda: len(node.keeper.stats.mirrors) == 2)
        flip(node, 10)
        await until(lambda: is_settled(node))
        assert await agree(path, settings) > 28


# -- how much is too much -----------------------------------------------------------------


async def read_all(arrears: TransitionReplay) -> list[float]:
    """The times of all that is left, read in small portions."""
    found: list[float] = []
    at = TRANSITION.columns.index("at")
    while rows := await arrears.first(7):
        found += [float(str(row[at])[-6:]) for row in rows]
        arrears.done()
    return found


async def marked(store: SqliteStore, count: int, mark: int) -> None:
    await tell(store, *(moved(4e9 + number) for number in range(count)))
    await store.set_checkpoint(mark)


async def test_the_newest_are_told_and_the_rest_is_counted(local_store: SqliteStore) -> None:
    await marked(local_store, 50, mark=10)
    arrears = TransitionReplay(local_store, bound=25)
    await arrears.open(0.0)
    assert (len(arrears), arrears.dropped) == (25, 15)
    assert len(await read_all(arrears)) == 25
    assert (len(arrears), arrears.dropped, arrears.oldest) == (0, 15, None)
    await arrears.note()
    assert await local_store.checkpoint() == 50


async def test_what_the_file_forgets_meanwhile_is_counted(local_store: SqliteStore) -> None:
    await marked(local_store, 50, mark=10)
    arrears = TransitionReplay(local_store)
    await arrears.open(0.0)
    await Retention(local_store, "ns1", 86400, 30).delete_expired()
    assert len(await read_all(arrears)) == 30
    assert (len(arrears), arrears.dropped) == (0, 10)


async def test_all_of_it_forgotten_is_counted_too(local_store: SqliteStore) -> None:
    await marked(local_store, 50, mark=10)
    arrears = TransitionReplay(local_store)
    await arrears.open(0.0)
    rows = await local_store.read(Select(TRANSITION, ("event",)))
    await local_store.write([Delete(TRANSITION, rows)])
    assert await read_all(arrears) == []
    assert (len(arrears), arrears.dropped) == (0, 40)


async def test_where_nothing_was_ever_told_nothing_is_missed(local_store: SqliteStore) -> None:
    await marked(local_store, 50, mark=0)
    arrears = TransitionReplay(local_store, bound=25)
    await arrears.open(0.0)
    assert (len(await read_all(arrears)), arrears.dropped) == (25, 0)


async def test_a_file_that_cannot_be_read_leaves_its_mark(
    tmp_path: Path, local_store: SqliteStore
) -> None:
    """Also when it comes back: then it is the next run that tells the database."""
    await marked(local_store, 5, mark=2)
    blocked = tmp_path / "state.sqlite"
    aside = blocked.with_name("elsewhere")
    await local_store.close()
    blocked.rename(aside)
    blocked.mkdir()
    store = SqliteStore(blocked, memory_term=0.0)
    arrears = TransitionReplay(store)
    await arrears.open(0.0)
    assert (len(arrears), arrears.oldest) == (0, None)
    blocked.rmdir()
    aside.rename(blocked)
    with pytest.raises(StoreError, match="can be used again"):
        await store.write([])
    arrears.passed("ns1-3")
    await arrears.note()
    await store.close()
    assert await local_store.checkpoint() == 2
