"""Where PowerDNS's keys and metadata are: asked from memory, and written through to the disk.

Unlike health they cannot be measured again. So a change counts when the local file holds it for
good, and not before; from there it goes to the database, and to the other nodes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from dnslb_backend.core.answers.dnssec import DnssecItem, TsigKey, ZoneKey
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Upsert
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.shared.keys import DnssecTable

WRITE_LIMIT = 1.5
"""Seconds that a change may take: PowerDNS waits for 2."""


class StoredKeys:
    """`spread` is called after a change, `on_keys_changed` with the zones that it is about."""

    def __init__(
        self,
        file: SqliteStore,
        now: Callable[[], Instant],
        *,
        spread: Callable[[], None],
        on_keys_changed: Callable[[frozenset[str]], None],
    ) -> None:
        self.table = DnssecTable()
        self.on_keys_changed = on_keys_changed
        self._file = file
        self._now = now
        self._spread = spread
        self._writing = asyncio.Lock()

    def keys(self, zone: str) -> Sequence[ZoneKey]:
        return self.table.keys(zone)

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]:
        return self.table.metadata(zone)

    def transfer_keys(self) -> Sequence[TsigKey]:
        return self.table.transfer_keys()

    async def put(self, item: DnssecItem) -> None:
        """From now on this holds, soon on every node; on the disk of this one when it returns.

        Raises StoreError where it cannot be written, and then it does not hold.
        """
        await self._change(item, is_deleted=False)

    async def delete(self, item: DnssecItem) -> None:
        """From now on this is gone; otherwise as `put`."""
        await self._change(item, is_deleted=True)

    async def _change(self, item: DnssecItem, *, is_deleted: bool) -> None:
        async with self._writing:
            wall = self._now().wall
            draft = self.table.next_version(item, wall, is_deleted=is_deleted)
            try:
                async with asyncio.timeout(WRITE_LIMIT):
                    await self._file.write_durably([Upsert(draft.table, [draft.row()])])
            except TimeoutError:
                raise StoreError(f"{self._file.name}: not written in {WRITE_LIMIT:g} s") from None
            moved = self.table.merge([draft], wall)
        self._spread()
        if moved:
            self.on_keys_changed(moved)
