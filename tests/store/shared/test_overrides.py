"""Overrides: set, cleared, and the same on every node in the end."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.model.records import Dest, Policy, RecordKey
from dnslb_backend.errors import ConflictError
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert
from dnslb_backend.store.database.tables import OVERRIDE
from dnslb_backend.store.shared.override_commands import canonical_target, clear, create
from dnslb_backend.store.shared.overrides import (
    LABELS_VERSION,
    STARTS_VERSION,
    TOMBSTONE_TTL,
    OverrideEntry,
    OverrideTable,
    read_row,
)
from dnslb_backend.store.shared.replicated_table import TableSync
from tests.core.building import KEY, Driver, at, record
from tests.core.health.test_override_guard import FAIL, PASS

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
NOW = at(100)
WALL = NOW.wall
LABELS = ("dc=fra", "rack=12")


def override(number: str = "1", target: str = A, node: str = "", **more: float | None) -> Override:
    return Override(number, target, Action.DRAIN, node=node, created=1.5, **more)  # type: ignore[arg-type]


# -- the table -----------------------------------------------------------------------------


def test_an_override_is_in_force_until_it_is_cleared() -> None:
    table = OverrideTable("ns1")
    table.add(override())
    assert [o.id for o in table.live(WALL)] == ["1"]
    table.clear(["1"], WALL, "ann")
    assert table.live(WALL) == ()


def test_an_override_for_another_node_is_not_in_force_here() -> None:
    table = OverrideTable("ns1")
    table.add(override("1", node="ns2"))
    table.add(override("2", node="ns1"))
    assert [o.id for o in table.live(WALL)] == ["2"]
    assert [o.id for o in table.everywhere(WALL)] == ["1", "2"]


def test_an_override_expires() -> None:
    table = OverrideTable("ns1")
    table.add(override(expires=50.0))
    assert [bool(table.live(wall)) for wall in (49.9, 50.0)] == [True, False]


def test_an_override_that_begins_later_is_pending_until_then_whatever_the_clock_does() -> None:
    table = OverrideTable("ns1")
    table.add(override(starts=50.0, expires=60.0))
    for wall, is_live, is_known in (
        *((40.0, False, True), (50.0, True, True), (59.9, True, True), (60.0, False, False)),
        # The clock is set back: it is pending again, and begins again.
        *((49.9, False, True), (50.0, True, True)),
    ):
        assert bool(table.live(wall)) is is_live
        assert bool(table.everywhere(wall)) is is_known


def test_a_row_holds_the_whole_override() -> None:
    whole = Override(
        *("1", "web-\u00e9.example", Action.UP, "lb.example", KEY.name, "ns1"),
        reason='it\'s "fine"',
        author="ann",
        created=10.25,
        expires=20.5,
        starts=15.5,
    )
    entry = OverrideEntry(whole, 15.125, "bob")
    assert read_row(OVERRIDE, entry.row()) == entry


def test_a_weight_is_for_programs_that_know_the_action() -> None:
    table = OverrideTable("ns1")
    table.add(Override("1", A, Action.WEIGHT, created=1.5, weight=0))
    (stored,) = [entry.row() for entry in table.entries()]
    columns = OVERRIDE.columns
    assert (stored[columns.index("weight")], stored[columns.index("min_version")]) == (0, 7)
    for value in (None, -1, 65536, "x"):
        broken = (*stored[:-1], value)
        with pytest.raises(ValueError, match="no weight from 0 to 65535"):
            read_row(OVERRIDE, broken)


entries = st.builds(
    OverrideEntry,
    st.builds(override, st.sampled_from("12"), st.sampled_from([A, B])),
    st.none() | st.sampled_from([WALL - 2, WALL - 1]),
    st.sampled_from(["ann", "bob"]),
)


@given(st.lists(entries, max_size=6), st.randoms())
def test_copies_agree_in_whatever_sequence_they_meet(
    found: list[OverrideEntry], random: object
) -> None:
    copies = []
    for sequence in itertools.islice(itertools.permutations(found), 24):
        table = OverrideTable("ns1")
        for entry in sequence:
            table.merge([entry], WALL)
        copies.append(table.rows(WALL))
    assert all(rows == copies[0] for rows in copies)


def test_a_cleared_override_stays_cleared() -> None:
    table = OverrideTable("ns1")
    table.add(override())
    table.clear(["1"], WALL, "ann")
    version = table.version
    table.merge([OverrideEntry(override())], WALL)
    assert (table.live(WALL), table.version) == ((), version)


# -- through a store ----------------------------------------------------------------------


async def test_nodes_agree_through_a_store(store: Store) -> None:
    here, there = OverrideTable("ns1"), OverrideTable("ns2")
    ours, theirs = TableSync(here, store), TableSync(there, store)
    here.add(override("1"))
    there.add(override("2", B))
    for sync in (ours, theirs, ours):
        await sync.sync(WALL)
    assert [[o.id for o in table.live(WALL)] for table in (here, there)] == [["1", "2"]] * 2
    there.clear(["1"], WALL, "bob")
    for sync in (theirs, ours):
        await sync.sync(WALL)
    assert [[o.id for o in table.live(WALL)] for table in (here, there)] == [["2"]] * 2


async def test_an_override_outlives_a_restart(store: Store) -> None:
    table = OverrideTable("ns1")
    table.add(override())
    await TableSync(table, store).sync(WALL)
    later = OverrideTable("ns1")
    await TableSync(later, store).sync(WALL)
    assert later.live(WALL) == table.live(WALL)


async def test_a_deleted_row_is_written_again(store: Store) -> None:
    table = OverrideTable("ns1")
    table.add(override())
    sync = TableSync(table, store)
    await sync.sync(WALL)
    await store.write([Delete(OVERRIDE, [("1",)])])
    await sync.sync(WALL)
    assert await store.read(Select(OVERRIDE, ("id",))) == [("1",)]


async def test_without_changes_only_a_summary_is_read(store: Store) -> None:
    table = OverrideTable("ns1")
    table.add(override())
    sync = TableSync(table, store)
    for _ in range(3):
        await sync.sync(WALL)
    changed = replace(override(), reason="written by hand")
    await store.write([Upsert(OVERRIDE, [OverrideEntry(changed).row()])])
    await sync.sync(WALL)
    assert [o.reason for o in table.live(WALL)] == [""]
    for _ in range(40):
        await sync.sync(WALL)
    rows = await store.read(Select(OVERRIDE, OVERRIDE.columns))
    assert [read_row(OVERRIDE, row).override for row in rows] == list(table.live(WALL))


async def test_an_override_read_from_a_store_is_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and without control characters."""
    caplog.set_level("INFO")
    row = list(OverrideEntry(override("1")).row())
    row[OVERRIDE.columns.index("author")] = "ann\x1b[31m"
    row[OVERRIDE.columns.index("node")] = "ns1"
    row[OVERRIDE.columns.index("reason")] = "all is well \u202e" + "x" * 990
    await store.write([Upsert(OVERRIDE, [tuple(row)])])
    ours, theirs = OverrideTable("ns1"), OverrideTable("ns2")
    sync = TableSync(ours, store)
    for _ in range(3):
        ours.version += 1
        await sync.sync(WALL)
    (line,) = caplog.messages
    assert line.startswith(f"{store.name}: ann\ufffd[31m: drain {A} on ns1 (all is well \\u202ex")
    assert len(line) < 400
    assert "\u202e" not in "".join(o.reason for o in ours.live(WALL))
    caplog.clear()
    await TableSync(theirs, store).sync(WALL)
    caplog.clear()
    theirs.clear(["1"], WALL, "bob")
    await TableSync(theirs, store).sync(WALL)
    assert caplog.messages == []
    await sync.sync(WALL)
    assert caplog.messages[0].startswith(f"{store.name}: bob: clear {A} on ns1 (")


async def test_an_invalid_row_is_reported_once_and_does_not_affect_the_others(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    strange = list(OverrideEntry(override("9")).row())
    strange[OVERRIDE.columns.index("target")] = ""
    await store.write([Upsert(OVERRIDE, [tuple(strange), OverrideEntry(override("1")).row()])])
    table = OverrideTable("ns1")
    sync = TableSync(table, store)
    for _ in range(3):
        table.version += 1
        await sync.sync(WALL)
    assert [o.id for o in table.live(WALL)] == ["1"]
    assert caplog.text.count("invalid row in lb_override (id 9)") == 1
    assert len(await store.read(Select(OVERRIDE, ("id",)))) == 2


async def test_expired_tombstones_are_deleted_everywhere(store: Store) -> None:
    table, other = OverrideTable("ns1"), OverrideTable("ns2")
    table.add(override("1", expires=WALL))
    table.add(override("2"))
    await TableSync(table, store).sync(WALL)
    await TableSync(other, store).sync(WALL)
    later = WALL + TOMBSTONE_TTL + 1
    table.prune(later)
    sync = TableSync(table, store)
    await sync.sync(later)
    await TableSync(other, store).sync(later)
    await sync.sync(later)
    assert await store.read(Select(OVERRIDE, ("id",))) == [("2",)]
    assert [o.id for o in table.everywhere(later)] == ["2"]


# -- commands of operators -------------------------------------------------------------------


@pytest.fixture
def driver() -> Driver:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    return driver


@pytest.fixture
def table() -> OverrideTable:
    return OverrideTable("ns1")


async def set_override(table: OverrideTable, driver: Driver, request: OverrideRequest) -> Override:
    created = await create(table, driver.health_map, request, "ns1", NOW)
    driver.health_map.set_overrides(table.live(WALL), NOW)
    return created


def drain(target: str, **more: object) -> OverrideRequest:
    return replace(OverrideRequest(Action.DRAIN, target), **more)  # type: ignore[arg-type]


async def test_a_member_is_drained(table: OverrideTable, driver: Driver) -> None:
    created = await set_override(table, driver, drain(A, reason="new kernel", author="ann"))
    assert driver.served() == {B}
    assert (created.reason, created.author, created.created) == ("new kernel", "ann", WALL)


async def test_a_repeated_override_takes_the_place_of_the_first(
    table: OverrideTable, driver: Driver
) -> None:
    await set_override(table, driver, drain(A, author="ann", expires=WALL + 60))
    again = await set_override(table, driver, drain(A, author="ann", reason="new kernel"))
    assert table.everywhere(WALL) == [again]
    others = [
        await set_override(table, driver, drain(A, author="bob")),
        await set_override(table, driver, drain(A, author="ann", name=KEY.name)),
        await set_override(table, driver, drain(A, author="ann", starts=WALL + 60)),
        await set_override(table, driver, drain(A, author="ann", starts=WALL + 60)),
        await set_override(table, driver, replace(drain(A, author="ann"), action=Action.UP)),
    ]
    assert sorted(table.everywhere(WALL), key=str) == sorted([again, *others], key=str)
    assert driver.served() == {B}


async def test_the_last_serving_member_is_not_drained_without_force(
    table: OverrideTable, driver: Driver
) -> None:
    await set_override(table, driver, drain(A))
    with pytest.raises(ConflictError, match=r"serving member would be left in www\.lb\.example/A"):
        await set_override(table, driver, drain(B))
    assert driver.served() == {B}
    await set_override(table, driver, drain(B, force=True))
    assert driver.served() == set()


async def test_the_last_serving_member_is_not_lost_by_a_clear_without_force(
    table: OverrideTable, driver: Driver
) -> None:
    driver.round({A: PASS, B: FAIL})
    await set_override(table, driver, OverrideRequest(Action.UP, B))
    await set_override(table, driver, drain(A))
    with pytest.raises(ConflictError, match="serving member would be left"):
        await clear(table, driver.health_map, B, NOW)
    assert len(await clear(table, driver.health_map, B, NOW, force=True)) == 1


async def test_a_weight_override_is_refused_where_no_policy_counts_weights(
    table: OverrideTable,
) -> None:
    key = RecordKey(KEY.zone, "even.lb.example", "A")
    driver = Driver(record(A, B), replace(record(B, C, key=key), policy=Policy.WEIGHTED))
    driver.round({A: PASS, B: PASS})
    driver.round({B: PASS, C: PASS}, key)

    async def weights(number: int, target: str) -> tuple[int, ...]:
        request = OverrideRequest(Action.WEIGHT, target, weight=number)
        await set_override(table, driver, request)
        return driver.health_map.records[key].decision.weights

    with pytest.raises(ConflictError, match=r'policy is "all" in www\.lb\.example/A'):
        await weights(3, A)
    assert await weights(3, B) == (3, 1)
    assert await weights(0, "192.0.2.*") == (3, 0)
    assert driver.health_map.records[KEY].decision.weights == (1, 1)
    await clear(table, driver.health_map, "192.0.2.*", NOW)
    driver.health_map.set_overrides(table.live(WALL), NOW)
    assert driver.health_map.records[key].decision.weights == (1, 1)


async def test_a_label_drains_all_that_have_it_and_no_last_member(table: OverrideTable) -> None:
    dests = (Dest(A, is_literal=True, labels=("dc=fra",)), Dest(B, is_literal=True, labels=LABELS))
    driver = Driver(replace(record(A, B, C), dests=(*dests, Dest(C, is_literal=True))))
    driver.round({A: PASS, B: PASS, C: PASS})
    with pytest.raises(ConflictError, match="no member matches dc=ams"):
        await set_override(table, driver, drain("dc=ams"))
    await set_override(table, driver, drain("DC=fra"))
    assert driver.served() == {C}
    with pytest.raises(ConflictError, match="serving member would be left"):
        await set_override(table, driver, drain(C))
    await clear(table, driver.health_map, "dc=*", NOW)
    driver.health_map.set_overrides(table.live(WALL), NOW)
    await set_override(table, driver, drain("rack=1?"))
    assert driver.served() == {A, C}


def test_an_older_program_is_not_given_what_it_would_misunderstand(table: OverrideTable) -> None:
    table.add(override("1", "dc=fra"))
    table.add(override("2", A))
    table.add(override("3", A, starts=WALL + 9))
    column = OVERRIDE.columns.index("min_version")
    assert [row[column] for row in table.rows(WALL)[OVERRIDE].values()] == [
        *(LABELS_VERSION, 1, STARTS_VERSION),
    ]


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (drain("192.0.2.99"), "no member matches 192.0.2.99"),
        (drain("web9.example"), "no member matches web9.example"),
        (drain(A, name="nosuch.lb.example"), "no such record"),
        (drain(""), "1 to 1024 characters"),
        (drain("x" * 1025), "1 to 1024 characters"),
        (drain(A, expires=WALL), "expired already"),
        (drain(A, starts=WALL), "begin in the past"),
        (drain(A, starts=WALL - 3600, expires=WALL + 9), "begin in the past"),
        (drain(A, starts=WALL + 9, expires=WALL + 9), "expire before it begins"),
    ],
)
async def test_an_invalid_override_is_refused(
    table: OverrideTable, driver: Driver, wanted: OverrideRequest, complaint: str
) -> None:
    with pytest.raises(ConflictError, match=complaint):
        await set_override(table, driver, wanted)
    assert table.everywhere(WALL) == []


async def test_a_maintenance_window_must_leave_a_member_that_serves(
    table: OverrideTable, driver: Driver
) -> None:
    await set_override(table, driver, drain(A, starts=WALL + 100, expires=WALL + 200))
    assert driver.served() == {A, B}
    for start, end in ((150, 160), (50, 101), (199, 300), (1, None)):
        window = drain(B, starts=WALL + start, expires=end and WALL + end)
        with pytest.raises(ConflictError, match="serving member would be left"):
            await set_override(table, driver, window)
    with pytest.raises(ConflictError, match="serving member would be left"):
        await set_override(table, driver, drain(B))
    await set_override(table, driver, drain(B, starts=WALL + 200, expires=WALL + 300))
    await set_override(table, driver, drain(B, expires=WALL + 100))
    assert driver.served() == {A}


async def test_a_forced_window_does_not_block_others(table: OverrideTable, driver: Driver) -> None:
    await set_override(table, driver, drain("*", starts=WALL + 100, force=True))
    await set_override(table, driver, drain(A))
    assert driver.served() == {B}


async def test_a_pending_override_is_cleared_as_any_other(
    table: OverrideTable, driver: Driver
) -> None:
    await set_override(table, driver, drain(A, starts=WALL + 100))
    assert len(await clear(table, driver.health_map, A, NOW)) == 1
    assert table.everywhere(WALL) == []
    assert table.live(WALL + 100) == ()


async def test_an_override_for_another_node_is_not_checked_here(
    table: OverrideTable, driver: Driver
) -> None:
    created = await set_override(
        table, driver, drain("198.51.100.7", name="elsewhere.example", node="ns2")
    )
    assert created.node == "ns2"
    assert driver.served() == {A, B}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (" 192.0.2.1 ", A),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("Web1.Example.", "web1.example"),
        ("WEB*.example", "web*.example"),
    ],
)
def test_targets_are_compared_in_one_form(text: str, canonical: str) -> None:
    assert canonical_target(text) == canonical


async def test_overrides_are_cleared_by_target_glob_name_or_id(
    table: OverrideTable, driver: Driver
) -> None:
    first = await set_override(table, driver, drain(A))
    await set_override(table, driver, drain(A, name=KEY.name))
    assert [o.name for o in await clear(table, driver.health_map, A, NOW, name=KEY.name)] == [
        KEY.name
    ]
    assert await clear(table, driver.health_map, first.id, NOW) == [first]
    await set_override(table, driver, drain(A))
    assert len(await clear(table, driver.health_map, "192.0.2.*", NOW)) == 1
    with pytest.raises(ConflictError, match="no override for"):
        await clear(table, driver.health_map, A, NOW)
