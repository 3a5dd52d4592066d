"""A command that is run for each delivery, with the events on its standard input."""

from collections.abc import Awaitable, Callable, Mapping

from dnslb_backend.metrics import NotificationReceiver
from dnslb_backend.notifications.payload import Payload
from dnslb_backend.notifications.receiver import Failure
from dnslb_backend.notifications.settings import CommandSettings

RunCommand = Callable[[tuple[str, ...], float, str, Mapping[str, str]], Awaitable[str]]
"""Runs argv for at most so many seconds, with a text on standard input and more variables in its
environment; returns why it failed, "" if it exited with 0."""


class Command:
    kind: NotificationReceiver = "command"

    def __init__(self, settings: CommandSettings, run: RunCommand) -> None:
        self.settings = settings
        self._run = run

    async def send(self, payload: Payload) -> Failure | None:
        environment = {
            "DNSLB_NODE": payload.node,
            "DNSLB_ID": payload.id,
            "DNSLB_EVENTS": str(payload.count),
            "DNSLB_SUMMARY": payload.summary,
        }
        argv = tuple(self.settings.argv)
        why = await self._run(argv, self.settings.timeout, payload.body, environment)
        return Failure(why) if why else None
