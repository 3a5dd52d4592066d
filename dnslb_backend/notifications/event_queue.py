"""The events that wait for one receiver: bounded, the oldest are dropped."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

from dnslb_backend.notifications.events import Event


class EventQueue:
    """At most `limit` events, in their order."""

    def __init__(self, limit: int) -> None:
        self._events: deque[Event] = deque(maxlen=limit)
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def add(self, events: Iterable[Event]) -> int:
        """Add events; returns how many of the oldest were dropped for them."""
        before, added = len(self._events), list(events)
        self._events.extend(added)
        if self._events:
            self._filled.set()
        return before + len(added) - len(self._events)

    async def take(self, most: int) -> list[Event]:
        """The oldest events, `most` at most; waits until there is one."""
        await self._filled.wait()
        taken = [self._events.popleft() for _ in range(min(most, len(self._events)))]
        if not self._events:
            self._filled.clear()
        return taken
