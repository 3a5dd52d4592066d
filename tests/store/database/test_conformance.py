"""What every store does alike."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.errors import BadRowError
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, Where
from dnslb_backend.store.database.mariadb_connection import literal
from dnslb_backend.store.database.tables import (
    NODE,
    OVERRIDE,
    STATIC,
    TABLES,
    TRANSITION,
    Table,
    TableRow,
)

WHOLE = Select(STATIC, STATIC.columns, order="row_key")


def static(key: str, content: str = "192.0.2.1", node: str = "ns1", ttl: int = 5) -> TableRow:
    return (node, key, "s1", "lb.example", "a.lb.example", "A", content, ttl, 1)


async def put(store: Store, *rows: TableRow, table: Table = STATIC) -> None:
    await store.write([Upsert(table, rows)])


async def test_it_opens_as_often_as_one_likes(store: Store) -> None:
    await store.open()
    await store.open()
    await store.close()
    await store.open()
    assert await store.read(WHOLE) == []


async def test_rows_come_back_as_they_went_in(store: Store) -> None:
    rows = [static("a"), static("b", "192.0.2.2")]
    await put(store, *rows)
    assert await store.read(WHOLE) == rows


async def test_a_row_that_is_there_takes_the_new_values(store: Store) -> None:
    await put(store, static("a"), static("b"))
    await put(store, static("b", "192.0.2.9", ttl=60))
    assert await store.read(WHOLE) == [static("a"), static("b", "192.0.2.9", ttl=60)]


async def test_nodes_do_not_meet(store: Store) -> None:
    await put(store, static("a"), static("a", node="ns2"), static("a", node="ns2 "))
    await put(store, static("a", "192.0.2.9", node="ns2"))
    await store.write([Delete(STATIC, [("ns1", "a")])])
    found = await store.read(replace(WHOLE, order="node"))
    assert found == [static("a", "192.0.2.9", node="ns2"), static("a", node="ns2 ")]


async def test_deleting_what_is_not_there_is_no_matter(store: Store) -> None:
    await put(store, static("a"), static("b"), static("c"))
    keys = [("ns1", "c"), ("ns1", "nosuch"), ("ns2", "a"), ("ns1", "a")]
    await store.write([Delete(STATIC, keys)])
    assert await store.read(WHOLE) == [static("b")]


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    await put(store, static("a"))
    incomplete = (*static("c")[:-1], None)
    with pytest.raises(BadRowError):
        await store.write(
            [Delete(STATIC, [("ns1", "a")]), Upsert(STATIC, [static("b"), incomplete])]
        )
    assert await store.read(WHOLE) == [static("a")]
    await put(store, static("b"))
    assert await store.read(WHOLE) == [static("a"), static("b")]


async def test_a_log_keeps_what_came_first(store: Store) -> None:
    first, again = (transition("e1", reason) for reason in ("first", "again"))
    await put(store, first, transition("e2"), table=TRANSITION)
    await put(store, again, transition("e3"), table=TRANSITION)
    found = await store.read(Select(TRANSITION, ("event", "reason"), order="id"))
    assert found == [("e1", "first"), ("e2", ""), ("e3", "")]


def transition(event: str, reason: str = "", at: str = "2026-01-31 12:00:00.000") -> TableRow:
    health = ("UP", "DOWN", 1, 0, 1, None)
    return (event, at, "ns1", "lb.example", "a.lb.example", "A", "x", "x", *health, reason, "{}")


async def test_conditions_order_and_pages(store: Store) -> None:
    rows = [transition(f"e{n}", at=f"2026-01-31 12:00:0{n}.000") for n in range(6)]
    await put(store, *rows, table=TRANSITION)
    query = Select(
        TRANSITION,
        ("event",),
        (Where("at", ">=", "2026-01-31 12:00:01"), Where("event", "<>", "e3")),
        order="id",
        is_descending=True,
        limit=2,
        offset=1,
    )
    assert await store.read(query) == [("e4",), ("e2",)]
    assert await store.read(Select(TRANSITION, ("COUNT(*)", "MAX(at)"))) == [
        (6, "2026-01-31 12:00:05.000")
    ]


async def test_nothing_is_something_to_ask_for(store: Store) -> None:
    cleared = order("1", cleared="2026-01-31 12:00:00.000")
    await put(store, cleared, order("2"), table=OVERRIDE)
    gone = Select(OVERRIDE, ("id",), (Where("cleared", "is not", None),))
    live = Select(OVERRIDE, ("id",), (Where("cleared", "is", None),))
    assert (await store.read(gone), await store.read(live)) == ([("1",)], [("2",)])


def order(number: str, cleared: str | None = None) -> TableRow:
    created = "2026-01-31 11:00:00.000"
    return (
        number,
        "",
        "192.0.2.1",
        "",
        "",
        "drain",
        "",
        "ann",
        created,
        None,
        cleared,
        "",
        1,
        None,
        None,
    )


async def test_the_store_stamps_with_its_own_clock(store: Store) -> None:
    seen = "2026-01-31 11:00:00.000"
    rows = [
        (node, "i1", "1.0", seen, "hash", "local", seen, 12.5, "b1", "s1") for node in ("a", "b")
    ]
    await put(store, *rows, table=NODE)
    old, young = (
        Select(NODE, ("node",), (Where("heartbeat", "older", seconds),)) for seconds in (-60, 60)
    )
    assert await store.read(Select(NODE, NODE.columns, order="node")) == rows
    assert await store.read(old) == [("a",), ("b",)]
    assert await store.read(young) == []


async def test_many_rows_and_long_ones(store: Store) -> None:
    """More than one statement's worth."""
    rows = [static(f"{n:05}", "x" * (n % 7 * 300)) for n in range(1500)]
    rows.append(static("99999", "y" * 300_000))
    await put(store, *rows)
    assert await store.read(WHOLE) == rows
    await store.write([Delete(STATIC, [row[:2] for row in rows[1:]])])
    assert await store.read(WHOLE) == rows[:1]


NASTY = [
    'it\'s "quoted" `so` \\ %s %(x)s {x} -- ; /* */',
    "smile \U0001f600 and \u00e9\u0301\u4e2d\u6587 \u202e",
    "line\nfeed\rreturn\ttab\0nul\x1asub\x7f",
    "trailing space ",
    "\\",
    "\\'; DROP TABLE lb_static; --",
    "\u00e9" * 127,
    "",
]


async def test_any_text_survives(store: Store) -> None:
    rows = [static(f"{n}", text) for n, text in enumerate(NASTY)]
    await put(store, *rows)
    assert await store.read(WHOLE) == rows
    for number, text in enumerate(NASTY):
        query = Select(STATIC, ("row_key",), (Where("content", "=", text),))
        assert await store.read(query) == [(str(number),)]


async def test_half_a_character_is_no_danger(store: Store) -> None:
    """A row with a lone surrogate is stored without it, or refused; the store goes on."""
    try:
        await put(store, static("a", "x\ud83dx"))
    except BadRowError:
        assert await store.read(WHOLE) == []
    else:
        assert await store.read(WHOLE) == [static("a", "x?x")]
    await put(store, static("b"))


@pytest.mark.parametrize("ttl", [2**32, -1, 2**64])
async def test_a_number_that_does_not_fit_spoils_no_others(store: Store, ttl: int) -> None:
    try:
        await put(store, static("a", ttl=ttl))
    except BadRowError:
        await put(store, static("a"))
    assert len(await store.read(WHOLE)) == 1


async def test_calls_at_the_same_time_do_not_mix(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(put(store, *(static(f"{n}-{m}") for m in range(30))))
            group.create_task(store.read(WHOLE))
    assert len(await store.read(WHOLE)) == 240


async def test_a_call_that_is_called_off_leaves_the_store_usable(store: Store) -> None:
    await store.open()
    task = asyncio.create_task(put(store, *(static(f"{n}") for n in range(3000))))
    await asyncio.wait([task], timeout=0.01)
    task.cancel()
    await asyncio.wait([task])
    await put(store, static("last"))
    assert len(await store.read(WHOLE)) in (1, 3001)


async def test_every_table_has_its_columns(store: Store) -> None:
    for table in TABLES:
        assert await store.read(Select(table, (*table.columns, *table.stamped))) == [] or (
            table.name == "lb_schema_version"
        )


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_literal_ends_where_it_should(text: str) -> None:
    """Read as the server reads it: a backslash takes the next character with it."""
    written = literal(text)
    assert written[0] == written[-1] == "'"
    body, index = written[1:-1], 0
    while index < len(body):
        assert body[index] != "'"
        index += 2 if body[index] == "\\" else 1
    assert index == len(body)
