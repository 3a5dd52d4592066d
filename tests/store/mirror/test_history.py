"""Reading history, and deleting it in time."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.history import (
    MAX_LIMIT,
    ChangeKind,
    HistoryQuery,
    Position,
    StoredChange,
    position_after,
)
from dnslb_backend.core.health.service import ServiceStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Store, Upsert
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import (
    DECISION,
    NODE,
    NODE_TABLES,
    STATIC,
    TRANSITION,
    VOTE,
    VOTE_TABLES,
    VOTER,
    ZONE,
    Table,
    TableRow,
)
from dnslb_backend.store.database.values import sql_datetime
from dnslb_backend.store.mirror.history import changes_of, read_history
from dnslb_backend.store.mirror.node import Identity
from dnslb_backend.store.mirror.outbox import Outbox
from dnslb_backend.store.mirror.retention import DELETE_BATCH, Retention
from dnslb_backend.store.mirror.rows import change_row, transition_row
from dnslb_backend.store.settings import MysqlSettings
from tests.core.building import KEY
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until

OTHER = RecordKey(KEY.zone, "other.lb.example", "AAAA")
TIME = 1_700_000_000.0


def moved(at: float, key: RecordKey = KEY, reason: str = "timed out") -> Transition:
    content = "192.0.2.1"
    return Transition(
        at, key, content, content, Health.UP, Health.DOWN, True, False, 5, None, reason
    )


async def store_transitions(
    store: Store, *transitions: Transition, node: str = "ns1", start: int = 0
) -> None:
    rows = [transition_row(f"{node}-{start + n}", node, t) for n, t in enumerate(transitions)]
    await store.write([Upsert(TRANSITION, rows)])


async def test_a_transition_comes_back_as_it_was(store: Store) -> None:
    whole = moved(TIME + 0.25, reason='it\'s "gone" \U0001f480 ' + "\u00e9" * 127)
    await store_transitions(store, whole)
    (event,) = await read_history(store, HistoryQuery())
    assert (event.change, event.node) == (whole, "ns1")


def decided(at: float, key: RecordKey = KEY) -> DecisionChange:
    before = ServiceStatus(DecisionKind.SERVE)
    after = ServiceStatus(DecisionKind.LAST, 2, 3, 0)
    return DecisionChange(at, key, before, after, 'it\'s "3 of 3" \U0001f480')


async def store_decisions(store: Store, *changes: DecisionChange, node: str = "ns1") -> None:
    rows = [change_row(f"{node}-{n}", node, change) for n, change in enumerate(changes)]
    await store.write([Upsert(DECISION, rows)])


async def test_a_decision_comes_back_as_it_was(store: Store) -> None:
    await store_decisions(store, decided(TIME + 0.25))
    (stored,) = await read_history(store, HistoryQuery())
    assert (stored.change, stored.node, stored.id) == (decided(TIME + 0.25), "ns1", 1)
    (row,) = await store.read(Select(DECISION, ("from_decision", "to_decision", "severity")))
    assert row == ("serve", "last", "warning")


async def test_decisions_are_among_the_transitions_and_paged_with_them(store: Store) -> None:
    await store_transitions(store, *(moved(TIME + n) for n in range(6)))
    await store_decisions(store, *(decided(TIME + n) for n in (1, 1, 4)), decided(TIME, OTHER))
    whole = await read_history(store, HistoryQuery(name=KEY.name))
    kinds = [("d" if stored.kind is ChangeKind.DECISION else "t") for stored in whole]
    assert "".join(kinds) == "tdtttddtt"
    for size in (1, 2, 4):
        seen, position = list[StoredChange](), Position()
        while page := await read_history(
            store, HistoryQuery(name=KEY.name, limit=size, before=position)
        ):
            seen += page
            position = position_after(page, position)
        assert seen == whole
    for kind, count in ((ChangeKind.DECISION, 3), (ChangeKind.TRANSITION, 6)):
        only = await read_history(store, HistoryQuery(name=KEY.name, kind=kind))
        assert [stored.kind for stored in only] == [kind] * count
    assert await read_history(store, HistoryQuery(label="dc=fra")) == []


async def test_history_is_filtered_by_label(store: Store) -> None:
    labels = [("dc=fra", "rack=1"), ("dc=fra", "rack=12"), ("abcdc=fra",), ()]
    found = [replace(moved(TIME + n), labels=labels[n]) for n in range(4)]
    await store_transitions(store, *found)

    async def times(label: str) -> list[float]:
        events = await read_history(store, HistoryQuery(label=label))
        return [event.change.at - TIME for event in events]

    assert await times("dc=fra") == [1, 0]
    assert await times("rack=1") == [0]
    assert await times("rack=%") == await times("dc") == []
    (event,) = await read_history(store, HistoryQuery(label="rack=12"))
    assert event.change == found[1]


async def test_history_is_filtered_by_name_time_and_node_and_paged(store: Store) -> None:
    await store_transitions(store, *(moved(TIME + n, KEY if n % 2 else OTHER) for n in range(10)))
    await store_transitions(store, moved(TIME + 20), node="ns2")

    async def times(**question: object) -> list[float]:
        found = await read_history(store, HistoryQuery(**question))  # type: ignore[arg-type]
        return [event.change.at - TIME for event in found]

    assert await times() == [20, *range(9, -1, -1)]
    assert await times(name=KEY.name) == [20, 9, 7, 5, 3, 1]
    assert await times(name="nosuch.lb.example") == []
    assert await times(since=TIME + 8) == [20, 9, 8]
    assert await times(until=TIME + 2) == [1, 0]
    assert await times(node="ns2") == [20]
    assert await times(limit=3) == [20, 9, 8]
    page = await read_history(store, HistoryQuery(limit=3))
    assert await times(limit=3, before=position_after(page, Position())) == [7, 6, 5]
    assert len(await times(limit=0)) == 1


async def test_the_event_loop_goes_on_while_much_is_read() -> None:
    row = (1, *transition_row("ns1-1", "ns1", moved(TIME)))
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)  # noqa: TID251 - this counts the turns

    task = asyncio.create_task(watch())
    assert len(await changes_of(ChangeKind.TRANSITION, [row] * MAX_LIMIT)) == MAX_LIMIT
    task.cancel()
    assert turns >= MAX_LIMIT / 100


# -- retention ---------------------------------------------------------------------------


async def test_history_ends_at_an_age(store: Store) -> None:
    await store_transitions(store, *(moved(TIME + n) for n in range(DELETE_BATCH + 20)))
    await store_transitions(store, moved(4e9), start=DELETE_BATCH + 20)
    await Retention(store, "ns1", 86400, 10**6).delete_expired()
    (left,) = await read_history(store, HistoryQuery())
    assert left.change.at == 4e9


async def test_decisions_end_at_the_same_age_and_count(store: Store) -> None:
    await store_decisions(store, decided(TIME), *(decided(4e9 + n) for n in range(9)))
    await Retention(store, "ns1", 86400, 3).delete_expired()
    left = await read_history(store, HistoryQuery())
    assert [stored.change.at - 4e9 for stored in left] == [8, 7, 6]


async def test_history_ends_at_a_count(store: Store) -> None:
    await store_transitions(store, *(moved(4e9 + n) for n in range(DELETE_BATCH + 50)))
    retention = Retention(store, "ns1", 86400, 30)
    await retention.delete_expired()
    left = await read_history(store, HistoryQuery(limit=1000))
    assert [event.change.at - 4e9 for event in left] == list(
        range(DELETE_BATCH + 49, DELETE_BATCH + 19, -1)
    )
    await retention.delete_expired()
    assert len(await read_history(store, HistoryQuery(limit=1000))) == 30


SPOIL_IDS = {
    "local": (
        "CREATE TABLE spoilt AS SELECT * FROM lb_transition",
        "DROP TABLE lb_transition",
        "ALTER TABLE spoilt RENAME TO lb_transition",
        "UPDATE lb_transition SET id = 'x' || id",
    ),
    "mariadb": (
        "ALTER TABLE lb_transition MODIFY id VARCHAR(20) NOT NULL",
        "UPDATE lb_transition SET id = CONCAT('x', id)",
    ),
}


@pytest.mark.parametrize("kind", SPOIL_IDS)
async def test_ids_that_are_no_numbers_are_reported_and_delete_nothing(
    kind: str, tmp_path: Path, mariadb: MariaDB, settings: MysqlSettings
) -> None:
    path = tmp_path / "state.sqlite"
    store: Store = SqliteStore(path) if kind == "local" else MariaStore(settings)
    await store_transitions(store, *(moved(4e9 + n) for n in range(50)))
    for statement in SPOIL_IDS[kind]:
        if kind == "local":
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                database.execute(statement)
        else:
            await mariadb.query(statement, database=settings.name)
    with pytest.raises(StoreError, match="id that is no number"):
        await Retention(store, "ns1", 86400, 30).delete_expired()
    assert len(await store.read(Select(TRANSITION, ("event",)))) == 50
    await store.close()


async def test_unsent_transitions_whose_ids_are_no_numbers_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.sqlite"
    store = SqliteStore(path)
    await store_transitions(store, moved(4e9))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in SPOIL_IDS["local"]:
            database.execute(statement)
    outbox = Outbox(Identity("ns1", "i", "1.0", 1.0), TRANSITION, store)
    await outbox.open(0.0)
    assert len(outbox) == 0
    assert "id that is no number" in caplog.text
    await store.close()


MOMENT = sql_datetime(TIME)


def rows_of(node: str) -> list[tuple[Table, TableRow]]:
    return [
        (STATIC, (node, "k", "s", "lb.example", "a.lb.example", "A", "192.0.2.1", 5, 1)),
        (ZONE, (node, "k", "s", "lb.example", 7, "soa", 60, 1)),
        (NODE, (node, "i", "1.0", MOMENT, "", "nothing", MOMENT, 1.0, "b", "s")),
        (VOTER, (node, "i", "dc1", 1, 1, "", "b", 1)),
        (VOTE, (node, "k", 1, "192.0.2.1", "tcp", "UP", 0, "", None, None, MOMENT)),
    ]


async def settle(store: Store, *nodes: str) -> None:
    for node in nodes:
        await store.write([Upsert(table, [row]) for table, row in rows_of(node)])


async def nodes_left(store: Store) -> set[str]:
    found: set[str] = set()
    for table in (*NODE_TABLES, NODE, *VOTE_TABLES):
        found |= {str(row[0]) for row in await store.read(Select(table, ("node",)))}
    return found


EVERY = -60.0
"""As a silence: every heartbeat is older than a minute from now."""


async def test_a_silent_node_is_deleted_after_two_runs(store: Store) -> None:
    await settle(store, "ns1", "ns2", "ns3")
    retention = Retention(store, "ns1", 1e9, 10**6, silence=EVERY)
    await retention.delete_expired()
    assert await nodes_left(store) == {"ns1", "ns2", "ns3"}
    await let_the_clock_move(store)
    await settle(store, "ns3")
    await retention.delete_expired()
    assert await nodes_left(store) == {"ns1", "ns3"}


async def let_the_clock_move(store: Store) -> None:
    """Until a heartbeat would read differently."""
    query = Select(NODE, ("MAX(heartbeat)",))

    async def moved_on() -> bool:
        before = await store.read(query)
        await settle(store, "ns1")
        return await store.read(query) != before

    await until(moved_on)


async def test_a_running_node_is_not_deleted(store: Store) -> None:
    await settle(store, "ns1", "ns2")
    retention = Retention(store, "ns1", 1e9, 10**6)
    await retention.delete_expired()
    await retention.delete_expired()
    assert await nodes_left(store) == {"ns1", "ns2"}


@pytest.mark.parametrize(("hours", "is_gone"), [(7 * 24 - 1, False), (7 * 24 + 1, True)])
async def test_silence_means_seven_days(
    mariadb: MariaDB, settings: MysqlSettings, hours: int, is_gone: bool
) -> None:
    store = MariaStore(settings)
    await settle(store, "ns1", "ns2")
    await mariadb.query(
        f"UPDATE lb_node SET heartbeat = UTC_TIMESTAMP(3) - INTERVAL {hours} HOUR",
        database=settings.name,
    )
    retention = Retention(store, "ns1", 1e9, 10**6)
    await retention.delete_expired()
    await retention.delete_expired()
    assert ("ns2" not in await nodes_left(store)) is is_gone
    await store.close()


async def test_the_history_of_a_node_that_is_gone_stays(store: Store) -> None:
    await settle(store, "ns2")
    await store_transitions(store, moved(4e9), node="ns2")
    retention = Retention(store, "ns1", 1e9, 10**6, silence=EVERY)
    await retention.delete_expired()
    await retention.delete_expired()
    assert await nodes_left(store) == set()
    assert len(await read_history(store, HistoryQuery(node="ns2"))) == 1
