"""Keys and metadata: whatever copies meet, they agree, and nobody who should not sees a key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.store.database.interface import Select, Store, Upsert
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import KEY, METADATA, SIGNING_TABLES
from dnslb_backend.store.shared.keys import (
    TOMBSTONE_TTL,
    DnssecEntry,
    DnssecSync,
    DnssecTable,
    entry_of,
)

WALL = 1_790_000_000.0
ZONE = "lb.example"
SECRET = "Private-key-format: v1.2\nAlgorithm: 13\nPrivateKey: GEHEIM="


def key(number: int = 1, *, active: bool = True, content: str = SECRET) -> ZoneKey:
    return ZoneKey(ZONE, number, 257, active, published=True, content=content)


RULE = Metadata(ZONE, "NSEC3PARAM", ("1 0 0 -",))
PEER = TsigKey("peer", "hmac-sha256", "GEHEIM==")


def put(
    book: DnssecTable, article: DnssecItem, wall: float = WALL, *, is_gone: bool = False
) -> DnssecEntry:
    entry = book.next_version(article, wall, is_deleted=is_gone)
    book.merge([entry], wall)
    return entry


def contents(book: DnssecTable) -> tuple[object, ...]:
    return book.keys(ZONE), book.metadata(ZONE), book.transfer_keys()


def test_what_was_put_in_is_there_until_it_is_gone() -> None:
    book = DnssecTable()
    for article in (key(2), key(1), RULE, PEER):
        put(book, article)
    assert contents(book) == ((key(1), key(2)), {"NSEC3PARAM": ("1 0 0 -",)}, (PEER,))
    for article in (key(2), key(1), RULE, PEER):
        put(book, article, is_gone=True)
    assert contents(book) == ((), {}, ())
    assert book.keys("other.example") == ()


def test_of_what_is_gone_no_content_stays() -> None:
    book = DnssecTable()
    for article in (key(), PEER):
        put(book, article)
        put(book, article, is_gone=True)
    assert "GEHEIM" not in str([book.rows(table, WALL) for table in SIGNING_TABLES])


def test_nothing_that_shows_a_key_shows_its_content() -> None:
    shown = repr([key(), PEER, DnssecEntry(key(), 1), DnssecTable().next_version(PEER, WALL)])
    assert "GEHEIM" not in shown
    with pytest.raises(ValueError, match="cannot be read") as raised:
        entry_of(KEY, ("x", ZONE, "GEHEIM", 257, 1, 1, SECRET, 1, 0))
    assert raised.value.__cause__ is None
    assert "GEHEIM" not in str(raised.value)


def test_versions_rise_even_when_the_clock_does_not() -> None:
    book = DnssecTable()
    later, earlier = put(book, key()), put(book, key(active=False), WALL - 86400)
    assert earlier.version > later.version
    assert not book.keys(ZONE)[0].active


articles = st.sampled_from([key(1), key(1, active=False), key(2), RULE, PEER])
deeds = st.lists(st.tuples(st.integers(0, 2), articles, st.booleans(), st.integers(0, 3)))


@given(deeds, st.randoms(use_true_random=False))
def test_copies_that_meet_in_any_order_agree(
    done: list[tuple[int, DnssecItem, bool, int]], chance: object
) -> None:
    books = [DnssecTable(), DnssecTable(), DnssecTable()]
    for node, article, is_gone, second in done:
        put(books[node], article, WALL + second, is_gone=is_gone)
    known = [
        entry_of(table, row)
        for book in books
        for table in SIGNING_TABLES
        for row in book.rows(table, WALL).values()
    ]
    for book in books:
        chance.shuffle(known)  # type: ignore[attr-defined]
        for entry in known:
            book.merge([entry], WALL)
    assert contents(books[0]) == contents(books[1]) == contents(books[2])


def test_what_went_long_ago_does_not_come_back() -> None:
    book, late = DnssecTable(), WALL + TOMBSTONE_TTL / 1000 + 1
    entry = put(book, key(), is_gone=True)
    book.prune(late)
    assert book.rows(KEY, late) == {}
    assert book.merge([entry], late) == frozenset()


async def test_a_store_and_a_book_come_to_the_same_state(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, second = DnssecTable(), DnssecTable()
    for article in (key(), RULE, PEER):
        put(first, article)
    assert await DnssecSync(first, store).sync(WALL) == frozenset()
    there = DnssecSync(second, store)
    assert await there.sync(WALL) == {ZONE}
    assert contents(second) == contents(first)
    put(second, key(active=False), WALL + 1)
    put(second, RULE, WALL + 1, is_gone=True)
    await there.sync(WALL + 1)
    assert await DnssecSync(first, store).sync(WALL + 1) == {ZONE}
    assert contents(first) == ((key(active=False),), {}, (PEER,))
    told = caplog.messages
    assert len(told) == 5
    assert f"{store.name}: lb_metadata {ZONE} {RULE.kind} gone" in told
    assert not [line for line in told if key().content in line or PEER.content in line]


async def test_a_sync_sees_what_others_changed_even_if_it_is_older(store: Store) -> None:
    ours, theirs = DnssecTable(), DnssecTable()
    put(ours, key(1), WALL + 100)
    sync = DnssecSync(ours, store)
    for _ in range(2):
        await sync.sync(WALL)
    put(theirs, key(2), WALL)
    await DnssecSync(theirs, store).sync(WALL)
    assert await sync.sync(WALL) == {ZONE}


async def test_hostile_contents_are_kept_as_they_are(store: Store) -> None:
    strange = "'; DROP TABLE lb_key; -- \\ \" \n \U0001f511 é \t" + "x" * 10_000
    first, second = DnssecTable(), DnssecTable()
    put(first, key(content=strange))
    put(first, Metadata(ZONE, "X-ODD", (strange, "", "'")))
    await DnssecSync(first, store).sync(WALL)
    await DnssecSync(second, store).sync(WALL)
    assert contents(second) == contents(first)


async def test_a_row_that_makes_no_sense_is_told_of_and_left_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    row = ("0" * 32, ZONE, "X", "no JSON", 5, 0)
    await store.write([Upsert(METADATA, [row])])
    book = DnssecTable()
    put(book, RULE)
    sync = DnssecSync(book, store)
    for _ in range(2):
        await sync.sync(WALL)
    assert caplog.text.count("cannot be read") == 1
    assert row in await store.read(Select(METADATA, METADATA.columns))
    assert book.metadata(ZONE) == {"NSEC3PARAM": ("1 0 0 -",)}


def modes_in(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


async def test_the_local_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    for _ in range(2):
        store = SqliteStore(path)
        await store.write_durably([Upsert(METADATA, [("1" * 32, ZONE, "X", "[]", 5, 0)])])
        modes = modes_in(tmp_path)
        await store.close()
        assert "state.sqlite" in modes
        assert set(modes.values()) == {0o600}
        # As an earlier version left it.
        path.chmod(0o644)
