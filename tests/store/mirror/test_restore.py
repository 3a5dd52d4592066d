"""What is read back of an earlier run, and how old it is."""

import pytest

from dnslb_backend.core.health.saved_state import capture
from dnslb_backend.store.database.interface import Store, Upsert
from dnslb_backend.store.database.tables import NODE, ZONE
from dnslb_backend.store.database.values import sql_datetime
from dnslb_backend.store.mirror.record_rows import record_rows
from dnslb_backend.store.mirror.restore import load_saved_state
from dnslb_backend.store.mirror.rows import Stamp, zone_row
from tests.core.building import KEY, Driver, at, record, zone
from tests.core.health.test_override_guard import FAIL, PASS

A, B = "192.0.2.1", "192.0.2.2"
STAMP = Stamp("ns1", "s1")
SEEN = 1_700_000_100.5


async def leave(store: Store, *, boot: str = "b1", uptime: float = 500.0) -> None:
    """The rows of a node that had one record, and gave its last sign of life at SEEN."""
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    memory = capture(driver.health_map, {}, at(driver.clock))
    works = [Upsert(t, [row]) for t, row in record_rows(memory.records[KEY], STAMP)]
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
