"""`dnslb-backend` as forked by the fork server, an interpreter that has imported the package."""

import asyncio
import atexit
import functools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.rigs.waiting import END_LIMIT

ROOT = Path(__file__).parents[2]
FORK_SERVER = ("-m", "tests.rigs.fork_server")

DEFAULT_SIGINT = ("env", "--default-signal=INT")
"""In front of a command: Ctrl-C ends it, even where the tests run in the background of a script."""


class Child:
    """The part of asyncio.subprocess.Process that a rig needs."""

    def __init__(self, pid: int, news: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._watching = asyncio.create_task(self._watch(news))

    @classmethod
    async def born(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        out: int,
        err: int,
    ) -> Self:
        """Start `dnslb-backend` with these arguments, writing to these descriptors."""
        request = {"arguments": arguments, "environment": environment, "directory": str(directory)}
        news, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        news.setblocking(False)
        with theirs:
            socket.send_fds(
                _fork_server(), [json.dumps(request).encode()], [out, err, theirs.fileno()]
            )
        return cls(await _number(news), news)

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative where a signal ended it."""
        return await asyncio.shield(self._watching)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    async def _watch(self, news: socket.socket) -> int:
        with news:
            self.returncode = await _number(news)
            return self.returncode


async def _number(news: socket.socket) -> int:
    """The fork server's next message: first the process id, at last the exit code."""
    said = await asyncio.get_running_loop().sock_recv(news, 32)
    if not said:
        raise RuntimeError("the fork server exited; its output is above")
    return int(said)


@functools.cache
def _fork_server() -> socket.socket:
    """The fork server's input; it exits with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [*DEFAULT_SIGINT, "setpriv", "--pdeathsig", "KILL", sys.executable, *FORK_SERVER],
            stdin=theirs.fileno(),
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def end() -> None:
        ours.close()
        try:
            process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_LIMIT)

    atexit.register(end)
    return ours
