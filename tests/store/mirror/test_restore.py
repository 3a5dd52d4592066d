"""What is read back of an earlier run, and how old it is."""

import pytest

from dnslb_backend.store.database.interface import Select, Store, Upsert, Where
from dnslb_backend.store.database.tables import NODE, STATE, ZONE, Value
from dnslb_backend.store.database.values import sql_datetime
from dnslb_backend.store.mirror.record_rows import record_rows
from dnslb_backend.store.mirror.restore import load_saved_state
from dnslb_backend.store.mirror.rows import Stamp, zone_row
from tests.core.building import KEY, Driver, at, capture, record, zone
from tests.core.health.test_override_guard import FAIL, PASS

A, B = "192.0.2.1", "192.0.2.2"
STAMP = Stamp("ns1", "s1")
SEEN = 1_700_000_100.5


async def leave(store: Store, *, boot: str = "b1", uptime: float = 500.0) -> None:
    """The rows of a node that had one record, and gave its last sign of life at SEEN."""
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    memory = capture(driver.health_map, {}, at(driver.clock))
    works = [Upsert(t, [row]) for t, row in record_rows(memory.records[KEY], STAMP, 5.0)]
    node = (
        "ns1",
        "i1",
        "1.0",
        sql_datetime(1.0),
        "hash",
        "nothing",
        sql_datetime(SEEN),
        uptime,
        boot,
        "s1",
    )
    works += [Upsert(ZONE, [zone_row(zone(), 77, STAMP)]), Upsert(NODE, [node])]
    await store.write(works)


async def test_the_records_and_serials_of_a_node_come_back(store: Store) -> None:
    await leave(store)
    memory = await load_saved_state(store, "ns1", "b1", lambda: 507.25)
    assert memory is not None
    assert {
        saved.status.member.content: saved.status.is_served for saved in memory.records[KEY].members
    } == {A: True, B: False}
    assert memory.serials == {"lb.example": 77}


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({}, SEEN - 5),
        ({"stale": 1}, SEEN - 1000),
        ({"session": "s0"}, SEEN - 1000),
        ({"check_interval": None}, SEEN - 1000),
        ({"last_check": sql_datetime(SEEN - 1)}, SEEN - 1),
    ],
)
async def test_a_row_is_as_new_as_the_heartbeat_of_its_session(
    store: Store, changes: dict[str, Value], checked: float
) -> None:
    """It was not written again because nothing had changed; not so in rows of other sessions."""
    await leave(store)
    columns: dict[str, Value] = {"last_check": sql_datetime(SEEN - 1000)}
    (row,) = await store.read(Select(STATE, STATE.columns, (Where("content", "=", A),)))
    values = zip(STATE.columns, row, strict=True)
    changed = tuple((columns | changes).get(name, value) for name, value in values)
    await store.write([Upsert(STATE, [changed])])
    memory = await load_saved_state(store, "ns1", "b1", lambda: 507.25)
    assert memory is not None
    (member,) = [m for m in memory.records[KEY].members if m.status.member.content == A]
    assert member.status.state.last_check == pytest.approx(checked)
    assert member.states[0].last_check == pytest.approx(checked)


async def test_nothing_is_restored_of_another_node(store: Store) -> None:
    await leave(store)
    assert await load_saved_state(store, "ns2", "b1", lambda: 507.25) is None


@pytest.mark.parametrize(
    ("boot", "uptime", "elapsed"),
    [("b1", 507.25, 7.25), ("b2", 507.25, None), ("b1", 499.0, None)],
)
async def test_within_one_boot_the_time_that_passed_is_known(
    store: Store, boot: str, uptime: float, elapsed: float | None
) -> None:
    """Not so after another boot, nor where the clock of this one says less than before."""
    await leave(store)
    memory = await load_saved_state(store, "ns1", boot, lambda: uptime)
    assert memory is not None
    assert (memory.taken, memory.elapsed) == (SEEN, elapsed)
