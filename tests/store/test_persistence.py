"""The one object in front of the stores, as the daemon uses it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from time import monotonic, process_time

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.answers.dnssec import ZoneKey
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.history import ChangeKind, HistoryQuery
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.health.service import Service
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import Record
from dnslb_backend.errors import ConflictError
from dnslb_backend.store.database.interface import Select, Store
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import NODE
from dnslb_backend.store.database.values import row_key
from dnslb_backend.store.mirror.mirror import MirrorStatus
from dnslb_backend.store.persistence import Persistence, Restored, StorageConfig
from dnslb_backend.store.settings import MysqlSettings, StateSettings
from dnslb_backend.store.shared.overrides import OverrideEntry
from tests.rigs.hung_storage import hung
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import passes, until
from tests.store.farm import FAIL, PASS, Farm, farm_record, many_records, stored_state

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Node:
    """A daemon without checks and listeners."""

    def __init__(
        self,
        path: Path,
        mysql: MysqlSettings | None,
        *records: Record,
        name: str = "ns1",
        max_age: float = 300.0,
        follows: bool = False,
    ) -> None:
        self.farm = Farm(*(records or three()))
        self.state = StateSettings(path=path, max_age=max_age)
        self.applied: list[tuple[Override, ...]] = []
        self.persistence = Persistence(
            StorageConfig(self.state, mysql, is_fleet=follows, follows=follows),
            self.farm.map,
            node=name,
            version="1.0",
            now=now,
            on_overrides=self._apply_overrides,
        )

    def reconfigure(self, mysql: MysqlSettings | None, fingerprint: str = "") -> None:
        self.persistence.reconfigure(StorageConfig(self.state, mysql, fingerprint=fingerprint))

    def _apply_overrides(self, overrides: tuple[Override, ...]) -> None:
        self.applied.append(overrides)
        self.farm.map.set_overrides(overrides, now())
        self.record_changes()

    def record_changes(self) -> None:
        self.persistence.record_changes(*self.farm.settle())

    def check(self, name: str, good: Iterable[str] = (), bad: Iterable[str] = ()) -> None:
        for result, addresses in ((PASS, good), (FAIL, bad)):
            for address in addresses:
                self.farm.check(name, result, address)
        self.record_changes()

    async def start(self) -> Restored:
        """What the daemon does before its first answer."""
        await self.persistence.open()
        found = await self.persistence.restore()
        restore(self.farm.map, found.state, now(), self.state.max_age)
        self.farm.restore_serials(found.state.serials)
        self.record_changes()
        return found


@asynccontextmanager
async def alive(node: Node, *, flush: bool = True) -> AsyncIterator[Restored]:
    """A node from its start to its end; without `flush` it ends like one that is killed."""
    found = await node.start()
    task = asyncio.create_task(node.persistence.run())
    try:
        yield found
        if flush:
            assert await node.persistence.flush(10)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await node.persistence.close()


def three() -> list[Record]:
    return [farm_record("www", A, B), farm_record("api", C)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def is_like(store: Store, node: Node, name: str = "ns1") -> bool:
    return await stored_state(store, name) == node.farm.state_rows()


# -- a node that follows ------------------------------------------------------------------


async def test_a_node_that_follows_only_reads_the_database(
    path: Path,
    settings: MysqlSettings,
    mariadb: MariaDB,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As of a replica; overrides arrive, and what it restores is in its own file."""
    await mariadb.query("CREATE USER IF NOT EXISTS edge@localhost")
    await mariadb.query(f"GRANT SELECT ON {settings.name}.* TO edge@localhost")
    reading = settings.model_copy(update={"user": "edge"})
    leader = Node(tmp_path / "leader", settings)
    follower = Node(path, reading, name="edge1", follows=True)
    async with alive(leader):
        async with alive(follower):
            follower.check("www", good=[A, B])
            await leader.persistence.override(drain(A))
            await until(lambda: follower.farm.served("www") == {B})
            await until(lambda: is_settled(leader))
            await until(lambda: is_settled(follower))
            assert [m.store for m in follower.persistence.stats.mirrors] == ["local"]
            assert (await follower.persistence.history(HistoryQuery()))[1] == "mariadb"
            assert "holds here alone" not in caplog.text
            await follower.persistence.override(drain(C))
            assert "holds here alone" in caplog.text
        assert not [record for record in caplog.records if "denied" in record.getMessage()]
        again = Node(path, reading, name="edge1", follows=True)
        async with alive(again) as found:
            assert found.source == "local"
            assert again.farm.served("www") == {B}
    nodes = await mariadb.query("SELECT DISTINCT node FROM lb_node", database=settings.name)
    assert nodes == [{"node": "ns1"}]
    orders = await mariadb.query("SELECT target FROM lb_override", database=settings.name)
    assert orders == [{"target": A}]


# -- restore ------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [True, False])
async def test_the_first_answers_are_the_last_ones(path: Path, flush: bool) -> None:
    first = Node(path, None)
    async with alive(first, flush=flush) as found:
        assert found.source == "nothing"
        first.check("www", good=[A], bad=[B])
        first.check("api", bad=[C])
        await until(lambda: is_settled(first))
    second = Node(path, None)
    async with alive(second) as found:
        assert found.source == "local"
        assert second.farm.map.pending() == []
        assert second.farm.served("www") == {A}
        assert second.farm.served("api") == set()
        assert found.state.serials == first.farm.snapshot.serials
        (decision, *_), (moved, *_) = [
            (await second.persistence.history(HistoryQuery(kind=kind)))[0]
            for kind in (ChangeKind.DECISION, ChangeKind.TRANSITION)
        ]
        assert isinstance(decision.change, DecisionChange)
        assert decision.change.after.service is Service.NO_ANSWER
        assert isinstance(moved.change, Transition)
        assert moved.change.content == C


async def is_settled(node: Node) -> bool:
    return all(not m.backlog and not m.history for m in node.persistence.stats.mirrors)


async def test_without_the_file_the_state_is_restored_from_the_database(
    path: Path, settings: MysqlSettings, tmp_path: Path
) -> None:
    first = Node(path, settings)
    async with alive(first):
        first.check("www", good=[B], bad=[A])
    second = Node(tmp_path / "elsewhere.sqlite", settings)
    async with alive(second) as found:
        assert found.source == "mariadb"
        assert second.farm.served("www") == {B}
        assert second.persistence.stats.restored == "mariadb"
        store = MariaStore(settings)
        await until(lambda: restored_from(store, "mariadb"))
        await store.close()
    third = Node(path, settings)
    async with alive(third) as found:
        assert found.source == "local"


async def restored_from(store: Store, source: str) -> bool:
    return await store.read(Select(NODE, ("restored",))) == [(source,)]


async def test_rows_of_another_node_are_not_restored(
    path: Path, settings: MysqlSettings, tmp_path: Path
) -> None:
    first = Node(path, settings, name="ns2")
    async with alive(first):
        first.check("www", good=[A, B])
    second = Node(tmp_path / "elsewhere.sqlite", settings)
    async with alive(second) as found:
        assert found.source == "nothing"


async def test_a_thousand_records_are_restored_for_a_few_results_each(path: Path) -> None:
    first = Node(path, None, *many_records(1000, 3))
    async with alive(first):
        began = process_time()
        first.farm.check_all()
        check_cost = process_time() - began
        for number in range(0, 1000, 7):
            first.farm.check(f"n{number:05}", FAIL, f"10.{number >> 8}.{number & 255}.0")
        first.record_changes()
    second = Node(path, None, *many_records(1000, 3))
    # CPU of all threads, beside other work of this process: a slow machine slows both.
    began = process_time()
    await second.start()
    assert process_time() - began < 10 * check_cost
    assert second.farm.snapshot.names.keys() == first.farm.snapshot.names.keys()
    for name, node in second.farm.snapshot.names.items():
        if name != "lb.example":
            assert node.answer == first.farm.snapshot.names[name].answer
    await second.persistence.close()


@pytest.mark.parametrize("is_frozen", [True, False])
async def test_a_database_that_is_not_there_delays_the_start_by_less_than_a_second(
    path: Path, tmp_path: Path, is_frozen: bool
) -> None:
    first = Node(path, None)
    async with alive(first):
        first.check("www", good=[A, B])
    async with MariaDB(tcp=True) as server:
        settings = MysqlSettings(host="127.0.0.1", port=server.port or 0, user="root")
        if is_frozen:
            server.pause()
        else:
            await server.stop()
        # The best of three: what a busy machine adds is no delay of ours.
        assert min([await start_from_the_file(path, settings) for _ in range(3)]) < 1.1


async def start_from_the_file(path: Path, settings: MysqlSettings) -> float:
    """The seconds until a node has restored what the file holds."""
    node = Node(path, settings)
    began = monotonic()
    found = await node.start()
    took = monotonic() - began
    assert found.source == "local"
    await node.persistence.close()
    return took


async def test_an_unusable_file_does_not_prevent_a_start(path: Path) -> None:
    spoil(path)
    node = Node(path, None)
    async with alive(node) as found:
        assert found.source == "nothing"
        node.check("www", good=[A])
    again = Node(path, None)
    async with alive(again) as found:
        assert found.source == "local"


def spoil(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def damage(path: Path, table: str) -> None:
    """One page of a table, neither its root nor its last one, becomes nonsense."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
        pages = [number for (number,) in database.execute(query, (table,))]
    assert len(pages) > 2
    body = bytearray(path.read_bytes())
    body[(pages[0] - 1) * 4096 : pages[0] * 4096] = b"\xff" * 4096
    path.write_bytes(body)


def fill(path: Path) -> None:
    """Transitions and overrides of another day, enough for several pages."""
    with closing(sqlite3.connect(path)) as database:
        for number in range(200):
            row = (f"e{number}", "2030-01-01", *["x" * 100] * 8, 1, 0, None, None, "because", "{}")
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO lb_transition VALUES (NULL, {marks})", row)
        for number in range(100):
            entry = OverrideEntry(Override(row_key(str(number)), f"10.0.{number}.9", Action.DRAIN))
            marks = ", ".join("?" * len(entry.row()))
            database.execute(f"INSERT INTO lb_override VALUES ({marks})", entry.row())
        database.commit()


@pytest.mark.parametrize("table", ["lb_transition", "lb_state", "lb_override"])
async def test_one_damaged_page_loses_only_the_rows_on_it(
    path: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = Node(path, None, *many_records(100, 3))
    async with alive(first):
        first.farm.check_all()
        first.record_changes()
    fill(path)
    damage(path, table)
    second = Node(path, None, *many_records(100, 3))
    async with alive(second) as found:
        kept = len(found.state.overrides)
        served = sum(1 for number in range(100) if second.farm.served(f"n{number:05}"))
    assert "set aside" in caplog.text
    if table == "lb_override":
        assert (50 <= kept < 100, served) == (True, 100)
        assert f"recovered {kept} rows of lb_override; none between" in caplog.text
    else:
        assert (kept, served >= 90) == (100, True)


async def test_a_file_that_is_removed_while_in_use_loses_neither_overrides_nor_keys(
    path: Path,
) -> None:
    first = Node(path, None)
    async with alive(first, flush=False):
        first.check("www", good=[A, B])
        key = ZoneKey("lb.example", 1, 257, active=True, published=True, content="secret")
        await first.persistence.stored_keys.put(key)
        given = await first.persistence.override(drain(A))
        await until(lambda: is_settled(first))
        remove(path)
        newer = ZoneKey("lb.example", 2, 257, active=True, published=True, content="secret")
        await first.persistence.stored_keys.put(newer)
        await first.persistence.override(drain(C))
        remove(path)
        await until(lambda: counts(path) == (2, 2, 2))
    second = Node(path, None)
    async with alive(second) as found:
        assert given.id in {override.id for override in found.state.overrides}
        assert len(found.state.overrides) == 2
        assert second.persistence.stored_keys.keys("lb.example") == (key, newer)
        assert second.farm.served("www") == {B}


@pytest.mark.parametrize("how", ["truncated", "copied over"])
async def test_a_file_that_is_overwritten_while_in_use_loses_neither_overrides_nor_keys(
    path: Path, how: str
) -> None:
    first = Node(path, None)
    async with alive(first, flush=False):
        await until(path.exists)
        older = copied(path) if how == "copied over" else b""
        first.check("www", good=[A, B])
        key = ZoneKey("lb.example", 1, 257, active=True, published=True, content="secret")
        await first.persistence.stored_keys.put(key)
        await first.persistence.override(drain(A))
        await until(lambda: is_settled(first))
        overwrite(path, older)
        newer = ZoneKey("lb.example", 2, 257, active=True, published=True, content="secret")
        await first.persistence.stored_keys.put(newer)
        await first.persistence.override(drain(C))
        await until(lambda: counts(path) == (2, 2, 2))
    second = Node(path, None)
    async with alive(second) as found:
        assert len(found.state.overrides) == 2
        assert second.persistence.stored_keys.keys("lb.example") == (key, newer)
        assert second.farm.served("www") == {B}


def touch(path: Path) -> None:
    """A file that was touched is opened again by what uses it next."""
    path.touch()


def copied(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def counts(path: Path) -> tuple[int, int, int]:
    """Keys, overrides and members that are UP in the file."""
    if not path.exists():
        return 0, 0, 0
    with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):
        ((keys, overrides, members),) = database.execute(
            "SELECT (SELECT COUNT(*) FROM lb_key), (SELECT COUNT(*) FROM lb_override),"
            " (SELECT COUNT(*) FROM lb_state WHERE health = 'UP')"
        )
        return keys, overrides, members
    return 0, 0, 0  # its tables are being created


async def test_an_override_that_is_only_in_memory_is_accepted_with_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(path / "no" / "state.sqlite", None)
    spoil(path)
    async with alive(node, flush=False):
        await node.persistence.override(drain(A, node="ns2"))
        assert node.persistence.stats.is_volatile
    assert "a restart may lose this override" in caplog.text


async def test_a_file_that_hangs_does_not_delay_the_shutdown(path: Path) -> None:
    node = Node(path, None)
    await node.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        # Each of these queues for the thread of the file.
        await asyncio.gather(
            *(node.persistence.override(drain(A, node=f"ns{n}")) for n in range(30))
        )
        async with asyncio.timeout(10):
            await node.persistence.close()
        other.execute("ROLLBACK")


def remove(path: Path) -> None:
    path.unlink()


# -- overrides -------------------------------------------------------------------------------


def drain(target: str, expires: float | None = None, node: str = "") -> OverrideRequest:
    return OverrideRequest(Action.DRAIN, target, author="ann", expires=expires, node=node)


def later(target: str, starts: float, expires: float | None) -> OverrideRequest:
    return OverrideRequest(Action.DRAIN, target, starts=starts, expires=expires)


async def test_an_override_is_in_force_at_once_and_after_a_restart(path: Path) -> None:
    first = Node(path, None)
    async with alive(first, flush=False):
        first.check("www", good=[A, B])
        await first.persistence.override(drain(A))
        assert first.farm.served("www") == {B}
        await until(lambda: is_settled(first))
    second = Node(path, None)
    async with alive(second) as found:
        assert [override.target for override in found.state.overrides] == [A]
        assert second.farm.served("www") == {B}
        second.check("www", good=[A, B])
        await second.persistence.clear(A)
        assert second.farm.served("www") == {A, B}
    assert second.persistence.overrides() == []


async def test_an_override_does_not_wait_for_storage_that_hangs(path: Path) -> None:
    node = Node(path, None)
    async with alive(node, flush=False):
        node.check("www", good=[A, B])
        await until(lambda: is_settled(node))
        touch(path)
        with hung(path) as is_held:
            node.check("api", good=[C])
            await until(is_held)
            began = monotonic()
            setting = asyncio.create_task(node.persistence.override(drain(A)))
            # One turn of the event loop: in force before anything is awaited.
            await passes(0)
            assert node.farm.served("www") == {B}
            await setting
            await node.persistence.clear(A)
            assert node.farm.served("www") == {A, B}
            assert monotonic() - began < 4
            await node.persistence.override(drain(B))
            assert node.farm.served("www") == {A}
        await until(lambda: is_settled(node))
        assert node.farm.served("www") == {A}
        await until(lambda: counts(path)[:2] == (0, 2))


async def test_an_override_expires_on_time(path: Path) -> None:
    node = Node(path, None)
    async with alive(node):
        node.check("www", good=[A, B])
        end = now().wall + 0.6
        await node.persistence.override(drain(A, expires=end))
        assert node.farm.served("www") == {B}
        await until(lambda: node.farm.served("www") == {A, B})
        assert 0 <= now().wall - end < 0.3


async def test_an_override_begins_on_time_also_after_a_restart(path: Path) -> None:
    start = now().wall + 1.5
    first = Node(path, None)
    async with alive(first):
        first.check("www", good=[A, B])
        await first.persistence.override(later(A, start, start + 0.5))
        assert first.farm.served("www") == {A, B}
    second = Node(path, None)
    async with alive(second) as found:
        assert found.state.overrides == ()
        assert [o.starts for o in second.persistence.overrides()] == [
            pytest.approx(start, abs=0.01)
        ]
        second.check("www", good=[A, B])
        await until(lambda: second.farm.served("www") == {B})
        assert 0 <= now().wall - start < 0.3
        await until(lambda: second.farm.served("www") == {A, B})
        assert 0 <= now().wall - start - 0.5 < 0.3


async def test_an_override_begins_on_every_node(
    path: Path, settings: MysqlSettings, tmp_path: Path
) -> None:
    here, there = Node(path, settings), Node(tmp_path / "other.sqlite", settings, name="ns2")
    async with alive(here), alive(there):
        for node in (here, there):
            node.check("www", good=[A, B])
        start = now().wall + 3
        await here.persistence.override(later(A, start, None))
        await until(lambda: bool(there.persistence.overrides()))
        assert there.farm.served("www") == {A, B}
        await until(lambda: there.farm.served("www") == here.farm.served("www") == {B})
        assert 0 <= now().wall - start < 0.5


async def test_overrides_reach_the_other_nodes_within_seconds(
    path: Path, settings: MysqlSettings, tmp_path: Path
) -> None:
    here, there = Node(path, settings), Node(tmp_path / "other.sqlite", settings, name="ns2")
    async with alive(here), alive(there):
        for node in (here, there):
            node.check("www", good=[A, B])
        given = await here.persistence.override(drain(A))
        await until(lambda: there.farm.served("www") == {B})
        assert [override.id for override in there.persistence.overrides()] == [given.id]
        await there.persistence.clear(A, author="bob")
        await until(lambda: here.farm.served("www") == {A, B})
        await here.persistence.override(drain(B, node="ns2"))
        await until(lambda: there.farm.served("www") == {A})
        assert here.farm.served("www") == {A, B}


async def test_an_override_set_while_the_database_was_down_arrives_later(
    path: Path, tmp_path: Path, settings: MysqlSettings
) -> None:
    alone = Node(path, None)
    async with alive(alone):
        alone.check("www", good=[A, B])
        await alone.persistence.override(drain(A))
    here, there = Node(path, settings), Node(tmp_path / "other.sqlite", settings, name="ns2")
    async with alive(here), alive(there):
        there.check("www", good=[A, B])
        await until(lambda: there.farm.served("www") == {B})


async def test_a_refusal_names_the_record(path: Path) -> None:
    node = Node(path, None)
    async with alive(node):
        node.check("api", good=[C])
        with pytest.raises(
            ConflictError, match=r"serving member would be left in api\.lb\.example/A"
        ):
            await node.persistence.override(drain(C))
        assert node.persistence.overrides() == []


# -- both stores --------------------------------------------------------------------------


async def test_both_stores_are_written_and_history_is_of_all_nodes(
    path: Path, settings: MysqlSettings, tmp_path: Path
) -> None:
    here, there = Node(path, settings), Node(tmp_path / "other.sqlite", settings, name="ns2")
    async with alive(here), alive(there):
        here.check("www", good=[A], bad=[B])
        there.check("www", good=[A, B])
        for node in (here, there):
            assert await node.persistence.flush(5)
        local, remote = SqliteStore(path), MariaStore(settings)
        for store in (local, remote):
            assert await is_like(store, here)
        assert await is_like(remote, there, "ns2")
        found, source = await here.persistence.history(HistoryQuery(name="www.lb.example"))
        assert source == "mariadb"
        assert {event.node for event in found} == {"ns1", "ns2"}
        for store in (local, remote):
            await store.close()


async def test_history_comes_from_the_local_file_while_the_database_is_down(path: Path) -> None:
    nowhere = MysqlSettings(unix_socket="/nonexistent/socket", user="root")
    node = Node(path, nowhere)
    async with alive(node, flush=False):
        node.check("www", good=[A])
        await until(lambda: has_history(node))
        figures = {m.store: m for m in node.persistence.stats.mirrors}
        assert (figures["local"].is_connected, figures["mariadb"].is_connected) == (True, False)
        assert figures["mariadb"].history > 0
        await until(lambda: "No such file" in mirror(node, "mariadb").last_error)


def mirror(node: Node, name: str) -> MirrorStatus:
    return next(m for m in node.persistence.stats.mirrors if m.store == name)


async def has_history(node: Node) -> bool:
    found, source = await node.persistence.history(HistoryQuery())
    return bool(found) and source == "local"


async def test_a_reload_can_add_and_remove_a_database(path: Path, settings: MysqlSettings) -> None:
    node = Node(path, None)
    remote = MariaStore(settings)
    async with alive(node):
        node.check("www", good=[A, B])
        node.reconfigure(settings, "two")
        await until(lambda: is_like(remote, node))
        await until(lambda: config_hash(remote, "two"))
        node.reconfigure(None, "three")
        await until(lambda: len(node.persistence.stats.mirrors) == 1)
        before = await stored_state(remote)
        node.check("www", bad=[A])
        await node.persistence.flush(5)
        assert await stored_state(remote) == before
    await remote.close()


async def config_hash(store: Store, wanted: str) -> bool:
    return await store.read(Select(NODE, ("config_hash",))) == [(wanted,)]


async def test_stats_are_json(path: Path) -> None:
    node = Node(path, None)
    async with alive(node):
        assert '"restored": "nothing"' in json.dumps(node.persistence.detail())
