"""Runs the commands of [notify] through the helper process of checks."""

from collections.abc import Mapping

from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.commands import Commands
from dnslb_backend.checkers.resources.texts import one_line


class NotificationCommands:
    """Callable as `notifications.command.RunCommand`."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def __call__(
        self, argv: tuple[str, ...], limit: float, text: str, environment: Mapping[str, str]
    ) -> str:
        try:
            finished = await self._commands.run(argv, limit, text=text, environment=environment)
        except TimeoutError:
            return f"{argv[0]!r} did not end within {limit:g} s"
        except ProbeError as error:
            return str(error)
        if finished.code == 0:
            return ""
        line = one_line(finished.stderr) or one_line(finished.output)
        return f"exit code {finished.code}{f': {line}' if line else ''}"
