"""Runs commands through the spawner process; the daemon's side of `exec` checks."""

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.helper_process import Call, HelperProcess, Message
from dnslb_backend.redaction import redact
from dnslb_backend.throttle import LogRateLimiter

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("spawner.py")

START_LIMIT = 5.0
"""Seconds that a command may wait for its turn to be started, when many are asked for at once."""

OVERDUE = 2.0
"""The helper keeps the time of a command. It is taken to hang so much (s) after the limit."""

STDERR_INTERVAL = 60.0
"""What a program writes to standard error is logged once in so many seconds."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended by itself.

    `code` is its exit code, or 128 + the `signal` that ended it, as shells say it; `signal` is 0
    where it exited. `output` is the start of its standard output (64 KiB, UTF-8, bad bytes
    dropped); `cut` if there was more. `stderr` is the start (4 KiB) of its standard error.
    """

    code: int
    signal: int
    output: str
    cut: bool
    stderr: str


class Commands:
    """Owns the spawner process, which starts with the first command."""

    def __init__(self) -> None:
        self._helper = HelperProcess("the command helper", SCRIPT, secrets.token_hex(8))
        self._stderr_log = LogRateLimiter(time.monotonic, STDERR_INTERVAL)

    async def run(
        self,
        argv: tuple[str, ...],
        limit: float,
        hidden: tuple[str, ...] = (),
        *,
        text: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run without a shell, `text` on standard input, `environment` added to what is inherited.

        What it writes to standard error is logged without what is `hidden`.

        Raises TimeoutError where the command had `limit` seconds and did not end; it is then ended
        (SIGTERM, a second later SIGKILL). ProbeError if it could not be started, or the helper
        did not run to see its end. Cancelled, it kills the command at once.
        """
        request = {
            "argv": argv,
            "limit": limit,
            "input": text,
            "environment": dict(environment or {}),
        }
        async with self._helper.call(request) as call:
            try:
                # First that it started, then how it ended.
                await self._answer(call, START_LIMIT)
                answer = await self._answer(call, limit + OVERDUE)
            except BaseException:
                call.send({"stop": True})
                raise
        self._log_stderr(argv[0], redact(answer["stderr"], *hidden))
        if "timeout" in answer:
            raise TimeoutError
        return Finished(
            answer["exit"], answer["signal"], answer["output"], answer["cut"], answer["stderr"]
        )

    async def close(self) -> None:
        """End the spawner and all running commands."""
        await self._helper.close()

    async def _answer(self, call: Call, limit: float) -> Message:
        try:
            async with asyncio.timeout(limit):
                return await call.response()
        except TimeoutError:
            self._helper.check()
            raise ProbeError("the command helper does not answer") from None

    def _log_stderr(self, program: str, stderr: str) -> None:
        if not stderr.strip():
            return
        suppressed = self._stderr_log.admit(program)
        if suppressed is not None:
            more = f" (and {suppressed} more times)" if suppressed else ""
            log.info("%r wrote to standard error%s: %s", program, more, stderr.strip())
