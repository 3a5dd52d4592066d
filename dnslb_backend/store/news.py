"""The transitions that one store is to be told next: those of earlier daemons, then our own.

A store numbers transitions as they arrive, so that the order of telling is the order of history.
"""

import asyncio
from collections.abc import Sequence

from dnslb_backend.store.arrears import Arrears
from dnslb_backend.store.backlog import Backlog, Waiting
from dnslb_backend.store.rows import transition_row
from dnslb_backend.store.tables import Row

SLICE = 20
"""So many rows are built before others get their turn on the event loop."""


class News:
    """Both queues as one. `node` and `instance` are those of this daemon."""

    def __init__(self, backlog: Backlog, arrears: Arrears | None, node: str, instance: str) -> None:
        self._backlog = backlog
        self._arrears = arrears
        self._node = node
        self._instance = instance
        self._told: Sequence[Waiting] = ()

    def __len__(self) -> int:
        return len(self._backlog) + (0 if self._arrears is None else len(self._arrears))

    @property
    def oldest(self) -> float | None:
        """Since when the first one waits; monotonic."""
        owed = None if self._arrears is None else self._arrears.oldest
        return self._backlog.oldest if owed is None else owed

    @property
    def dropped(self) -> int:
        """How many were given up."""
        return self._backlog.dropped + (0 if self._arrears is None else self._arrears.dropped)

    async def first(self, count: int) -> list[Row]:
        """The rows that come next; they stay until they are `done`."""
        self._told = ()
        if self._arrears is not None and len(self._arrears):
            rows = await self._arrears.first(count)
            if rows:
                return rows
        self._told = self._backlog.first(count)
        return await self._rows(self._told)

    def done(self) -> None:
        """What `first` gave is stored."""
        if self._told:
            last = self._told[-1].number
            self._backlog.done(last)
            if self._arrears is not None:
                self._arrears.passed(self._event(last))
        elif self._arrears is not None and len(self._arrears):
            self._arrears.done()

    async def _rows(self, waiting: Sequence[Waiting]) -> list[Row]:
        rows: list[Row] = []
        for number, _, transition in waiting:
            rows.append(transition_row(self._event(number), self._node, transition))
            if len(rows) % SLICE == 0:
                await asyncio.sleep(0)
        return rows

    def _event(self, number: int) -> str:
        """What names a transition in every store."""
        return f"{self._instance}-{number}"
