"""What earlier runs could not tell the database: it stands in the local file, after a mark.

The mark is the number, in the file, of the last transition that the database is known to have.
It follows a moment behind, so that after a kill -9 a few transitions are sent again; the `event`
of each keeps it from being there twice.
"""

import logging

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Where
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import TRANSITION, TableRow
from dnslb_backend.store.mirror.saved_rows import row_id
from dnslb_backend.store.mirror.transition_queue import BOUND

log = logging.getLogger(__name__)


class TransitionReplay:
    """They are read from the file when the database takes them, and so cost no memory.

    At most `bound` of them are sent, the newest. `dropped` counts those that were left out, or
    that the file had already forgotten; where nothing was ever marked, nobody waited for them.
    """

    def __init__(self, file: SqliteStore, bound: int = BOUND) -> None:
        self._file = file
        self._bound = bound
        self._first, self._last = 1, 0
        self._read = 0
        self._checkpoint = 0
        self._reached = 0
        self._event = ""
        self._is_lost = True
        self._has_checkpoint = False
        self._since = 0.0
        self.dropped = 0

    def __len__(self) -> int:
        return max(0, self._last - self._first + 1)

    @property
    def oldest(self) -> float | None:
        """Since when they wait, as far as this run knows; monotonic."""
        return self._since if len(self) else None

    async def open(self, now: float) -> None:
        """Find out what there is; where the file cannot be read, there is nothing."""
        self._first, self._last = 1, 0
        self._since = now
        try:
            self._checkpoint = self._reached = await self._file.checkpoint()
            ((last,),) = await self._file.read(Select(TRANSITION, ("MAX(id)",)))
            last = row_id(last)
        except StoreError as error:
            self._lose(error)
            return
        # Another file may come back: one whose mark is not for what this run has written.
        self._is_lost = self._file.is_in_memory
        self._has_checkpoint = self._checkpoint > 0
        self._first, self._last = self._checkpoint + 1, last
        if len(self) > self._bound:
            self._skip_to(self._last - self._bound + 1)
        if len(self):
            log.info("up to %d transitions of earlier runs wait for the database", len(self))

    async def first(self, count: int) -> list[TableRow]:
        """The oldest ones, as rows; they stay until they are `done`."""
        where = (Where("id", ">=", self._first), Where("id", "<=", self._last))
        columns = ("id", *TRANSITION.columns)
        try:
            rows = await self._file.read(Select(TRANSITION, columns, where, "id", limit=count))
            ids = [row_id(row[0]) for row in rows]
        except StoreError as error:
            self._lose(error)
            return []
        if not rows:
            self._skip_to(self._last + 1)
            return []
        self._skip_to(ids[0])
        self._read = ids[-1]
        return [row[1:] for row in rows]

    def done(self) -> None:
        """Those that were read last have been stored."""
        self._first = self._read + 1
        self._reached = self._read

    def passed(self, event: str) -> None:
        """The database has all of this run up to this event."""
        self._event = event

    async def note(self) -> None:
        """Move the mark to where the database is. Raises StoreError."""
        if self._is_lost:
            return
        if event := self._event:
            mine = (Where("event", "=", event),)
            for (number,) in await self._file.read(Select(TRANSITION, ("id",), mine)):
                self._reached = max(self._reached, row_id(number))
                if self._event == event:
                    self._event = ""
        if self._reached > self._checkpoint:
            await self._file.set_checkpoint(self._reached)
            self._checkpoint = self._reached

    def _skip_to(self, number: int) -> None:
        if self._has_checkpoint:
            self.dropped += number - self._first
        self._first = number

    def _lose(self, error: StoreError) -> None:
        """They stay where they are; the mark too, so that the next run finds them."""
        log.warning("what earlier runs could not tell the database cannot be read: %s", error)
        self._is_lost = True
        self._first, self._last = 1, 0
