"""A program under test: started in its own directory, watched, and stopped by its pid."""

import asyncio
import os
import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.rigs.child import Child
from tests.rigs.waiting import exit_code, until

# Debian installs servers outside the PATH of an ordinary user.
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

TAIL = 60
"""Lines of a log that a failure shows."""

seen: "list[Server]" = []
"""The servers of the running test, for its failure report."""


class StartError(Exception):
    """A server exited or did not answer while starting; the text has its log."""


def executable(name: str) -> str:
    """The path of a program; FileNotFoundError with its name if it is not installed."""
    path = shutil.which(name, path=PATH)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: make setup-tests")
    return path


class Server(ABC):
    """One program, from `async with` to its end.

    `inside` is put before its command line, to run it in another place (a network namespace).
    It dies with the test process, however that ends.
    """

    name: ClassVar[str]
    start_limit: ClassVar[float] = 60.0
    stop_limit: ClassVar[float] = 10.0

    def __init__(
        self, *, inside: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.inside = list(inside)
        self.environment = {**os.environ, "PATH": PATH, **(environment or {})}
        # Short, because the path of a unix socket may have 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.process: Process | Child | None = None
        self._last_log = ""
        self._launched_at = 0
        seen.append(self)

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; what it refers to has been written to `directory`."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it is ready; polled until it is true."""

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int:
        """Process id; RuntimeError before the first start."""
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._started().returncode

    @property
    def log(self) -> str:
        """Its complete output, over all starts."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else self._last_log

    @property
    def latest_log(self) -> str:
        """Its output since the last start."""
        return self.log[self._launched_at :]

    @property
    def log_tail(self) -> str:
        return "\n".join(self.log.splitlines()[-TAIL:])

    async def logged(self, text: str, *, within: float = 30.0, after: int = 0) -> str:
        """The first line with `text`, past `after` characters of the log, once it is there."""

        def line() -> str:
            return next((line for line in self.log[after:].splitlines() if text in line), "")

        return await until(line, within=within, what=f"{text!r} in the log of {self.name}")

    async def launch(self) -> None:
        """Start it without waiting for it."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        self._launched_at = len(self.log)
        with (self.directory / "log").open("ab") as log:
            self.process = await self.begin(log.fileno())

    async def begin(self, log: int) -> Process | Child:
        """Start the process; what it writes goes to the descriptor `log`."""
        # The kernel kills it when the test process exits for any reason.
        guarded = [executable("setpriv"), "--pdeathsig", "KILL", *self.inside, *self.command()]
        return await asyncio.create_subprocess_exec(
            *guarded,
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            cwd=self.directory,
            env=self.environment,
        )

    async def start(self) -> None:
        """Start it, and wait until it answers; StartError with its log if it does not."""
        await self.launch()
        await self.up()

    async def up(self) -> None:
        """Wait until it answers; StartError with its log if it ends instead, or takes too long."""

        async def settled() -> bool:
            return not self.alive or await self.answers()

        try:
            await until(settled, within=self.start_limit)
        except TimeoutError:
            raise StartError(f"{self.name} does not answer:\n{self.log_tail}") from None
        if not self.alive:
            raise StartError(f"{self.name} ended ({self.exit_code}):\n{self.log_tail}")

    def signal(self, number: signal.Signals) -> None:
        self._started().send_signal(number)

    def pause(self) -> None:
        """Suspend it (SIGSTOP).

        Each of its threads has stopped, or waits in the kernel for what cannot be interrupted.
        """
        self.signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        while any(_state(thread) not in "TtZXD" for thread in threads.iterdir()):
            os.sched_yield()

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    async def wait(self, within: float | None = None) -> int:
        """Its exit code, once it has ended by itself; TimeoutError otherwise."""
        return await exit_code(self._started(), within or self.stop_limit)

    async def stop(self) -> int:
        """Stop it with SIGTERM and return its exit code; TimeoutError if it does not exit."""
        if self.alive:
            self.resume()
            self.signal(signal.SIGTERM)
        return await self.wait()

    async def kill(self) -> None:
        """Kill it (SIGKILL)."""
        if self.alive:
            self.signal(signal.SIGKILL)
            await exit_code(self._started())

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        """Stop it and remove its directory; only its log is kept."""
        try:
            if self.alive:
                await self.stop()
        except TimeoutError:
            await self.kill()
        finally:
            self._last_log = self.log
            shutil.rmtree(self.directory, ignore_errors=True)

    def _started(self) -> Process | Child:
        if self.process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.process


def _state(thread: Path) -> str:
    """Its state, in one letter (proc_pid_stat(5)); T also if it is gone."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "T"
