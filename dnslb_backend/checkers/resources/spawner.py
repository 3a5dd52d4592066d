"""The process that runs the commands of `exec` checks; the daemon starts it as a script.

Starting a command costs the event loop up to a millisecond each time; here it delays no lookup.
Standard library only, and nothing of this package: it must start fast and stay small.

Standard input is a socket to the daemon, one JSON object a line:

    {"id": 7, "argv": ["check", "192.0.2.1"], "limit": 1.5}     run it, for at most 1.5 s
    {"id": 7, …, "input": "text", "environment": {"A": "b"}}    with this on its standard input
    {"id": 7, "stop": true}                                     kill it
    {"id": 8, "ping": true}                                     does this process run?

and back:

    {"ready": true}                                 once
    {"id": 7, "started": true}                      the command's time begins
    {"id": 7, "exit": 0, "signal": 0, "output": "..", "cut": false, "stderr": ".."}
    {"id": 7, "timeout": true, "stderr": ".."}      not ended within its limit
    {"id": 7, "error": "cannot run 'check': .."}    a fault of ours, not of the target
    {"id": 8, "pong": true}

Time is kept here, where it can be known whether a command had it: a process that did not run
when a limit was due says so, and calls nothing a timeout.

A command is forked, not spawned: until it has loaded its program, which takes for ever where the
storage hangs, posix_spawn(3) would stop this process, and all other commands with it.

A command has its own session. When it ends, or is ended (SIGTERM, a second later SIGKILL),
whatever it left behind is killed: its process group, and every process that became an orphan
(this process adopts them) unless another command that is still running started it. When the daemon
ends, everything ends.

Arguments: a token, the same for all lives of this helper of one daemon, and the number of lives
before this one. Commands carry the token in their environment, so that a second life finds and
kills what the first one could not.
"""

import contextlib
import ctypes
import errno
import fcntl
import gc
import heapq
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

# Started with -I and -S, for a start in a few milliseconds: nothing is found by itself.
sys.path.append(str(Path(__file__).parents[3]))

from dnslb_backend.checkers.resources.daemon_channel import DaemonChannel
from dnslb_backend.checkers.resources.jobs import OUTPUT_LIMIT, STDERR_LIMIT, Job, Stream
from dnslb_backend.checkers.resources.processes import (
    MARK,
    children,
    kill_marked,
    next_dead,
    number_of,
    signal_group,
    signal_process,
)

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""

LOAD_ALLOWANCE = 2.0
"""Loading a program may take so much (s) longer than the command's limit."""

STALL_ALLOWANCE = 0.5
"""A limit noticed so much (s) too late means that this process did not run when it was due."""

STUCK_AFTER = 2.0
"""A command that is there so long (s) after SIGKILL hangs in the kernel: it is not run again."""

FLOOD_PAUSE = 0.005
"""A command that prints more than is kept is read this often (s): the full pipe slows it down."""

FLOOD_PIPE_SIZE = 256 * 1024
END_LIMIT = 2.0

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Spawner:
    """Runs until the daemon hangs up."""

    def __init__(self, control: socket.socket, token: str) -> None:
        self._token = token
        self._jobs: dict[int, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._flooding: set[Stream] = set()
        self._killed: set[Job] = set()
        self._timers: list[tuple[float, int]] = []
        self._selector = selectors.DefaultSelector()
        self._daemon = DaemonChannel(control, self._selector, self._handle)
        self._environment = dict(os.environ)
        self._parent = os.getppid()

    def run(self) -> None:
        wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            # Python ignores these, and so would every command; a handler ends with execve(2).
            signal.signal(ignored, lambda *_: None)
        self._selector.register(wake, selectors.EVENT_READ, lambda: self._woken(wake))
        self._daemon.send({"ready": True})
        while not self._daemon.closed:
            for key, mask in self._selector.select(self._until_next()):
                if mask & selectors.EVENT_WRITE:
                    self._daemon.flush()
                if mask & selectors.EVENT_READ:
                    key.data()
            self._drain_floods()
            self._look_at_the_clock()
        self._end_all(wake)

    # Requests.

    def _handle(self, request: dict[str, Any]) -> None:
        if "argv" in request:
            self._start(Job(request))
        elif "ping" in request:
            self._daemon.send({"id": request["id"], "pong": True})
        elif (job := self._jobs.get(request["id"])) is not None:
            job.silent = True
            self._kill(job)

    def _terminated(self, *_: object) -> None:
        # A service manager sends SIGTERM to every process of the service; the daemon, which may
        # still have checks to end, decides. Without a daemon it is the death signal asked for.
        self._daemon.closed = os.getppid() != self._parent

    # Starts.

    def _start(self, job: Job) -> None:
        try:
            self._refuse_stuck(job)
            job.fork({**self._environment, MARK: f"{self._token}:{job.id}"})
        except OSError as error:
            self._daemon.send(_cannot_run(job, error.strerror or str(error)))
            return
        self._jobs[job.id] = self._by_pid[job.pid] = job
        self._selector.register(
            job.starting.pipe, selectors.EVENT_READ, lambda: self._read_start(job)
        )
        for stream in job.streams:
            self._watch(stream)
        self._wake_at(job, time.monotonic() + job.limit + LOAD_ALLOWANCE)

    def _refuse_stuck(self, job: Job) -> None:
        """Raise OSError where an earlier run cannot even be killed: they must not pile up."""
        now = time.monotonic()
        for earlier in self._killed:
            if earlier.argv == job.argv and now - (earlier.killed_at or now) > STUCK_AFTER:
                raise OSError(
                    errno.EBUSY, "an earlier run hangs in the kernel, in spite of SIGKILL"
                )

    def _read_start(self, job: Job) -> None:
        """The child says why it cannot run its program; loading it ends the pipe without a word."""
        if job.starting.pipe < 0:
            return
        if job.starting.read(STDERR_LIMIT) and not job.starting.data:
            return
        self._selector.unregister(job.starting.pipe)
        _close(job.starting)
        if job.silent:
            return
        if job.starting.data:
            job.silent = True
            self._daemon.send(_cannot_run(job, job.starting.text()))
        else:
            self._wake_at(job, time.monotonic() + job.limit)
            self._daemon.send({"id": job.id, "started": True})

    # Output.

    def _watch(self, stream: Stream) -> None:
        self._selector.register(stream.pipe, selectors.EVENT_READ, lambda: self._read(stream))

    def _read(self, stream: Stream) -> None:
        """Take what is there, up to the limit; what comes after it is only drained."""
        if stream.pipe < 0:
            return
        if not stream.read(OUTPUT_LIMIT):
            self._close(stream)
        elif stream.cut:
            self._flood(stream)

    def _flood(self, stream: Stream) -> None:
        self._selector.unregister(stream.pipe)
        self._flooding.add(stream)
        # A user may own only so many pages of pipes; a small one drains as well.
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.pipe, fcntl.F_SETPIPE_SZ, FLOOD_PIPE_SIZE)

    def _drain_floods(self) -> None:
        for stream in list(self._flooding):
            if not stream.read(FLOOD_PIPE_SIZE):
                self._close(stream)

    def _close(self, stream: Stream) -> None:
        if stream in self._flooding:
            self._flooding.remove(stream)
        else:
            self._selector.unregister(stream.pipe)
        _close(stream)

    # Limits of time.

    def _wake_at(self, job: Job, due: float) -> None:
        job.due = due
        heapq.heappush(self._timers, (due, job.id))

    def _until_next(self) -> float | None:
        if self._flooding:
            return FLOOD_PAUSE
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if not self._timers or self._timers[0][0] > now:
            return
        # What ended in time is not to be called late.
        self._reap()
        while self._timers and self._timers[0][0] <= now:
            due, job_id = heapq.heappop(self._timers)
            job = self._jobs.get(job_id)
            if job is not None and job.due == due:
                self._overdue(job, now - due)

    def _overdue(self, job: Job, late: float) -> None:
        """
        | state | what happens |
        |---|---|
        | SIGTERM was sent | SIGKILL |
        | its program is not loaded yet | error, SIGKILL |
        | this process stalled | error, SIGTERM |
        | else | timeout, SIGTERM |
        """
        if job.silent:
            self._kill(job)
            return
        job.silent = True
        if job.starting.pipe >= 0:
            self._daemon.send(_cannot_run(job, "its program is not loaded: the storage hangs"))
            self._kill(job)
            return
        if late > STALL_ALLOWANCE:
            reason = f"the command helper stalled for {late:.1f} s during the probe"
            self._daemon.send({"id": job.id, "error": reason})
        else:
            _, stderr = job.streams
            self._daemon.send({"id": job.id, "timeout": True, "stderr": stderr.text()})
        # A stopped process gets SIGTERM only once it continues.
        signal_group(job.pid, signal.SIGTERM)
        signal_group(job.pid, signal.SIGCONT)
        self._wake_at(job, time.monotonic() + GRACE)

    def _kill(self, job: Job) -> None:
        job.due = None
        job.killed_at = job.killed_at or time.monotonic()
        self._killed.add(job)
        signal_group(job.pid, signal.SIGKILL)

    # Ends.

    def _woken(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        self._reap()

    def _reap(self) -> None:
        reaped = False
        while (ended := next_dead()) is not None:
            reaped = True
            job = self._by_pid.pop(ended.si_pid, None)
            if job is not None:
                # While its leader is not waited for, no other group can have its number.
                signal_group(job.pid, signal.SIGKILL)
                self._finish(job, ended)
            os.waitpid(ended.si_pid, 0)
        if reaped:
            self._kill_orphans()

    def _finish(self, job: Job, ended: os.waitid_result) -> None:
        if job.starting.pipe >= 0:
            self._read_start(job)
        for stream in job.streams:
            if stream.pipe >= 0 and stream not in self._flooding:
                # The pipe of a command that has ended holds the end of what it said.
                self._read(stream)
            if stream.pipe >= 0:
                self._close(stream)
        del self._jobs[job.id]
        self._killed.discard(job)
        if job.silent:
            return
        number = 0 if ended.si_code == os.CLD_EXITED else ended.si_status
        output, stderr = job.streams
        self._daemon.send(
            {
                "id": job.id,
                "exit": 128 + number if number else ended.si_status,
                "signal": number,
                "output": output.text(),
                "cut": output.cut,
                "stderr": stderr.text(),
            }
        )

    def _kill_orphans(self) -> None:
        for pid in children():
            if pid not in self._by_pid and not self._belongs_to_running(pid):
                signal_process(pid, signal.SIGKILL)

    def _belongs_to_running(self, pid: int) -> bool:
        try:
            if os.getsid(pid) in self._by_pid:
                return True
        except ProcessLookupError:
            return True
        return number_of(pid, self._token) in self._jobs

    def _end_all(self, wake: int) -> None:
        for job in self._by_pid.values():
            job.silent = True
            signal_group(job.pid, signal.SIGKILL)
        deadline = time.monotonic() + END_LIMIT
        deaths = selectors.DefaultSelector()
        deaths.register(wake, selectors.EVENT_READ)
        self._reap()
        while (self._by_pid or children()) and time.monotonic() < deadline:
            for pid in children():
                signal_process(pid, signal.SIGKILL)
            deaths.select(0.1)
            self._woken(wake)


def _close(stream: Stream) -> None:
    os.close(stream.pipe)
    stream.pipe = -1


def _cannot_run(job: Job, reason: str) -> dict[str, object]:
    return {"id": job.id, "error": f"cannot run {job.argv[0]!r}: {reason}"}


def main(token: str, lives_before: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spawner = Spawner(socket.socket(fileno=0), token)
    if lives_before:
        kill_marked(token)
    # What is never looked at is never copied into a fork.
    gc.freeze()
    spawner.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
