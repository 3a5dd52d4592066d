"""Where PowerDNS's keys and metadata are: read from memory, and written through to the disk.

Unlike health they cannot be measured again. So a change is in force when the local file holds it
durably, and not before; from there it goes to the database and to the other nodes.

A write that failed may reach the disk all the same: one that hangs is completed when the disk has
caught up. So it is withdrawn: a newer version of what was in force before overrules it, here at
once, in the file as soon as that can be written, and on every node.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from dnslb_backend.core.answers.dnssec import DnssecItem, TsigKey, ZoneKey
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.store.database.interface import Upsert
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.shared.dnssec import DnssecEntry, DnssecTable, zones_of


class StoredKeys:
    """`on_written` is called when the stores have something to exchange, `on_keys_changed` with
    the zones whose keys or metadata have changed, here or on another node.
    """

    def __init__(
        self,
        file: SqliteStore,
        now: Callable[[], Instant],
        *,
        on_written: Callable[[], None],
        on_keys_changed: Callable[[frozenset[str]], None],
    ) -> None:
        self.table = DnssecTable(self._report)
        self._file = file
        self._now = now
        self._on_written = on_written
        self._on_keys_changed = on_keys_changed
        self._writing = asyncio.Lock()

    def keys(self, zone: str) -> Sequence[ZoneKey]:
        return self.table.keys(zone)

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]:
        return self.table.metadata(zone)

    def transfer_keys(self) -> Sequence[TsigKey]:
        return self.table.transfer_keys()

    async def put(self, item: DnssecItem) -> None:
        """Set it; on return it is on this node's disk and in force, and soon on every node.

        Raises StoreError where it cannot be written. Then, or when cancelled, it never comes into
        force.
        """
        await self._change(item, is_deleted=False)

    async def delete(self, item: DnssecItem) -> None:
        """Delete it; otherwise as `put`."""
        await self._change(item, is_deleted=True)

    async def _change(self, item: DnssecItem, *, is_deleted: bool) -> None:
        async with self._writing:
            wall = self._now().wall
            entry = self.table.next_version(item, wall, is_deleted=is_deleted)
            try:
                await self._file.write_durably([Upsert(entry.table, [entry.row()])])
            except BaseException:
                self.table.merge([self.table.withdrawal(entry)], wall)
                raise
            finally:
                self._on_written()
            self._report(self.table.merge([entry], wall))

    def _report(self, changed: Sequence[DnssecEntry]) -> None:
        if zones := zones_of(changed):
            self._on_keys_changed(zones)
