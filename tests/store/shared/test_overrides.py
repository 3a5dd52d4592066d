"""Orders: given, taken back, and known everywhere in the end."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.errors import ConflictError
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert
from dnslb_backend.store.database.tables import OVERRIDE
from dnslb_backend.store.shared.override_commands import canonical_target, clear, create
from dnslb_backend.store.shared.overrides import (
    TOMBSTONE_TTL,
    OverrideEntry,
    OverrideSync,
    OverrideTable,
    entry_of,
)
from tests.core.building import KEY, Driver, at, record
from tests.core.health.test_override_guard import FAIL, PASS

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
NOW = at(100)
WALL = NOW.wall


def order(number: str = "1", target: str = A, node: str = "", **more: float | None) -> Override:
    return Override(number, target, Action.DRAIN, node=node, created=1.5, **more)  # type: ignore[arg-type]


# -- the table -----------------------------------------------------------------------------


def test_an_order_holds_until_it_is_cleared() -> None:
    book = OverrideTable("ns1")
    book.add(order())
    assert [o.id for o in book.live(WALL)] == ["1"]
    book.clear(["1"], WALL, "ann")
    assert book.live(WALL) == ()


def test_an_order_for_another_node_does_not_hold_here() -> None:
    book = OverrideTable("ns1")
    book.add(order("1", node="ns2"))
    book.add(order("2", node="ns1"))
    assert [o.id for o in book.live(WALL)] == ["2"]
    assert [o.id for o in book.everywhere(WALL)] == ["1", "2"]


def test_an_order_expires() -> None:
    book = OverrideTable("ns1")
    book.add(order(expires=50.0))
    assert [bool(book.live(wall)) for wall in (49.9, 50.0)] == [True, False]


def test_what_a_row_tells_is_the_order() -> None:
    whole = Override(
        *("1", "web-\u00e9.example", Action.UP, "lb.example", KEY.name, "ns1"),
        reason='it\'s "fine"',
        author="ann",
        created=10.25,
        expires=20.5,
    )
    entry = OverrideEntry(whole, 15.125, "bob")
    assert entry_of(entry.row()) == entry


entries = st.builds(
    OverrideEntry,
    st.builds(order, st.sampled_from("12"), st.sampled_from([A, B])),
    st.none() | st.sampled_from([WALL - 2, WALL - 1]),
    st.sampled_from(["ann", "bob"]),
)


@given(st.lists(entries, max_size=6), st.randoms())
def test_in_whatever_order_copies_meet_they_agree(
    found: list[OverrideEntry], random: object
) -> None:
    books = []
    for sequence in itertools.islice(itertools.permutations(found), 24):
        book = OverrideTable("ns1")
        for entry in sequence:
            book.merge([entry], WALL)
        books.append(book.rows(WALL))
    assert all(rows == books[0] for rows in books)


def test_an_end_is_for_ever() -> None:
    book = OverrideTable("ns1")
    book.add(order())
    book.clear(["1"], WALL, "ann")
    version = book.version
    book.merge([OverrideEntry(order())], WALL)
    assert (book.live(WALL), book.version) == ((), version)


# -- through a store ----------------------------------------------------------------------


async def test_nodes_agree_through_a_store(store: Store) -> None:
    here, there = OverrideTable("ns1"), OverrideTable("ns2")
    ours, theirs = OverrideSync(here, store), OverrideSync(there, store)
    here.add(order("1"))
    there.add(order("2", B))
    for sync in (ours, theirs, ours):
        await sync.sync(WALL)
    assert [[o.id for o in book.live(WALL)] for book in (here, there)] == [["1", "2"]] * 2
    there.clear(["1"], WALL, "bob")
    for sync in (theirs, ours):
        await sync.sync(WALL)
    assert [[o.id for o in book.live(WALL)] for book in (here, there)] == [["2"]] * 2


async def test_an_order_comes_back_after_a_restart(store: Store) -> None:
    book = OverrideTable("ns1")
    book.add(order())
    await OverrideSync(book, store).sync(WALL)
    later = OverrideTable("ns1")
    await OverrideSync(later, store).sync(WALL)
    assert later.live(WALL) == book.live(WALL)


async def test_a_row_that_somebody_deleted_is_put_back(store: Store) -> None:
    book = OverrideTable("ns1")
    book.add(order())
    sync = OverrideSync(book, store)
    await sync.sync(WALL)
    await store.write([Delete(OVERRIDE, [("1",)])])
    await sync.sync(WALL)
    assert await store.read(Select(OVERRIDE, ("id",))) == [("1",)]


async def test_without_news_only_a_summary_is_read(store: Store) -> None:
    book = OverrideTable("ns1")
    book.add(order())
    sync = OverrideSync(book, store)
    for _ in range(3):
        await sync.sync(WALL)
    changed = replace(order(), reason="written by hand")
    await store.write([Upsert(OVERRIDE, [OverrideEntry(changed).row()])])
    await sync.sync(WALL)
    assert [o.reason for o in book.live(WALL)] == [""]
    for _ in range(40):
        await sync.sync(WALL)
    rows = await store.read(Select(OVERRIDE, OVERRIDE.columns))
    assert [entry_of(row).override for row in rows] == list(book.live(WALL))


async def test_what_comes_from_a_store_is_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, whoever wrote it there, and without what would steer a terminal."""
    caplog.set_level("INFO")
    row = list(OverrideEntry(order("1")).row())
    row[OVERRIDE.columns.index("author")] = "ann\x1b[31m"
    row[OVERRIDE.columns.index("node")] = "ns1"
    row[OVERRIDE.columns.index("reason")] = "all is well \u202e" + "x" * 990
    await store.write([Upsert(OVERRIDE, [tuple(row)])])
    ours, theirs = OverrideTable("ns1"), OverrideTable("ns2")
    sync = OverrideSync(ours, store)
    for _ in range(3):
        ours.version += 1
        await sync.sync(WALL)
    (given,) = caplog.messages
    assert given.startswith(f"{store.name}: ann\ufffd[31m: drain {A} on ns1 (all is well \\u202ex")
    assert len(given) < 400
    assert "\u202e" not in "".join(o.reason for o in ours.live(WALL))
    caplog.clear()
    await OverrideSync(theirs, store).sync(WALL)
    caplog.clear()
    theirs.clear(["1"], WALL, "bob")
    await OverrideSync(theirs, store).sync(WALL)
    assert caplog.messages == []
    await sync.sync(WALL)
    assert caplog.messages[0].startswith(f"{store.name}: bob: clear {A} on ns1 (")


async def test_a_row_that_makes_no_sense_harms_no_other(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    strange = list(OverrideEntry(order("9")).row())
    strange[OVERRIDE.columns.index("action")] = "explode"
    await store.write([Upsert(OVERRIDE, [tuple(strange), OverrideEntry(order("1")).row()])])
    book = OverrideTable("ns1")
    sync = OverrideSync(book, store)
    for _ in range(3):
        book.version += 1
        await sync.sync(WALL)
    assert [o.id for o in book.live(WALL)] == ["1"]
    assert caplog.text.count("invalid row in lb_override (id 9)") == 1
    assert len(await store.read(Select(OVERRIDE, ("id",)))) == 2


async def test_what_ended_long_ago_is_forgotten_everywhere(store: Store) -> None:
    book, other = OverrideTable("ns1"), OverrideTable("ns2")
    book.add(order("1", expires=WALL))
    book.add(order("2"))
    await OverrideSync(book, store).sync(WALL)
    await OverrideSync(other, store).sync(WALL)
    later = WALL + TOMBSTONE_TTL + 1
    book.prune(later)
    sync = OverrideSync(book, store)
    await sync.sync(later)
    await OverrideSync(other, store).sync(later)
    await sync.sync(later)
    assert await store.read(Select(OVERRIDE, ("id",))) == [("2",)]
    assert [o.id for o in book.everywhere(later)] == ["2"]


# -- what operators ask -------------------------------------------------------------------


@pytest.fixture
def driver() -> Driver:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    return driver


@pytest.fixture
def book() -> OverrideTable:
    return OverrideTable("ns1")


def ask(book: OverrideTable, driver: Driver, wish: OverrideRequest) -> Override:
    given = create(book, driver.health_map, wish, "ns1", NOW)
    driver.health_map.set_overrides(book.live(WALL), NOW)
    return given


def drain(target: str, **more: object) -> OverrideRequest:
    return replace(OverrideRequest(Action.DRAIN, target), **more)  # type: ignore[arg-type]


def test_a_member_is_drained(book: OverrideTable, driver: Driver) -> None:
    given = ask(book, driver, drain(A, reason="new kernel", author="ann"))
    assert driver.served() == {B}
    assert (given.reason, given.author, given.created) == ("new kernel", "ann", WALL)


def test_the_last_serving_member_is_not_taken(book: OverrideTable, driver: Driver) -> None:
    ask(book, driver, drain(A))
    with pytest.raises(ConflictError, match=r"last serving member of www\.lb\.example/A"):
        ask(book, driver, drain(B))
    assert driver.served() == {B}
    ask(book, driver, drain(B, force=True))
    assert driver.served() == set()


def test_nor_is_it_by_taking_back_an_order(book: OverrideTable, driver: Driver) -> None:
    driver.round({A: PASS, B: FAIL})
    ask(book, driver, OverrideRequest(Action.UP, B))
    ask(book, driver, drain(A))
    with pytest.raises(ConflictError, match="last serving member"):
        clear(book, driver.health_map, B, NOW)
    assert len(clear(book, driver.health_map, B, NOW, force=True)) == 1


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (drain("192.0.2.99"), "no member matches 192.0.2.99"),
        (drain("web9.example"), "no member matches web9.example"),
        (drain(A, name="nosuch.lb.example"), "no such record"),
        (drain(""), "1 to 1024 characters"),
        (drain("x" * 1025), "1 to 1024 characters"),
        (drain(A, expires=WALL), "expired already"),
    ],
)
def test_what_makes_no_sense_is_refused(
    book: OverrideTable, driver: Driver, wish: OverrideRequest, complaint: str
) -> None:
    with pytest.raises(ConflictError, match=complaint):
        ask(book, driver, wish)
    assert book.everywhere(WALL) == []


def test_of_another_node_nothing_is_known_here(book: OverrideTable, driver: Driver) -> None:
    given = ask(book, driver, drain("198.51.100.7", name="elsewhere.example", node="ns2"))
    assert given.node == "ns2"
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


def test_orders_are_taken_back_by_target_glob_name_or_id(
    book: OverrideTable, driver: Driver
) -> None:
    first = ask(book, driver, drain(A))
    ask(book, driver, drain(A, name=KEY.name))
    assert [o.name for o in clear(book, driver.health_map, A, NOW, name=KEY.name)] == [KEY.name]
    assert clear(book, driver.health_map, first.id, NOW) == [first]
    ask(book, driver, drain(A))
    assert len(clear(book, driver.health_map, "192.0.2.*", NOW)) == 1
    with pytest.raises(ConflictError, match="no override for"):
        clear(book, driver.health_map, A, NOW)
