"""Runs commands through the spawner process; the daemon's side of `exec` checks."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.checkers.deadlines import within
from dnslb_backend.checkers.failures import ProbeError
from dnslb_backend.checkers.helper import Helper

SCRIPT = Path(__file__).with_name("spawner.py")


START_LIMIT = 10.0
"""Seconds that a command may wait for its turn to be started, when many are asked for at once."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended by itself.

    `code` is its exit code, or 128 + the signal that ended it, as shells say it. `output` is the
    start of its standard output (64 KiB, UTF-8, bad bytes dropped); `cut` if there was more.
    """

    code: int
    output: str
    cut: bool


class Commands:
    """Owns the spawner process, which starts with the first command."""

    def __init__(self) -> None:
        self._helper = Helper("the command helper", SCRIPT, secrets.token_hex(8))

    async def run(self, argv: tuple[str, ...], limit: float) -> Finished:
        """Run without a shell, standard input empty, everything else inherited.

        Raises TimeoutError `limit` seconds after the command began, which is then ended
        (SIGTERM, a second later SIGKILL); ProbeError if it could not be started. Cancelled, it
        kills the command at once.
        """
        async with self._helper.call({"argv": argv}) as call:
            try:
                async with asyncio.timeout(START_LIMIT):
                    await call.answer()
            except TimeoutError:
                call.tell({"stop": "kill"})
                self._helper.complain()
                raise ProbeError("the command helper is too slow to start commands") from None
            except asyncio.CancelledError:
                call.tell({"stop": "kill"})
                raise
            try:
                async with within(limit):
                    answer = await call.answer()
            except (TimeoutError, ProbeError):
                call.tell({"stop": "term"})
                raise
            except asyncio.CancelledError:
                call.tell({"stop": "kill"})
                raise
        return Finished(answer["exit"], answer["output"], answer["cut"])

    async def close(self) -> None:
        """End the spawner and all running commands."""
        await self._helper.close()
