"""Where PowerDNS's keys and metadata are: asked from memory, and written through to the disk.

Unlike health they cannot be measured again. So a change counts when the local file holds it for
good, and not before; from there it goes to the database, and to the other nodes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from dnslb_backend.core.instants import Instant
from dnslb_backend.core.signing import Article, TransferKey, ZoneKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.keybook import KeyBook
from dnslb_backend.store.sqlite import SqliteStore
from dnslb_backend.store.store import Upsert

WRITE_LIMIT = 1.5
"""Seconds that a change may take: PowerDNS waits for 2."""


class Vault:
    """`spread` is called after a change, `resigned` with the zones that it is about."""

    def __init__(
        self,
        file: SqliteStore,
        now: Callable[[], Instant],
        *,
        spread: Callable[[], None],
        resigned: Callable[[frozenset[str]], None],
    ) -> None:
        self.book = KeyBook()
        self.resigned = resigned
        self._file = file
        self._now = now
        self._spread = spread
        self._writing = asyncio.Lock()

    def keys(self, zone: str) -> Sequence[ZoneKey]:
        return self.book.keys(zone)

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]:
        return self.book.metadata(zone)

    def transfer_keys(self) -> Sequence[TransferKey]:
        return self.book.transfer_keys()

    async def keep(self, article: Article) -> None:
        """From now on this holds, soon on every node; on the disk of this one when it returns.

        Raises StoreError where it cannot be written, and then it does not hold.
        """
        await self._change(article, is_gone=False)

    async def drop(self, article: Article) -> None:
        """From now on this is gone; otherwise as `keep`."""
        await self._change(article, is_gone=True)

    async def _change(self, article: Article, *, is_gone: bool) -> None:
        async with self._writing:
            wall = self._now().wall
            draft = self.book.draft(article, wall, is_gone=is_gone)
            try:
                async with asyncio.timeout(WRITE_LIMIT):
                    await self._file.write_durably([Upsert(draft.table, [draft.row()])])
            except TimeoutError:
                raise StoreError(f"{self._file.name}: not written in {WRITE_LIMIT:g} s") from None
            moved = self.book.merge([draft], wall)
        self._spread()
        if moved:
            self.resigned(moved)
