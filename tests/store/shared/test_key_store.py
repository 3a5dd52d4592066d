"""A change counts when it is on the disk for good, and not before."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.answers.dnssec import Metadata, ZoneKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.shared.key_store import StoredKeys
from dnslb_backend.store.shared.keys import DnssecSync, DnssecTable

ZONE = "lb.example"
KEY = ZoneKey(ZONE, 1, 257, active=True, published=True, content="secret")


class Stand:
    """A vault on a file, and whom it told of what."""

    def __init__(self, path: Path) -> None:
        self.file = SqliteStore(path)
        self.spread = 0
        self.resigned: list[frozenset[str]] = []
        self.vault = StoredKeys(
            self.file, now, spread=self._spread, on_keys_changed=self.resigned.append
        )

    def _spread(self) -> None:
        self.spread += 1


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    made = Stand(tmp_path / "state.sqlite")
    yield made
    await made.file.close()


async def stored(path: Path) -> DnssecTable:
    store, book = SqliteStore(path), DnssecTable()
    await DnssecSync(book, store).sync(now().wall)
    await store.close()
    return book


async def test_a_change_is_on_the_disk_and_told_of(stand: Stand, tmp_path: Path) -> None:
    await stand.vault.put(KEY)
    await stand.vault.put(Metadata(ZONE, "SOA-EDIT", ("EPOCH",)))
    book = await stored(tmp_path / "state.sqlite")
    assert (book.keys(ZONE), book.metadata(ZONE)) == ((KEY,), {"SOA-EDIT": ("EPOCH",)})
    await stand.vault.delete(KEY)
    assert (await stored(tmp_path / "state.sqlite")).keys(ZONE) == ()
    assert stand.vault.keys(ZONE) == ()
    assert (stand.spread, stand.resigned) == (3, [frozenset({ZONE})] * 3)


async def test_what_cannot_be_written_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stand = Stand(tmp_path / "file" / "state.sqlite")
    with pytest.raises(StoreError, match="memory does not last"):
        await stand.vault.put(KEY)
    assert stand.vault.keys(ZONE) == ()
    assert (stand.spread, stand.resigned) == (0, [])
    await stand.file.close()


async def test_a_file_that_is_locked_is_an_error_and_no_loss(stand: Stand, tmp_path: Path) -> None:
    await stand.vault.put(KEY)
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError):
            await stand.vault.delete(KEY)
    assert stand.vault.keys(ZONE) == (KEY,)
    await stand.vault.delete(KEY)
    assert stand.vault.keys(ZONE) == ()
