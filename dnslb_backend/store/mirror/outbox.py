"""The history that a store is still to be sent: each row once, in order, and bounded.

The changes of this run wait in memory. What earlier runs could not send to the database is in the
local file, after a checkpoint: the id in the file of the last row that the database has. It is sent
first, since a store numbers rows as they arrive. The checkpoint is saved a moment behind, so that a
few are sent again after a kill -9; their `event` keeps them from being stored twice.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from dnslb_backend.core.health.history import Change
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Upsert, Where
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import CHECKPOINT, HISTORY_TABLES, Table, TableRow
from dnslb_backend.store.mirror.node import Identity
from dnslb_backend.store.mirror.reading import row_id
from dnslb_backend.store.mirror.rows import change_row

log = logging.getLogger(__name__)

BOUND = 100_000
"""So many changes of each table outlive an outage of a store, in about 30 MB; the oldest are
dropped first. As many of earlier runs are sent.
"""

ROWS_PER_TURN = 20
"""So many rows are built before others get their turn on the event loop."""


class _Waiting(NamedTuple):
    """`number` counts the changes of this run; `since` is monotonic."""

    number: int
    since: float
    change: Change


class Outbox:
    """Of one history table. `file` is where rows of earlier runs are found; without it there are
    none.

    `start` is how many changes of this run there were before. `dropped` counts those given up:
    the oldest beyond `bound`, and those that the file no longer has.
    """

    def __init__(
        self,
        identity: Identity,
        table: Table,
        file: SqliteStore | None = None,
        *,
        start: int = 0,
        bound: int = BOUND,
    ) -> None:
        self._identity = identity
        self.table = table
        self._file = file
        self._bound = bound
        self._queue: deque[_Waiting] = deque()
        self._count = start
        self._earlier = range(0)
        self._earlier_since = 0.0
        self._in_flight: int | range | None = None
        self._checkpoint: int | None = None
        self._was_in_use = False
        self._stored = 0
        self._stored_event = ""
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._earlier) + len(self._queue)

    @property
    def count(self) -> int:
        """How many changes there have been in this run."""
        return self._count

    @property
    def oldest(self) -> float | None:
        """Since when the first one waits, as far as this run knows; monotonic."""
        if self._earlier:
            return self._earlier_since
        return self._queue[0].since if self._queue else None

    def put(self, changes: Iterable[Change], now: float) -> None:
        for change in changes:
            self._count += 1
            self._queue.append(_Waiting(self._count, now, change))
        while len(self._queue) > self._bound:
            self._queue.popleft()
            self.dropped += 1

    async def first(self, count: int) -> list[TableRow]:
        """The rows that come next; they stay until they are `done`."""
        self._in_flight = None
        if self._earlier and (rows := await self._earlier_rows(count)):
            return rows
        waiting = list(islice(self._queue, count))
        rows = []
        for number, _, change in waiting:
            rows.append(change_row(self._event(number), self._identity.node, change))
            if len(rows) % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
        if waiting:
            self._in_flight = waiting[-1].number
        return rows

    def done(self) -> None:
        """The rows that `first` gave are stored."""
        last, self._in_flight = self._in_flight, None
        if isinstance(last, range):
            self._earlier = last
            self._stored = last.start - 1
        elif last is not None:
            # Some may have been dropped while they were on their way.
            while self._queue and self._queue[0].number <= last:
                self._queue.popleft()
            self._stored_event = self._event(last)

    def _event(self, number: int) -> str:
        """The name of a change in every store."""
        return f"{self._identity.instance}-{number}"

    # -- earlier runs ----------------------------------------------------------------------

    async def open(self, now: float) -> None:
        """Find what earlier runs could not send; nothing where the file cannot be read."""
        if self._file is None:
            return
        self._earlier_since = now
        try:
            checkpoint = await read_checkpoint(self._file, self.table)
            ((last,),) = await self._file.read(Select(self.table, ("MAX(id)",)))
            self._earlier = range(checkpoint + 1, row_id(self.table, last) + 1)
        except StoreError as error:
            self._lose_file(error)
            return
        # Another file may come back, whose numbers are not those of what this run has written.
        self._checkpoint = None if self._file.is_in_memory else checkpoint
        self._stored = checkpoint
        self._was_in_use = checkpoint > 0
        self._skip_to(max(checkpoint + 1, self._earlier.stop - self._bound))
        if self._earlier:
            log.info(
                "up to %d rows of %s from earlier runs to send to the database",
                *(len(self._earlier), self.table.name),
            )

    async def save_checkpoint(self) -> None:
        """Note in the file how far the database is. Raises StoreError."""
        if self._file is None or self._checkpoint is None:
            return
        if event := self._stored_event:
            mine = (Where("event", "=", event),)
            for (number,) in await self._file.read(Select(self.table, ("id",), mine)):
                self._stored = max(self._stored, row_id(self.table, number))
                if self._stored_event == event:
                    self._stored_event = ""
        if self._stored > self._checkpoint:
            await save_checkpoint(self._file, self.table, self._stored)
            self._checkpoint = self._stored

    async def _earlier_rows(self, count: int) -> list[TableRow]:
        assert self._file is not None
        first, last = self._earlier[0], self._earlier[-1]
        where = (Where("id", ">=", first), Where("id", "<=", last))
        columns = ("id", *self.table.columns)
        try:
            rows = await self._file.read(Select(self.table, columns, where, "id", limit=count))
            ids = [row_id(self.table, row[0]) for row in rows]
        except StoreError as error:
            self._lose_file(error)
            return []
        self._skip_to(ids[0] if ids else last + 1)
        if ids:
            self._in_flight = range(ids[-1] + 1, last + 1)
        return [row[1:] for row in rows]

    def _skip_to(self, number: int) -> None:
        """Drop those before. Where no checkpoint was ever saved, no database waited for them."""
        if self._was_in_use:
            self.dropped += number - self._earlier.start
        self._earlier = range(number, self._earlier.stop)

    def _lose_file(self, error: StoreError) -> None:
        """They stay in the file, and so does the checkpoint: the next run finds them."""
        log.warning("cannot read what earlier runs left unsent of %s: %s", self.table.name, error)
        self._checkpoint = None
        self._earlier = range(0)


async def read_checkpoint(file: SqliteStore, table: Table) -> int:
    """The number that was saved for `table`; 0 where none was. Raises StoreError."""
    mine = (Where("log", "=", table.name),)
    rows = await file.read(Select(CHECKPOINT, ("number",), mine))
    return row_id(CHECKPOINT, rows[0][0]) if rows else 0


async def save_checkpoint(file: SqliteStore, table: Table, number: int) -> None:
    """Raises StoreError."""
    await file.write([Upsert(CHECKPOINT, [(table.name, number)])])


class Outboxes:
    """One outbox for each history table, of which `starts` are the numbers of changes before."""

    def __init__(
        self,
        identity: Identity,
        file: SqliteStore | None = None,
        *,
        starts: Sequence[int] = (0,) * len(HISTORY_TABLES),
        bound: int = BOUND,
    ) -> None:
        self._outboxes = [
            Outbox(identity, table, file, start=start, bound=bound)
            for table, start in zip(HISTORY_TABLES, starts, strict=True)
        ]

    def __len__(self) -> int:
        return sum(map(len, self._outboxes))

    @property
    def counts(self) -> list[int]:
        return [outbox.count for outbox in self._outboxes]

    @property
    def dropped(self) -> int:
        return sum(outbox.dropped for outbox in self._outboxes)

    @property
    def oldest(self) -> float | None:
        waiting = [outbox.oldest for outbox in self._outboxes if outbox.oldest is not None]
        return min(waiting, default=None)

    def put(self, changes: Sequence[Iterable[Change]], now: float) -> None:
        """The changes of each table."""
        for outbox, new in zip(self._outboxes, changes, strict=True):
            outbox.put(new, now)

    async def first(self, count: int) -> list[Upsert]:
        """The rows that come next, up to `count` of each table; they stay until they are `done`."""
        found = [Upsert(outbox.table, await outbox.first(count)) for outbox in self._outboxes]
        return [upsert for upsert in found if upsert.rows]

    def done(self) -> None:
        for outbox in self._outboxes:
            outbox.done()

    async def open(self, now: float) -> None:
        for outbox in self._outboxes:
            await outbox.open(now)

    async def save_checkpoints(self) -> None:
        """Raises StoreError."""
        for outbox in self._outboxes:
            await outbox.save_checkpoint()
