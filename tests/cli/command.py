"""Running `dnslb-backend` the way people do: a process, its output, its exit code."""

import asyncio
import os
import pty
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.cli.exit_codes import ExitCode
from tests.rigs.capture import LIMIT, capture
from tests.rigs.child import DEFAULT_SIGINT, Child
from tests.rigs.waiting import exit_code, until

PLAIN = {
    key: value
    for key, value in os.environ.items()
    if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")
}


MOST = 1 << 24
"""Bytes of output that are looked at."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dnslb_backend", *arguments]


async def run(*arguments: str) -> Ended:
    """Run the command to its end; its output goes to files."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = await Child.born(arguments, PLAIN, Path.cwd(), out=out.fileno(), err=err.fileno())
        try:
            code = await exit_code(child, LIMIT)
        except TimeoutError:
            child.send_signal(signal.SIGKILL)
            raise
        return _ended(code, *(os.pread(each.fileno(), MOST, 0) for each in (out, err)))


async def run_afresh(*arguments: str, inside: Sequence[str] = (), **environment: str) -> Ended:
    """As run(), in an interpreter that is started for it, behind the words `inside`."""
    return _ended(*await capture(*inside, *line(*arguments), environment={**PLAIN, **environment}))


def _ended(code: int, out: bytes, err: bytes) -> Ended:
    assert b"Traceback" not in err, err.decode()
    return Ended(code, out.decode(), err.decode())


async def run_on_terminal(
    *arguments: str, enough: str = "", interrupt: bool = False, **environment: str
) -> str:
    """What the command writes to a terminal; it is ended once it has written `enough`.

    With `interrupt` by Ctrl-C, which must end it with the code that shells know for that.
    """
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    settings = {**PLAIN, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    process = await asyncio.create_subprocess_exec(
        *DEFAULT_SIGINT,
        *line(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=settings,
    )
    os.close(theirs)
    written = bytearray()

    def is_enough() -> bool:
        try:
            written.extend(os.read(ours, 65536))
        except BlockingIOError:
            pass
        except OSError:
            return True
        return process.returncode is not None or bool(enough and enough in written.decode())

    try:
        await until(is_enough, what="the command has written enough")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT if interrupt else signal.SIGTERM)
        try:
            code = await exit_code(process)
            is_enough()
        except TimeoutError:
            process.kill()
            raise
        finally:
            os.close(ours)
    assert not interrupt or code == ExitCode.INTERRUPTED
    return written.decode()
