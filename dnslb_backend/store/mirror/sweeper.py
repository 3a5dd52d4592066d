"""Rows under this node's name that the present session did not write: they are of the past.

They are of members and names that are gone while nobody could delete them, of records that are
no longer configured, or somebody put them there.
"""

import logging
from dataclasses import dataclass

from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, Where, WriteOp
from dnslb_backend.store.database.tables import NODE_TABLES, STATE, Table, TableRow, Value
from dnslb_backend.store.mirror.rows import Stamp
from dnslb_backend.store.mirror.source import MirrorSource

log = logging.getLogger(__name__)

SWEEP_BATCH = 200
MAX_BATCHES = 1000
"""More are left for the next time."""


@dataclass(slots=True)
class Sweeper:
    """Deletes them; those of unknown records only with `delete_unknowns`."""

    source: MirrorSource
    delete_unknowns: bool = True

    async def sweep(self, store: Store, stamp: Stamp) -> None:
        """Go through all tables, in small batches. Raises StoreError."""
        for table in NODE_TABLES:
            left = kept = 0
            for _ in range(MAX_BATCHES):
                rows = await self._unknown_rows(store, table, stamp)
                if not rows:
                    break
                staying = [row for row in rows if self._stays(table, row)]
                leaving = [table.key_of(row) for row in rows if not self._stays(table, row)]
                works: list[WriteOp] = [Delete(table, leaving)] if leaving else []
                if staying:
                    works.append(Upsert(table, [_retired(row, stamp) for row in staying]))
                await store.write(works)
                left += len(leaving)
                kept += len(staying)
            _report(store.name, table, left, kept)

    async def _unknown_rows(self, store: Store, table: Table, stamp: Stamp) -> list[TableRow]:
        where = (Where("node", "=", stamp.node), Where("session", "<>", stamp.session))
        return await store.read(Select(table, table.columns, where, limit=SWEEP_BATCH))

    def _stays(self, table: Table, row: TableRow) -> bool:
        if table is not STATE or self.delete_unknowns:
            return False
        zone, name, kind = (str(row[STATE.columns.index(c)]) for c in ("zone", "name", "type"))
        return RecordKey(zone, name, kind) not in self.source.health.records


def _report(store: str, table: Table, left: int, kept: int) -> None:
    if left:
        log.info("%s: %d old rows of %s deleted", store, left, table.name)
    if kept:
        log.warning(
            "%s: %d rows of %s kept: their records are not configured, and"
            " global.delete_unknowns is false",
            *(store, kept, table.name),
        )


def _retired(row: TableRow, stamp: Stamp) -> TableRow:
    """A row that is kept for people to see: nobody is given it any more."""
    changed: dict[str, Value] = {"session": stamp.session, "served": 0}
    return tuple(changed.get(name, value) for name, value in zip(STATE.columns, row, strict=True))
