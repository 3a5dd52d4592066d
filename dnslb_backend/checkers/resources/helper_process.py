"""A helper process for what would stop the event loop, spoken to in lines of JSON.

The process runs a script of the standard library; the socket to the daemon is its standard
input. It says `{"ready": true}` once, then answers requests by their `id`. It is started when
first needed, and again, with back-off, when it died; what was in flight then is our fault.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.processes import children
from dnslb_backend.tasks import BackgroundTasks

log = logging.getLogger(__name__)

Message = dict[str, Any]

START_LIMIT = 10.0
"""A process that is not ready by then (s) is given up."""

SEND_TIMEOUT = 5.0
"""How long (s) one call waits for a process that is being started."""

PING_LIMIT = 3.0
"""A process that does not answer a ping within so many seconds is restarted."""

STOP_LIMIT = 3.0
KILL_LIMIT = 1.0
"""What is still there so long (s) after SIGKILL hangs in the kernel: it is left to it."""

BACKLOG_LIMIT = 8 << 20
"""Bytes waiting for a helper that does not read them: it hangs, and is restarted."""

SERVICE_VARIABLES = frozenset(
    {
        "CREDENTIALS_DIRECTORY",
        "FDSTORE",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_PIDFDID",
        "MAINPID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)
"""What a service manager says to the daemon alone; no helper or command inherits it."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
LONG_LIFE = 10.0
"""A process that lived this long (s) resets the back-off."""


_pids: set[int] = set()
"""Helper processes; their end is waited for here."""


def reap_orphans(*_: object) -> None:
    """Wait for children that no one here has started: process 1 of a container inherits them."""
    for pid in children():
        if pid not in _pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


class EndedError(ProbeError):
    """The process ended before it answered; `signal` is what ended it, 0 if it exited."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} ended while it was needed")
        self.signal = number


class Call:
    """One request in flight: its answers in order of arrival, and further words about it."""

    def __init__(self, process: "_Process", call_id: int) -> None:
        self._process = process
        self._id = call_id
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()

    async def response(self) -> Message:
        """The next answer; raises ProbeError when there will be none, or it says `error`."""
        message = await self._answers.get()
        if message is None:
            raise EndedError(self._process.name, self._process.end_signal)
        if "error" in message:
            raise ProbeError(str(message["error"]))
        return message

    def send(self, message: Message) -> None:
        self._process.send({**message, "id": self._id})

    def put(self, message: Message | None) -> None:
        self._answers.put_nowait(message)


class _Process(asyncio.Protocol):
    """One life of the helper."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.born = loop.time()
        self.ended = asyncio.Event()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.calls: dict[int, Call] = {}
        self.end_signal = 0
        self._loop = loop
        self._pid = 0
        self._pidfd = -1
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    @property
    def usable(self) -> bool:
        return self.ready.done() and not self.ended.is_set()

    def run(self, argv: list[str], control: socket.socket) -> None:
        """Start the process with `control` as its standard input."""
        self._pid = os.posix_spawn(
            argv[0],
            argv,
            {name: v for name, v in os.environ.items() if name not in SERVICE_VARIABLES},
            file_actions=[(os.POSIX_SPAWN_DUP2, control.fileno(), 0)],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2],
        )
        _pids.add(self._pid)
        try:
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:
            # Its end would not be noticed: it must not live.
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            _pids.discard(self._pid)
            raise
        self._loop.add_reader(self._pidfd, self._exited)

    def send(self, message: Message) -> None:
        if self._transport is None or self.ended.is_set():
            return
        self._transport.write(json.dumps(message).encode() + b"\n")
        if self._transport.get_write_buffer_size() > BACKLOG_LIMIT:
            log.error("%s does not read requests; restarting it", self.name)
            self.kill()

    def hang_up(self) -> None:
        """Close our side of the socket: the process cleans up and ends."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: the transports of uvloop do not derive from those of asyncio.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        for line in lines:
            self._heard(json.loads(line))

    def _heard(self, message: Message) -> None:
        if "ready" in message and not self.ready.done():
            self.ready.set_result(None)
        elif (call := self.calls.get(message.get("id", -1))) is not None:
            call.put(message)

    def connection_lost(self, exc: Exception | None) -> None:
        # Nothing can be asked of it any more, but after `hang_up` it still has work to end.
        if exc is not None:
            self.kill()

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        _, status = os.waitpid(self._pid, 0)
        _pids.discard(self._pid)
        self.end_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        os.close(self._pidfd)
        self._pidfd = -1
        self.ended.set()
        if self._transport is not None:
            self._transport.abort()
        if not self.ready.done():
            self.ready.set_exception(ProbeError(f"{self.name} ended at its start"))
            self.ready.exception()
        for call in self.calls.values():
            call.put(None)


class HelperProcess:
    """Keeps one process of `script` alive for as long as it is asked for things."""

    def __init__(self, name: str, script: Path, *arguments: str) -> None:
        self._name = name
        self._argv = [sys.executable, "-I", "-S", str(script), *arguments]
        self._process: _Process | None = None
        self._start: asyncio.Task[_Process] | None = None
        self._tasks = BackgroundTasks("check")
        self._ids = itertools.count(1)
        self._pause = 0.0
        self._not_before = 0.0
        self._starts = 0
        self._check: asyncio.Task[None] | None = None
        self._dying: set[_Process] = set()
        self._closed = False

    @asynccontextmanager
    async def call(self, request: Message) -> AsyncIterator[Call]:
        """Send a request; raises ProbeError when no helper runs and none can be started."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                process = await self._running()
        except TimeoutError:
            raise ProbeError(f"{self._name} is slow to start") from None
        call_id = next(self._ids)
        call = process.calls[call_id] = Call(process, call_id)
        try:
            call.send(request)
            yield call
        finally:
            del process.calls[call_id]

    @property
    def lingering(self) -> int:
        """How many processes were killed and have not ended yet."""
        return sum(not process.ended.is_set() for process in self._dying)

    def replace(self) -> None:
        """Kill the process: it is stuck in a request. The next call starts another at once."""
        if self._process is not None:
            self._process.kill()
            self._dying = {process for process in self._dying if not process.ended.is_set()}
            self._dying.add(self._process)
            self._process = None

    def check(self) -> None:
        """Ping the process, whose answer is overdue, and restart it if it does not answer that."""
        if self._check is None and self._process is not None and not self._closed:
            self._check = self._tasks.start(self._ping(self._process), f"ping {self._name}")

    async def _ping(self, process: _Process) -> None:
        call_id = next(self._ids)
        call = process.calls[call_id] = Call(process, call_id)
        try:
            call.send({"ping": True})
            async with asyncio.timeout(PING_LIMIT):
                await call.response()
        except ProbeError:
            return
        except TimeoutError:
            if process is self._process:
                log.error("%s does not answer; restarting it", self._name)
                self.replace()
        finally:
            del process.calls[call_id]
            self._check = None

    async def close(self) -> None:
        """End the process and all that it runs; at most STOP_LIMIT seconds."""
        self._closed = True
        if self._start is not None:
            with contextlib.suppress(ProbeError, OSError, TimeoutError):
                self._process = await self._start
        await self._tasks.close()
        if self._process is not None:
            self._process.hang_up()
            self._dying.add(self._process)
        try:
            async with asyncio.timeout(STOP_LIMIT):
                await self._all_ended()
        except TimeoutError:
            log.error("%s did not end by itself; killing it", self._name)
            self.replace()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KILL_LIMIT):
                    await self._all_ended()

    async def _all_ended(self) -> None:
        for process in self._dying:
            await process.ended.wait()

    async def _running(self) -> _Process:
        if self._closed:
            raise ProbeError(f"{self._name} is closed")
        if self._process is not None and self._process.usable:
            return self._process
        if self._start is None:
            self._start = self._tasks.share(self._begin(), f"start {self._name}")
            self._start.add_done_callback(self._begun)
        # A caller that is cancelled must not take the start away from the others.
        return await asyncio.shield(self._start)

    def _begun(self, _: asyncio.Task[_Process]) -> None:
        self._start = None

    async def _begin(self) -> _Process:
        loop = asyncio.get_running_loop()
        self._back_off(loop.time())
        ours, theirs = socket.socketpair()
        process = _Process(self._name, loop)
        with theirs:
            ours.setblocking(False)
            await loop.create_unix_connection(lambda: process, sock=ours)
            try:
                process.run([*self._argv, str(self._starts)], theirs)
            except OSError:
                process.hang_up()
                raise
        self._starts += 1
        self._process = process
        try:
            async with asyncio.timeout(START_LIMIT):
                await process.ready
        except TimeoutError:
            process.kill()
            raise ProbeError(f"{self._name} did not start within {START_LIMIT:g} s") from None
        return process

    def _back_off(self, now: float) -> None:
        """Raise ProbeError while it is too early for another start after a death."""
        dead = self._process
        if dead is None:
            return
        if now - dead.born > LONG_LIFE:
            self._pause = 0.0
        if self._not_before <= dead.born:
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._not_before = now + self._pause
            log.error("%s died; restarting it in %g s", self._name, self._pause)
        if now < self._not_before:
            raise ProbeError(f"{self._name} died and is about to be restarted")
