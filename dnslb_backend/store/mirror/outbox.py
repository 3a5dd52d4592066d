"""The transitions that one store is to be told next: those of earlier daemons, then our own.

A store numbers transitions as they arrive, so that the order of telling is the order of history.
"""

import asyncio
from collections.abc import Sequence

from dnslb_backend.store.database.tables import TableRow
from dnslb_backend.store.mirror.replay import TransitionReplay
from dnslb_backend.store.mirror.rows import transition_row
from dnslb_backend.store.mirror.transition_queue import QueuedTransition, TransitionQueue

ROWS_PER_TURN = 20
"""So many rows are built before others get their turn on the event loop."""


class Outbox:
    """Both queues as one. `node` and `instance` are those of this daemon."""

    def __init__(
        self, backlog: TransitionQueue, replay: TransitionReplay | None, node: str, instance: str
    ) -> None:
        self._backlog = backlog
        self._replay = replay
        self._node = node
        self._instance = instance
        self._reported: Sequence[QueuedTransition] = ()

    def __len__(self) -> int:
        return len(self._backlog) + (0 if self._replay is None else len(self._replay))

    @property
    def oldest(self) -> float | None:
        """Since when the first one waits; monotonic."""
        unsent = None if self._replay is None else self._replay.oldest
        return self._backlog.oldest if unsent is None else unsent

    @property
    def dropped(self) -> int:
        """How many were given up."""
        return self._backlog.dropped + (0 if self._replay is None else self._replay.dropped)

    async def first(self, count: int) -> list[TableRow]:
        """The rows that come next; they stay until they are `done`."""
        self._reported = ()
        if self._replay is not None and len(self._replay):
            rows = await self._replay.first(count)
            if rows:
                return rows
        self._reported = self._backlog.first(count)
        return await self._rows(self._reported)

    def done(self) -> None:
        """What `first` gave is stored."""
        if self._reported:
            last = self._reported[-1].number
            self._backlog.done(last)
            if self._replay is not None:
                self._replay.passed(self._event(last))
        elif self._replay is not None and len(self._replay):
            self._replay.done()

    async def _rows(self, waiting: Sequence[QueuedTransition]) -> list[TableRow]:
        rows: list[TableRow] = []
        for number, _, transition in waiting:
            rows.append(transition_row(self._event(number), self._node, transition))
            if len(rows) % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
        return rows

    def _event(self, number: int) -> str:
        """What names a transition in every store."""
        return f"{self._instance}-{number}"
