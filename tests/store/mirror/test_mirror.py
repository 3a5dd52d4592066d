"""A store becomes like the map, and stays so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.results import passed
from dnslb_backend.core.model.records import Dest
from dnslb_backend.core.model.rules import Thresholds
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, Where
from dnslb_backend.store.database.tables import (
    DECISION,
    NODE,
    RECORD,
    STATE,
    STATIC,
    TRANSITION,
    ZONE,
    Table,
    TableRow,
    Value,
)
from dnslb_backend.store.database.values import sql_datetime
from dnslb_backend.store.mirror.mirror import Mirror
from dnslb_backend.store.mirror.node import Clocks, Identity, LocalNode, WritePolicy
from dnslb_backend.store.mirror.outbox import BOUND, Outboxes
from dnslb_backend.store.mirror.rows import Stamp
from dnslb_backend.store.mirror.source import MirrorSource, RowGroup, group_of
from dnslb_backend.store.persistence import uptime
from tests.rigs.waiting import until
from tests.store.farm import FAIL, PASS, Farm, farm_record, many_records, stored_state

STATIC_ROWS = [
    ZoneRow("ns1.lb.example", "A", "192.0.2.53", 300),
    ZoneRow("txt.a.lb.example", "TXT", '"it\'s \\"quoted\\""', 300),
]


def mirror_of(
    store: Store,
    identity: Identity,
    source: MirrorSource,
    *,
    refresh: float,
    beat: float | None = None,
    gap: float = 0.01,
    outboxes: Outboxes | None = None,
) -> Mirror:
    node = LocalNode(identity, source, Clocks(now, uptime))
    policy = WritePolicy(refresh, beat or refresh, gap, 1e9, 10**6)
    if outboxes is None:
        outboxes = Outboxes(identity)
    return Mirror(store, node, policy, outboxes)


class Scene:
    """A farm and its mirror in one store."""

    def __init__(
        self,
        store: Store,
        farm: Farm,
        *,
        refresh: float = 5.0,
        beat: float | None = None,
        gap: float = 0.01,
        node: str = "ns1",
        bound: int = BOUND,
        source: MirrorSource | None = None,
    ) -> None:
        self.store = store
        self.farm = farm
        self.source = source or MirrorSource(farm.map)
        self.identity = Identity(node, f"i-{node}", "1.0", 1.0, "boot", "hash")
        self.outboxes = Outboxes(self.identity, bound=bound)
        self.mirror = mirror_of(
            store,
            self.identity,
            self.source,
            refresh=refresh,
            beat=beat,
            gap=gap,
            outboxes=self.outboxes,
        )
        self.record_changes()

    def record_changes(self) -> None:
        """What Persistence does after every change of the farm."""
        changes, snapshot = self.farm.settle()
        changed, is_new = self.source.apply_snapshot(snapshot)
        changed |= self.source.changed_groups(changes.touched)
        if is_new:
            self.mirror.apply_snapshot()
        touched, history = map(group_of, changes.touched), (changes.transitions, changes.decisions)
        self.mirror.record_changes(changed, touched, history)

    async def is_like_the_map(self) -> bool:
        return await stored_state(self.store, self.identity.node) == self.farm.state_rows()

    async def settled(self, within: float = 30.0) -> None:
        await until(self.is_like_the_map, within=within, what="the store to be like the map")


@asynccontextmanager
async def running(*scenes: Scene) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(scene.mirror.run()) for scene in scenes]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def small_farm() -> Farm:
    farm = Farm(
        farm_record("www", "192.0.2.1", "192.0.2.2"),
        farm_record("api", "192.0.2.3"),
        static=STATIC_ROWS,
    )
    farm.check_all()
    return farm


async def count(store: Store, query: Select) -> int:
    return len(await store.read(query))


async def events(store: Store) -> list[TableRow]:
    return await store.read(Select(TRANSITION, ("content", "to_health", "event"), order="id"))


# -- what is written ----------------------------------------------------------------------


async def test_everything_is_written_at_first(store: Store) -> None:
    scene = Scene(store, small_farm())
    async with running(scene):
        await scene.settled()
        await until(lambda: count(store, Select(RECORD, ("name",))))
        zones = await store.read(Select(ZONE, ("zone", "serial")))
        names = await store.read(Select(STATIC, ("name", "type"), order="name"))
        nodes = await store.read(Select(NODE, ("node", "instance", "config_hash")))
    assert zones == [("lb.example", scene.farm.snapshot.serials["lb.example"])]
    assert names == [
        ("a.lb.example", "ENT"),
        ("lb.example", "NS"),
        ("ns1.lb.example", "A"),
        ("txt.a.lb.example", "TXT"),
    ]
    assert nodes == [("ns1", scene.identity.instance, "hash")]
    assert {(content, health) for content, health, _ in await events(store)} == {
        (f"192.0.2.{n}", "UP") for n in (1, 2, 3)
    }


async def test_a_change_is_written_at_once_and_the_serial_with_it(store: Store) -> None:
    scene = Scene(store, small_farm(), refresh=1000)
    async with running(scene):
        await scene.settled()
        scene.farm.check("www", FAIL, "192.0.2.1")
        scene.record_changes()
        await scene.settled(within=2)
        await until(lambda: has_transition(store, "192.0.2.1", "DOWN"))
        serial = scene.farm.snapshot.serials["lb.example"]
        assert await store.read(Select(ZONE, ("serial",))) == [(serial,)]


async def has_transition(store: Store, content: str, health: str) -> bool:
    return (content, health) in {row[:2] for row in await events(store)}


async def test_what_decides_nothing_waits_for_the_refresh(store: Store) -> None:
    """Times are not even written by a flush: the heartbeat says that they are as new."""
    scene = Scene(store, small_farm(), refresh=1000)
    async with running(scene):
        await scene.settled()
        before, count = await rows_of("www.lb.example", store), scene.mirror.status.rows
        scene.farm.check("www", PASS)
        scene.record_changes()
        assert await scene.mirror.flush(5)
        assert await rows_of("www.lb.example", store) == before
        scene.farm.check("www", passed("with other words"))
        scene.record_changes()
        scene.farm.check("api", FAIL)
        scene.record_changes()
        await until(lambda: has_transition(store, "192.0.2.3", "DOWN"))
        await until(lambda: not scene.mirror.status.backlog)
        assert await rows_of("www.lb.example", store) == before
        assert scene.mirror.status.rows - count <= 6
        assert not await scene.is_like_the_map()
        assert await scene.mirror.flush(5)
        assert await scene.is_like_the_map()


async def rows_of(name: str, store: Store) -> set[TableRow]:
    return {row for row in await store.read(Select(STATE, STATE.columns)) if name in row}


async def test_unchanged_rows_are_refreshed(store: Store) -> None:
    """Whatever another client did to them meanwhile."""
    farm = Farm(farm_record("www", "192.0.2.1", "192.0.2.2", interval=0.2), static=STATIC_ROWS)
    farm.check_all()
    scene = Scene(store, farm, refresh=0.2)
    async with running(scene):
        await scene.settled()
        rows = await store.read(Select(STATE, STATE.columns))
        spoilt = [(*row[:9], 0, "DOWN", *row[11:]) for row in rows[:1]]
        zones = await store.read(Select(ZONE, ZONE.key))
        await store.write([Upsert(STATE, spoilt), Delete(STATE, [rows[1][:2]])])
        await store.write([Delete(ZONE, zones)])
        await scene.settled(within=3)
        await until(lambda: count(store, Select(ZONE, ("zone",))))


STATUS = Table("lb_status", ("age", "mirror_age"), key=())


async def test_where_rows_are_seldom_written_the_heartbeat_says_that_they_hold(
    store: Store,
) -> None:
    """Of rows of this session that are not stale; of others the last check is what they say."""
    scene = Scene(store, small_farm(), refresh=1000, beat=0.1)
    ages = Select(STATUS, ("age",), order="address")
    async with running(scene):
        await scene.settled()
        await until(lambda: not scene.mirror.status.history)
        written = scene.mirror.status.rows
        rows = await store.read(Select(STATE, STATE.columns, order="content"))
        long_ago: dict[str, Value] = {"last_check": sql_datetime(now().wall - 3600)}
        changes = [long_ago, long_ago | {"stale": 1}, long_ago | {"session": "another"}]
        old = [
            tuple(change.get(name, value) for name, value in zip(STATE.columns, row, strict=True))
            for row, change in zip(rows, changes, strict=True)
        ]
        await store.write([Upsert(STATE, old)])
        seen = await store.read(Select(NODE, ("seen",)))
        await until(lambda: differs_from(store, seen))
        first, *others = [row[0] for row in await store.read(ages)]
        assert scene.mirror.status.rows == written
    assert isinstance(first, int)
    assert 4 <= first < 60
    assert all(isinstance(age, int) and 3599 <= age < 3660 for age in others)


async def differs_from(store: Store, seen: list[TableRow]) -> bool:
    return await store.read(Select(NODE, ("seen",))) != seen


async def test_a_streak_counts_as_a_change(store: Store) -> None:
    farm = Farm(farm_record("www", "192.0.2.1", thresholds=Thresholds(fall=3)))
    farm.check_all()
    scene = Scene(store, farm, refresh=1000)
    async with running(scene):
        await scene.settled()
        for _ in range(2):
            farm.check("www", FAIL)
            scene.record_changes()
        await until(lambda: streak(store, 2))


async def test_what_a_clear_changes_is_written_at_once(store: Store) -> None:
    """Also where the member is not served either way: it must not wait again after a kill."""
    dests = (Dest("192.0.2.1", 2, is_literal=True), Dest("192.0.2.2", 1, is_literal=True))
    farm = Farm(farm_record("www", dests=dests, failback=600.0))
    farm.check_all()
    farm.check("www", FAIL, "192.0.2.2")
    farm.check("www", PASS, "192.0.2.2")
    scene = Scene(store, farm, refresh=1000)
    async with running(scene):
        await scene.settled()
        (key,) = farm.map.records
        before = await store.read(Select(STATE, ("checks",)))
        farm.map.readmit_member(key, "192.0.2.2", now())
        scene.record_changes()
        await until(lambda: differs(store, before))
        assert await store.read(Select(STATE, ("checks",))) == [(None,), (None,)]


async def differs(store: Store, before: list[TableRow]) -> bool:
    return await store.read(Select(STATE, ("checks",))) != before


async def streak(store: Store, wanted: int) -> bool:
    return await store.read(Select(STATE, ("streak",))) == [(wanted,)]


# -- what is deleted ----------------------------------------------------------------------------


async def test_rows_of_members_and_records_that_are_gone_are_deleted(store: Store) -> None:
    scene = Scene(store, small_farm(), refresh=1000)
    async with running(scene):
        await scene.settled()
        scene.farm.static = STATIC_ROWS[:1]
        scene.farm.reload(farm_record("www", "192.0.2.1"))
        scene.farm.check_all()
        scene.record_changes()
        await scene.settled(within=2)
        assert await stored_names(store) == {"www.lb.example"}
        names = await store.read(Select(STATIC, ("name",), order="name"))
        assert names == [("lb.example",), ("ns1.lb.example",)]
        assert await store.read(Select(RECORD, ("name",))) == [("www.lb.example",)]


async def stored_names(store: Store) -> set[object]:
    return {row[0] for row in await store.read(Select(STATE, ("name",)))}


async def leave_behind(store: Store, node: str = "ns1") -> None:
    """Rows of an earlier run: a member that is gone, a record, a name, a zone."""
    old = Scene(
        store,
        Farm(farm_record("www", "192.0.2.99"), farm_record("old", "192.0.2.98")),
        node=node,
    )
    old.farm.check_all()
    async with running(old):
        await old.settled()


async def test_rows_of_an_earlier_run_are_deleted(store: Store) -> None:
    await leave_behind(store)
    scene = Scene(store, small_farm())
    async with running(scene):
        await scene.settled()


async def test_rows_of_unknown_records_are_kept_unserved_without_delete_unknowns(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_behind(store)
    scene = Scene(store, small_farm())
    scene.source.delete_unknowns = False
    old = Select(STATE, ("served", "content"), (Where("name", "=", "old.lb.example"),))
    async with running(scene):
        await until(lambda: kept(store, old))
        contents = await store.read(Select(STATE, ("content",), order="content"))
    assert contents == [("192.0.2.1",), ("192.0.2.2",), ("192.0.2.3",), ("192.0.2.98",)]
    assert "kept 1 rows of lb_state" in caplog.text


async def kept(store: Store, query: Select) -> bool:
    gone = not await count(store, Select(STATE, ("name",), (Where("content", "=", "192.0.2.99"),)))
    return gone and await store.read(query) == [(0, "192.0.2.98")]


async def test_rows_of_other_nodes_are_not_touched(store: Store) -> None:
    await leave_behind(store, "ns2")
    before = await stored_state(store, "ns2")
    scene = Scene(store, small_farm())
    async with running(scene):
        await scene.settled()
    assert await stored_state(store, "ns2") == before


async def test_no_rows_are_deleted_before_the_first_snapshot(store: Store) -> None:
    await leave_behind(store)
    before = await stored_state(store)
    farm = small_farm()
    source = MirrorSource(farm.map)
    mirror = mirror_of(store, Identity("ns1", "i", "1", 1.0), source, refresh=0.1)
    task = asyncio.create_task(mirror.run())
    await until(lambda: mirror.status.is_connected)
    await until(lambda: beats(store))
    task.cancel()
    await asyncio.wait([task])
    assert await stored_state(store) == before


async def beats(store: Store) -> bool:
    rows = await store.read(Select(NODE, ("instance",)))
    return rows == [("i",)]


# -- two daemons --------------------------------------------------------------------------


async def test_a_second_daemon_of_the_same_name_is_noticed_by_both(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (Scene(store, small_farm(), refresh=0.1) for _ in range(2))
    second.identity.instance = "another"
    async with running(first):
        await first.settled()
        assert first.mirror.status.duplicate_instance is None
        async with running(second):
            await until(
                lambda: (
                    first.mirror.status.duplicate_instance
                    and second.mirror.status.duplicate_instance
                )
            )
        await until(lambda: first.mirror.status.duplicate_instance is None)
    assert "uses the name of this node, ns1" in caplog.text


async def test_a_restarted_daemon_is_not_a_second_one(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for instance in ("one", "two"):
        scene = Scene(store, small_farm(), refresh=0.05)
        scene.identity.instance = instance
        async with running(scene):
            await scene.settled()
            await more_transactions(scene, 3)
    assert "uses the name" not in caplog.text


async def more_transactions(scene: Scene, wanted: int) -> None:
    before = scene.mirror.status.transactions
    await until(lambda: scene.mirror.status.transactions >= before + wanted)


# -- how it is written --------------------------------------------------------------------


class Spread(MirrorSource):
    """Counts the rows that are built between two turns of the event loop."""

    longest = current = 0

    def rows(self, group: RowGroup, stamp: Stamp, at: Instant) -> list[tuple[Table, TableRow]]:
        found = super().rows(group, stamp, at)
        self.current += len(found)
        self.longest = max(self.longest, self.current)
        return found

    async def take_turns(self) -> None:
        while True:
            self.current = 0
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop is what is counted


async def test_others_get_their_turn_while_many_rows_are_built(store: Store) -> None:
    farm = Farm(*many_records(500, 3))
    farm.check_all()
    source = Spread(farm.map)
    scene = Scene(store, farm, source=source)
    async with running(scene):
        turns = asyncio.create_task(source.take_turns())
        await scene.settled()
        turns.cancel()
    assert 0 < source.longest < 40


async def test_a_row_that_changes_often_is_written_once(store: Store) -> None:
    scene = Scene(store, small_farm(), refresh=1000, gap=0.3)
    async with running(scene):
        await scene.settled()
        await until(lambda: not scene.outboxes)
        before, stored = scene.mirror.status, len(await events(store))
        for number in range(100):
            scene.farm.check("www", FAIL if number % 2 == 0 else PASS, "192.0.2.1")
            scene.record_changes()
            await asyncio.sleep(0)  # noqa: TID251 - so that the mirror could write each time
        await scene.settled()
        after = scene.mirror.status
    assert after.transactions - before.transactions <= 3
    assert len(await events(store)) - stored == 100


async def test_a_change_that_is_sent_twice_is_stored_once(store: Store) -> None:
    scene = Scene(store, small_farm())
    sent = await scene.outboxes.first(10)
    async with running(scene):
        await scene.settled()
        await until(lambda: not scene.outboxes)
    # As after a kill -9: nothing says that it was stored.
    again = Scene(store, small_farm())
    assert names(await again.outboxes.first(10)) == names(sent)
    async with running(again):
        await until(lambda: not again.outboxes)
    assert len(await events(store)) == 3
    assert len(await store.read(Select(DECISION, ("event",)))) == 2


def names(sent: list[Upsert]) -> list[tuple[Table, list[Value]]]:
    """The events of the rows for each table."""
    return [(upsert.table, [row[0] for row in upsert.rows]) for upsert in sent]


async def test_one_refused_row_does_not_affect_the_others(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    farm = small_farm()
    scene = Scene(store, farm, source=Spoiling(farm.map))
    async with running(scene):
        await until(lambda: scene.mirror.status.refused)
        await until(lambda: has(store, {"192.0.2.1", "192.0.2.3"}))
        await until(lambda: not scene.outboxes)
        assert scene.mirror.status.is_connected
    assert "skipping a row that the store refuses" in caplog.text


class Spoiling(MirrorSource):
    def rows(self, group: RowGroup, stamp: Stamp, at: Instant) -> list[tuple[Table, TableRow]]:
        return [
            (table, (*row[:9], None, *row[10:]) if "192.0.2.2" in row else row)
            for table, row in super().rows(group, stamp, at)
        ]


async def has(store: Store, contents: set[str]) -> bool:
    return {row[0] for row in await store.read(Select(STATE, ("content",)))} == contents


async def test_a_flush_ends_in_time_when_the_mirror_does_not_run(store: Store) -> None:
    scene = Scene(store, small_farm())
    assert not await scene.mirror.flush(0.05)
    async with running(scene):
        assert await scene.mirror.flush(5)
        assert await scene.mirror.flush(5)
    assert await scene.is_like_the_map()
