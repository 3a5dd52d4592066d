"""A program run to its end, its output in memory."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping

from tests.rigs.waiting import exit_code

LIMIT = 50.0
"""Seconds: less than a test may take."""


async def capture(
    *command: str,
    environment: Mapping[str, str] | None = None,
    merge: bool = False,
    within: float = LIMIT,
) -> tuple[int, bytes, bytes]:
    """The exit code and what was written to stdout and stderr; with `merge` all of it is stdout.

    TimeoutError, with the program killed, if it does not end `within` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT if merge else PIPE, env=environment
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        code = await exit_code(process)
    return code, out, err or b""
