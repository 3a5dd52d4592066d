"""Delivers the events of one receiver: in order, and retried until they are too old."""

import asyncio
import random
import time
from collections.abc import Iterable

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.notifications.event_queue import EventQueue
from dnslb_backend.notifications.events import Event, Selection
from dnslb_backend.notifications.payload import render
from dnslb_backend.notifications.receiver import Failure, Receiver
from dnslb_backend.throttle import LogRateLimiter

log = ComponentLog(__name__, "notify")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts: each time twice as long, less up to a half by chance."""

LOG_INTERVAL = 60.0
"""Seconds between two log lines about events of one receiver that are lost."""


class Worker:
    """One receiver, its queue, and what is being delivered."""

    def __init__(self, name: str, receiver: Receiver, node: str) -> None:
        self.receiver = receiver
        self._label = f"{receiver.kind} {name}"
        self._node = node
        self._selection = Selection(receiver.settings)
        self._queue = EventQueue(receiver.settings.queue_size)
        self._batch: list[Event] = []
        self._dropped = 0
        self._is_failing = False
        self._losses = LogRateLimiter(time.monotonic, LOG_INTERVAL)
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, events: Iterable[Event]) -> None:
        """Queue those of these events that the receiver has chosen; never waits."""
        dropped = self._queue.add(filter(self._selection.admits, events))
        if self._queue:
            self._idle.clear()
        if dropped:
            self._dropped += dropped
            self._lose("dropped", dropped, f"more than {self.receiver.settings.queue_size} waited")

    def unsent(self) -> list[Event]:
        """The events that are not delivered yet, oldest first."""
        return [*self._batch, *self._queue]

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet."""
        return len(self._queue) + len(self._batch)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._batch:
                self._batch = await self._queue.take(self.receiver.settings.max_events)
            await self._deliver()
            if not self.waiting:
                self._idle.set()

    async def flush(self) -> None:
        """Wait until every event is delivered or lost."""
        await self._idle.wait()

    def report_unsent(self) -> None:
        """Log that the events which are not delivered yet never will be."""
        if self.waiting:
            log.warning("%d notifications to %s were not sent", self.waiting, self._label)

    async def _deliver(self) -> None:
        """Try to send the batch until none of it is left."""
        pause, dropped = FIRST_PAUSE, self._dropped
        while self._expire():
            failure = await self._attempt(dropped)
            if failure is None:
                self._succeed()
                self._dropped -= dropped
            elif failure.is_final:
                self._lose("refused", len(self._batch), failure.reason)
                self._batch = []
            else:
                self._fail(failure)
                jittered = pause * random.uniform(0.5, 1.0)
                await asyncio.sleep(max(jittered, self._requested_pause(failure)))
                pause = min(2 * pause, LONGEST_PAUSE)

    def _expire(self) -> bool:
        """Discard what is too old; whether anything is left of the batch."""
        max_age = self.receiver.settings.max_age
        oldest = time.monotonic() - max_age
        fresh = [event for event in self._batch if event.queued >= oldest]
        if expired := len(self._batch) - len(fresh):
            self._lose("expired", expired, f"not accepted within {max_age:g} s")
        self._batch = fresh
        return bool(fresh)

    def _requested_pause(self, failure: Failure) -> float:
        """What the receiver asks for, but not beyond the age at which events expire."""
        return min(failure.retry_after, self.receiver.settings.max_age)

    async def _attempt(self, dropped: int) -> Failure | None:
        try:
            return await self.receiver.send(render(self._batch, self._node, dropped))
        except Exception as error:
            log.exception("unhandled exception while notifying %s", self._label)
            return Failure(repr(error))

    def _succeed(self) -> None:
        metrics.NOTIFICATIONS.labels(self.receiver.kind, "sent").inc(len(self._batch))
        self._batch = []
        if self._is_failing:
            self._is_failing = False
            log.warning("notifications to %s are sent again", self._label)

    def _fail(self, failure: Failure) -> None:
        metrics.NOTIFICATION_FAILURES.labels(self.receiver.kind).inc()
        if not self._is_failing:
            self._is_failing = True
            log.error("cannot notify %s, retrying: %s", self._label, failure.reason)

    def _lose(self, outcome: metrics.NotificationOutcome, count: int, why: str) -> None:
        metrics.NOTIFICATIONS.labels(self.receiver.kind, outcome).inc(count)
        more = self._losses.admit(outcome)
        if more is not None:
            suffix = f" (and {more} more times)" if more else ""
            log.error("%d notifications to %s %s%s: %s", count, self._label, outcome, suffix, why)
