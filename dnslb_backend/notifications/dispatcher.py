"""Passes changes of the health map to the receivers of [notify]."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable

from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.metrics import NotificationReceiver
from dnslb_backend.notifications.command import Command, RunCommand
from dnslb_backend.notifications.decisions import DecisionTracker
from dnslb_backend.notifications.events import Event, EventSource
from dnslb_backend.notifications.settings import Receivers
from dnslb_backend.notifications.webhook import Webhook
from dnslb_backend.notifications.worker import Worker


class Dispatcher:
    """One worker for each receiver: one that hangs delays no other, and none delays the caller."""

    def __init__(
        self,
        receivers: Receivers,
        health: HealthMap,
        node: str,
        run_command: RunCommand,
        now: Callable[[], Instant],
    ) -> None:
        self._tracker = DecisionTracker(health)
        self._node = node
        self._run_command = run_command
        self._now = now
        self._run_id = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        self._workers: dict[tuple[NotificationReceiver, str], Worker] = {}
        self._reconfigured = asyncio.Event()
        self.reconfigure(receivers)

    def publish(self, changes: Changes) -> None:
        """Queue the events of these changes; never waits."""
        at = self._now()
        decisions = self._tracker.observe(changes, at.wall)
        if not self._workers:
            return
        sources: list[EventSource] = [*changes.transitions, *decisions]
        events = [
            Event(f"{self._run_id}-{next(self._numbers)}", source, at.mono) for source in sources
        ]
        for worker in self._workers.values():
            worker.add(events)

    def reconfigure(self, receivers: Receivers) -> None:
        """Use these receivers. Those of the same name take over what waits; `run` starts them."""
        before, self._workers = self._workers, {}
        for name, webhook in receivers.webhooks.items():
            self._place(before, name, Webhook(webhook, self._wall))
        for name, command in receivers.commands.items():
            self._place(before, name, Command(command, self._run_command))
        for gone in before.values():
            gone.report_unsent()
        self._reconfigured.set()

    def _place(
        self,
        before: dict[tuple[NotificationReceiver, str], Worker],
        name: str,
        receiver: Webhook | Command,
    ) -> None:
        """Have a worker for this receiver: the one that there was `before`, or its successor."""
        place = receiver.kind, name
        old = before.pop(place, None)
        if old is not None and old.receiver.settings == receiver.settings:
            self._workers[place] = old
            return
        self._workers[place] = Worker(name, receiver, self._node)
        if old is not None:
            self._workers[place].add(old.unsent())

    def waiting(self, kind: NotificationReceiver) -> int:
        """Events that are not delivered yet, of all receivers of this kind."""
        return sum(w.waiting for w in self._workers.values() if w.receiver.kind == kind)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            tasks: dict[Worker, asyncio.Task[None]] = {}
            while True:
                self._reconfigured.clear()
                workers = list(self._workers.values())
                for worker in tasks.keys() - set(workers):
                    tasks.pop(worker).cancel()
                for worker in workers:
                    if worker not in tasks:
                        tasks[worker] = group.create_task(worker.run(), name="notifications")
                await self._reconfigured.wait()

    async def flush(self, limit: float) -> None:
        """Let the workers deliver what waits, for so many seconds; log what remains."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                for worker in self._workers.values():
                    await worker.flush()
        for worker in self._workers.values():
            worker.report_unsent()

    def _wall(self) -> float:
        return self._now().wall
