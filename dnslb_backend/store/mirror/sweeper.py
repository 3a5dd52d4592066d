"""Rows under this node's name that the present session did not write.

They are of members and names that went while the store could not be reached, of records that are
no longer configured, or another client wrote them.
"""

import logging

from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, Where, WriteOp
from dnslb_backend.store.database.tables import NODE_TABLES, STATE, Table, TableRow, Value
from dnslb_backend.store.mirror.rows import Stamp
from dnslb_backend.store.mirror.source import MirrorSource

log = logging.getLogger(__name__)

SWEEP_BATCH = 200
MAX_BATCHES = 1000
"""More are left for the next sweep."""


async def sweep(store: Store, source: MirrorSource, stamp: Stamp) -> None:
    """Delete them in small batches. Raises StoreError.

    Those of records that are not configured stay where `source.delete_unknowns` is false.
    """
    for table in NODE_TABLES:
        deleted = kept = 0
        for _ in range(MAX_BATCHES):
            rows = await _old_rows(store, table, stamp)
            if not rows:
                break
            staying = [row for row in rows if _stays(source, table, row)]
            leaving = [table.key_of(row) for row in rows if not _stays(source, table, row)]
            works: list[WriteOp] = [Delete(table, leaving)] if leaving else []
            if staying:
                works.append(Upsert(table, [_retired(row, stamp) for row in staying]))
            await store.write(works)
            deleted += len(leaving)
            kept += len(staying)
        _report(store.name, table, deleted, kept)


async def _old_rows(store: Store, table: Table, stamp: Stamp) -> list[TableRow]:
    where = (Where("node", "=", stamp.node), Where("session", "<>", stamp.session))
    return await store.read(Select(table, table.columns, where, limit=SWEEP_BATCH))


def _stays(source: MirrorSource, table: Table, row: TableRow) -> bool:
    if table is not STATE or source.delete_unknowns:
        return False
    zone, name, kind = (str(row[STATE.columns.index(c)]) for c in ("zone", "name", "type"))
    return RecordKey(zone, name, kind) not in source.health.records


def _report(store: str, table: Table, deleted: int, kept: int) -> None:
    if deleted:
        log.info("%s: deleted %d old rows of %s", store, deleted, table.name)
    if kept:
        log.warning(
            "%s: kept %d rows of %s: their records are not configured, and"
            " global.delete_unknowns is false",
            *(store, kept, table.name),
        )


def _retired(row: TableRow, stamp: Stamp) -> TableRow:
    """A row that is kept for people to see, and no longer served."""
    changed: dict[str, Value] = {"session": stamp.session, "served": 0}
    return tuple(changed.get(name, value) for name, value in zip(STATE.columns, row, strict=True))
