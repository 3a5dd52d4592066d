"""Deletes old history, and the rows of nodes that are long gone.

Rows are deleted in small batches, each in its own transaction, so that other writers need not wait
for long.
"""

import asyncio
import logging

from dnslb_backend.store.database.interface import Delete, Select, Store, Where
from dnslb_backend.store.database.tables import (
    HISTORY_TABLES,
    NODE,
    NODE_TABLES,
    VOTE,
    VOTER,
    Table,
    TableRow,
)
from dnslb_backend.store.mirror.reading import row_id

log = logging.getLogger(__name__)

SILENT_NODE_AGE = 7 * 86400.0

DELETE_BATCH = 500
DELETE_PAUSE = 0.05
"""Seconds between two batches."""

MAX_BATCHES = 2000
"""More are left for the next run."""


class Retention:
    """Of one store: history is kept for `max_age` seconds, and at most `max_rows` rows a table.

    A node is gone after `silence` seconds without a heartbeat.
    """

    def __init__(
        self,
        store: Store,
        node: str,
        max_age: float,
        max_rows: int,
        *,
        silence: float = SILENT_NODE_AGE,
    ) -> None:
        self._store = store
        self._node = node
        self._max_age = max_age
        self._max_rows = max_rows
        self._silence = silence
        self._silent: dict[str, str] = {}

    async def delete_expired(self) -> None:
        """Delete old and surplus history, and the rows of nodes that are gone.

        Raises StoreError.
        """
        for table in HISTORY_TABLES:
            await self._delete_history(table, Where("at", "older", self._max_age), "at")
            await self._delete_surplus(table)
        await self._delete_silent_nodes()

    async def _delete_surplus(self, table: Table) -> None:
        ends = await self._store.read(Select(table, ("MIN(id)", "MAX(id)")))
        first, last = (row_id(table, end) for end in ends[0])
        if last - first < self._max_rows:
            return
        # There may be gaps between ids, so the rows themselves have to be counted.
        surplus = Select(table, ("id",), (), "id", True, limit=1, offset=self._max_rows)
        for (boundary,) in await self._store.read(surplus):
            await self._delete_history(table, Where("id", "<=", row_id(table, boundary)), "id")

    async def _delete_history(self, table: Table, where: Where, order: str) -> None:
        query = Select(table, ("event",), (where,), order, limit=DELETE_BATCH)
        if count := await self._delete(table, query):
            log.info("%s: deleted %d old rows of %s", self._store.name, count, table.name)

    async def _delete_silent_nodes(self) -> None:
        """Those with the same old heartbeat in two runs, so that one wrong clock is not enough."""
        where = (Where("heartbeat", "older", self._silence), Where("node", "<>", self._node))
        rows = await self._store.read(Select(NODE, ("node", "heartbeat"), where))
        silent = {str(node): str(heartbeat) for node, heartbeat in rows}
        for node, heartbeat in silent.items():
            if self._silent.get(node) == heartbeat:
                await self._remove(node)
        self._silent = silent

    async def _remove(self, node: str) -> None:
        log.warning("%s: node %s is gone, deleting its rows", self._store.name, node)
        mine = (Where("node", "=", node),)
        for table in NODE_TABLES:
            await self._delete(table, Select(table, table.key, mine, limit=DELETE_BATCH))
        for table in (NODE, VOTE, VOTER):
            await self._delete(table, Select(table, table.key, mine, limit=DELETE_BATCH))

    async def _delete(self, table: Table, query: Select) -> int:
        count = 0
        for _ in range(MAX_BATCHES):
            keys: list[TableRow] = await self._store.read(query)
            if keys:
                await self._store.write([Delete(table, keys)])
                count += len(keys)
            if len(keys) < DELETE_BATCH:
                break
            await asyncio.sleep(DELETE_PAUSE)
        return count
