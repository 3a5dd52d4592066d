"""Transactions of many rows: retried on conflicts, and without the rows that are refused."""

import asyncio
import logging
import random
from collections.abc import Sequence

from dnslb_backend.errors import BadRowError, RetryableError, StoreError
from dnslb_backend.store.database.interface import Delete, Store, Upsert, WriteOp

log = logging.getLogger(__name__)

BUSY_TRIES = 6
FIRST_PAUSE = 0.05
MAX_REPORTED = 100


class BatchWriter:
    """Writes to one store, and counts the rows, the errors and the refused rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.rows = self.errors = self.refused = 0
        self.last_error = ""
        self._reported: set[str] = set()

    def count_error(self, text: str) -> None:
        self.errors += 1
        self.last_error = text

    async def write(self, works: Sequence[WriteOp]) -> None:
        """Store all of it but the rows that the store refuses. Raises StoreError."""
        for attempt in range(BUSY_TRIES):
            try:
                await self._store.write(works)
            except RetryableError as error:
                self.count_error(str(error))
                await asyncio.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))
            except BadRowError as error:
                await self._write_halves(works, error)
                return
            else:
                self.rows += sum(len(work.rows) for work in works if isinstance(work, Upsert))
                return
        raise StoreError(f"{self.last_error}; {BUSY_TRIES} times in a row")

    async def _write_halves(self, works: Sequence[WriteOp], error: BadRowError) -> None:
        """Halve the work until the row that is refused is alone, and leave that one out."""
        halves = _halves(works)
        if halves is None:
            self._refuse(str(error))
            return
        for half in halves:
            await self.write(half)

    def _refuse(self, text: str) -> None:
        self.refused += 1
        self.last_error = text
        if text not in self._reported and len(self._reported) < MAX_REPORTED:
            self._reported.add(text)
            log.error("%s: skipping a row that the store refuses: %s", self._store.name, text)


def _halves(works: Sequence[WriteOp]) -> tuple[list[WriteOp], list[WriteOp]] | None:
    """Two parts of about the same size; None for a single row."""
    if len(works) > 1:
        middle = len(works) // 2
        return list(works[:middle]), list(works[middle:])
    (work,) = works
    if isinstance(work, Upsert) and len(work.rows) > 1:
        middle = len(work.rows) // 2
        first, second = work.rows[:middle], work.rows[middle:]
        return [Upsert(work.table, first)], [Upsert(work.table, second)]
    if isinstance(work, Delete) and len(work.keys) > 1:
        middle = len(work.keys) // 2
        return [Delete(work.table, work.keys[:middle])], [Delete(work.table, work.keys[middle:])]
    return None
