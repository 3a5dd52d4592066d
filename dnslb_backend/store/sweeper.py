"""Rows under this node's name that the present session did not write: they are of the past.

They are of members and names that are gone while nobody could delete them, of records that are
no longer configured, or somebody put them there.
"""

import logging
from dataclasses import dataclass

from dnslb_backend.core.records import RecordKey
from dnslb_backend.store.rows import Stamp
from dnslb_backend.store.source import Source
from dnslb_backend.store.store import Delete, Select, Store, Upsert, Where, Work
from dnslb_backend.store.tables import NODE_TABLES, STATE, Row, Table, Value

log = logging.getLogger(__name__)

BATCH = 200
MAX_BATCHES = 1000
"""More are left for the next time."""


@dataclass(slots=True)
class Sweeper:
    """Deletes them; those of unknown records only with `delete_unknowns`."""

    source: Source
    delete_unknowns: bool = True

    async def sweep(self, store: Store, stamp: Stamp) -> None:
        """Go through all tables, in small batches. Raises StoreError."""
        for table in NODE_TABLES:
            left = kept = 0
            for _ in range(MAX_BATCHES):
                rows = await self._strangers(store, table, stamp)
                if not rows:
                    break
                staying = [row for row in rows if self._stays(table, row)]
                leaving = [table.key_of(row) for row in rows if not self._stays(table, row)]
                works: list[Work] = [Delete(table, leaving)] if leaving else []
                if staying:
                    works.append(Upsert(table, [_retired(row, stamp) for row in staying]))
                await store.write(works)
                left += len(leaving)
                kept += len(staying)
            _tell(store.name, table, left, kept)

    async def _strangers(self, store: Store, table: Table, stamp: Stamp) -> list[Row]:
        where = (Where("node", "=", stamp.node), Where("session", "<>", stamp.session))
        return await store.read(Select(table, table.columns, where, limit=BATCH))

    def _stays(self, table: Table, row: Row) -> bool:
        if table is not STATE or self.delete_unknowns:
            return False
        zone, name, kind = (str(row[STATE.columns.index(c)]) for c in ("zone", "name", "type"))
        return RecordKey(zone, name, kind) not in self.source.health.records


def _tell(store: str, table: Table, left: int, kept: int) -> None:
    if left:
        log.info("%s: %d old rows of %s deleted", store, left, table.name)
    if kept:
        log.warning(
            "%s: %d rows of %s kept: their records are not configured, and"
            " global.delete_unknowns is false",
            *(store, kept, table.name),
        )


def _retired(row: Row, stamp: Stamp) -> Row:
    """A row that is kept for people to see: nobody is given it any more."""
    changed: dict[str, Value] = {"session": stamp.session, "served": 0}
    return tuple(changed.get(name, value) for name, value in zip(STATE.columns, row, strict=True))
