"""A health map, and notifications of what changes in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dnslb_backend.checkers.resources.commands import Commands
from dnslb_backend.clock import now
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.model.records import Record
from dnslb_backend.daemon.notification_commands import NotificationCommands
from dnslb_backend.notifications.dispatcher import Dispatcher
from dnslb_backend.notifications.settings import CommandSettings, Receivers, WebhookSettings
from tests.core.building import KEY, Driver, record

A, B = "192.0.2.1", "192.0.2.2"
UP, DOWN = passed(), failed(-6, "503 Service Unavailable")


def webhooks(**tables: dict[str, object]) -> Receivers:
    """These webhooks, by their names."""
    return Receivers(webhooks={k: WebhookSettings.model_validate(t) for k, t in tables.items()})


def commands(**tables: dict[str, object]) -> Receivers:
    """These commands, by their names."""
    return Receivers(commands={k: CommandSettings.model_validate(t) for k, t in tables.items()})


class Scene(Driver):
    """Members A and B of one record serve; what changes from then on is dispatched."""

    def __init__(self, receivers: Receivers, runner: Commands, *records: Record) -> None:
        super().__init__(*(records or (record(A, B),)))
        self.round({A: UP, B: UP}, next(iter(self.health_map.records)))
        for key in self.health_map.records:
            # All records share the two targets.
            self.close(key)
        self.health_map.take_changes()
        self.dispatcher = Dispatcher(
            receivers, self.health_map, "ns1", NotificationCommands(runner), now
        )

    def publish(self) -> None:
        self.dispatcher.publish(self.health_map.take_changes())

    def fail(self) -> None:
        """All members go DOWN."""
        self.round({A: DOWN, B: DOWN})
        self.publish()

    def recover(self) -> None:
        self.round({A: UP, B: UP})
        self.publish()

    def flip(self, times: int) -> None:
        """Member A goes DOWN and comes back in turn, each change published by itself."""
        for number in range(times):
            self.hear(A, UP if number % 2 else DOWN, KEY)
            self.publish()


@asynccontextmanager
async def dispatching(receivers: Receivers, *records: Record) -> AsyncIterator[Scene]:
    runner = Commands()
    scene = Scene(receivers, runner, *records)
    work = asyncio.create_task(scene.dispatcher.run())
    try:
        yield scene
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await runner.close()
