"""Keys and metadata: copies agree in the end, and no key is shown where it should not be."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Store, Upsert
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import KEY, METADATA
from dnslb_backend.store.shared.dnssec import (
    TOMBSTONE_TTL,
    DnssecEntry,
    DnssecTable,
    read_row,
    zones_of,
)
from dnslb_backend.store.shared.replicated_table import TableSync

WALL = 1_790_000_000.0
ZONE = "lb.example"
SECRET = "Private-key-format: v1.2\nAlgorithm: 13\nPrivateKey: GEHEIM="


def key(number: int = 1, *, active: bool = True, content: str = SECRET) -> ZoneKey:
    return ZoneKey(ZONE, number, 257, active, published=True, content=content)


RULE = Metadata(ZONE, "NSEC3PARAM", ("1 0 0 -",))
PEER = TsigKey("peer", "hmac-sha256", "GEHEIM==")


def put(
    table: DnssecTable, item: DnssecItem, wall: float = WALL, *, is_deleted: bool = False
) -> DnssecEntry:
    entry = table.next_version(item, wall, is_deleted=is_deleted)
    table.merge([entry], wall)
    return entry


def contents(table: DnssecTable) -> tuple[object, ...]:
    return table.keys(ZONE), table.metadata(ZONE), table.transfer_keys()


class Copy:
    """A table, and the zones that stores have changed in it since the last sync."""

    def __init__(self, store: Store) -> None:
        self.table = DnssecTable(self._note)
        self._sync = TableSync(self.table, store)
        self.zones: set[str] = set()

    def _note(self, changed: Sequence[DnssecEntry]) -> None:
        self.zones |= zones_of(changed)

    async def sync(self, wall: float = WALL) -> set[str]:
        self.zones = set()
        await self._sync.sync(wall)
        return self.zones


def test_what_was_put_in_is_there_until_it_is_deleted() -> None:
    table = DnssecTable()
    for item in (key(2), key(1), RULE, PEER):
        put(table, item)
    assert contents(table) == ((key(1), key(2)), {"NSEC3PARAM": ("1 0 0 -",)}, (PEER,))
    for item in (key(2), key(1), RULE, PEER):
        put(table, item, is_deleted=True)
    assert contents(table) == ((), {}, ())
    assert table.keys("other.example") == ()


def test_of_what_is_deleted_no_content_stays() -> None:
    table = DnssecTable()
    for item in (key(), PEER):
        put(table, item)
        put(table, item, is_deleted=True)
    assert "GEHEIM" not in str(table.rows(WALL))


def test_neither_repr_nor_errors_show_a_secret() -> None:
    shown = repr([key(), PEER, DnssecEntry(key(), 1), DnssecTable().next_version(PEER, WALL)])
    assert "GEHEIM" not in shown
    with pytest.raises(ValueError, match="cannot be read") as raised:
        read_row(KEY, ("x", ZONE, "GEHEIM", 257, 1, 1, SECRET, 1, 0, 1))
    assert raised.value.__cause__ is None
    assert "GEHEIM" not in str(raised.value)


def test_versions_rise_even_when_the_clock_goes_back() -> None:
    table = DnssecTable()
    later, earlier = put(table, key()), put(table, key(active=False), WALL - 86400)
    assert earlier.version > later.version
    assert not table.keys(ZONE)[0].active


items = st.sampled_from([key(1), key(1, active=False), key(2), RULE, PEER])
changes = st.lists(st.tuples(st.integers(0, 2), items, st.booleans(), st.integers(0, 3)))


@given(changes, st.randoms(use_true_random=False))
def test_copies_agree_in_whatever_sequence_they_meet(
    done: list[tuple[int, DnssecItem, bool, int]], chance: object
) -> None:
    tables = [DnssecTable(), DnssecTable(), DnssecTable()]
    for node, item, is_deleted, second in done:
        put(tables[node], item, WALL + second, is_deleted=is_deleted)
    known = [
        read_row(table, row)
        for copy in tables
        for table, rows in copy.rows(WALL).items()
        for row in rows.values()
    ]
    for table in tables:
        chance.shuffle(known)  # type: ignore[attr-defined]
        for entry in known:
            table.merge([entry], WALL)
    assert contents(tables[0]) == contents(tables[1]) == contents(tables[2])


def test_an_expired_tombstone_is_forgotten() -> None:
    table, late = DnssecTable(), WALL + TOMBSTONE_TTL + 1
    entry = put(table, key(), is_deleted=True)
    table.prune(late)
    assert table.rows(late)[KEY] == {}
    assert table.merge([entry], late) == []


async def test_copies_agree_through_a_store(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first, second = Copy(store), Copy(store)
    for item in (key(), RULE, PEER):
        put(first.table, item)
    assert await first.sync() == set()
    assert await second.sync() == {ZONE}
    assert contents(second.table) == contents(first.table)
    put(second.table, key(active=False), WALL + 1)
    put(second.table, RULE, WALL + 1, is_deleted=True)
    await second.sync(WALL + 1)
    assert await first.sync(WALL + 1) == {ZONE}
    assert contents(first.table) == ((key(active=False),), {}, (PEER,))
    lines = caplog.messages
    assert len(lines) == 5
    assert f"{store.name}: lb_metadata {ZONE} {RULE.kind} deleted" in lines
    assert not [line for line in lines if key().content in line or PEER.content in line]


async def test_tombstones_of_unknown_items_are_taken_in_silently(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, second = Copy(store), Copy(store)
    put(first.table, key())
    put(first.table, key(), is_deleted=True)
    await first.sync()
    assert await second.sync() == set()
    assert caplog.messages == []
    assert second.table.rows(WALL) == first.table.rows(WALL)


async def test_a_sync_sees_what_others_changed_even_if_it_is_older(store: Store) -> None:
    ours, theirs = Copy(store), Copy(store)
    put(ours.table, key(1), WALL + 100)
    for _ in range(2):
        await ours.sync()
    put(theirs.table, key(2), WALL)
    await theirs.sync()
    assert await ours.sync() == {ZONE}


async def test_what_was_read_counts_even_if_the_write_after_it_fails(
    local_store: SqliteStore, tmp_path: Path
) -> None:
    theirs, ours = Copy(local_store), Copy(local_store)
    put(theirs.table, key(1))
    await theirs.sync()
    put(ours.table, key(2))
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await ours.sync()
    assert ours.zones == {ZONE}
    assert ours.table.keys(ZONE) == (key(1), key(2))


async def test_hostile_contents_are_stored_unchanged(store: Store) -> None:
    strange = "'; DROP TABLE lb_key; -- \\ \" \n \U0001f511 é \t" + "x" * 10_000
    first, second = Copy(store), Copy(store)
    put(first.table, key(content=strange))
    put(first.table, Metadata(ZONE, "X-ODD", (strange, "", "'")))
    await first.sync()
    await second.sync()
    assert contents(second.table) == contents(first.table)


async def test_an_invalid_row_is_reported_once_and_left_as_it_is(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    row = ("0" * 32, ZONE, "X", "no JSON", 5, 0, 1)
    await store.write([Upsert(METADATA, [row])])
    copy = Copy(store)
    put(copy.table, RULE)
    for _ in range(2):
        await copy.sync()
    assert caplog.text.count("cannot be read") == 1
    assert row in await store.read(Select(METADATA, METADATA.columns))
    assert copy.table.metadata(ZONE) == {"NSEC3PARAM": ("1 0 0 -",)}


def modes_in(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


async def test_only_the_owner_may_read_the_local_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    for _ in range(2):
        store = SqliteStore(path)
        await store.write_durably([Upsert(METADATA, [("1" * 32, ZONE, "X", "[]", 5, 0, 1)])])
        modes = modes_in(tmp_path)
        await store.close()
        assert "state.sqlite" in modes
        assert set(modes.values()) == {0o600}
        # As an earlier version left it.
        path.chmod(0o644)
