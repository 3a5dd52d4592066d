"""The process that runs the commands of `exec` checks; the daemon starts it as a script.

Spawning costs the event loop up to a millisecond each time; here it costs nobody. Standard
library only, and nothing of this package: it must start fast and stay small.

Standard input is a socket to the daemon, one JSON object a line:

    {"id": 7, "argv": ["check", "192.0.2.1"]}       run it
    {"id": 7, "stop": "term"}                       end it: SIGTERM, SIGKILL a little later
    {"id": 7, "stop": "kill"}                       end it: SIGKILL

and back:

    {"ready": true}                                 once
    {"id": 7, "started": true}                      the command's time begins
    {"id": 7, "exit": 0, "output": "..", "cut": false}
    {"id": 7, "error": "cannot run 'check': .."}    a fault of ours, not of the target

A command has its own session. When it ends, or is ended, whatever it left behind is killed:
its process group, and whoever became an orphan (this process adopts them) unless another command
that is still running started it. When the daemon ends, everything ends.

Arguments: a token, the same for all lives of this helper of one daemon, and the number of lives
before this one. Commands carry the token in their environment, so that a second life finds and
kills what the first one could not.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

OUTPUT_LIMIT = 64 * 1024
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""

FLOOD_PAUSE = 0.005
"""A command that prints more than is kept is read this often (s): the full pipe slows it down."""

FLOOD_PIPE_SIZE = 256 * 1024
END_LIMIT = 2.0
MARK = "DNSLB_PROBE"

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


class Job:
    """One running command."""

    __slots__ = ("cut", "id", "kill_at", "output", "pid", "pipe", "silent")

    def __init__(self, job_id: int, pid: int, pipe: int) -> None:
        self.id = job_id
        self.pid = pid
        self.pipe = pipe
        self.output = bytearray()
        self.cut = False
        self.silent = False
        self.kill_at: float | None = None


class Spawner:
    """Runs until the daemon hangs up."""

    def __init__(self, control: socket.socket, token: str) -> None:
        self._control = control
        self._token = token
        self._jobs: dict[int, Job] = {}
        self._by_pid: dict[int, Job] = {}
        self._flooding: set[Job] = set()
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._selector = selectors.DefaultSelector()
        self._children = Path(f"/proc/self/task/{os.getpid()}/children")
        self._ended = False
        self._parent = os.getppid()

    def run(self) -> None:
        wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        self._control.setblocking(False)
        self._selector.register(self._control, selectors.EVENT_READ, self._hear)
        self._selector.register(wake, selectors.EVENT_READ, lambda: self._woken(wake))
        self._say({"ready": True})
        while not self._ended:
            for key, mask in self._selector.select(self._until_next()):
                if mask & selectors.EVENT_WRITE:
                    self._flush()
                if mask & selectors.EVENT_READ:
                    key.data()
            self._drain_floods()
            self._kill_stubborn()
        self._end_all(wake)

    def kill_leftovers(self) -> None:
        """Kill what an earlier life of this helper started and could not end."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                _kill_exactly(int(entry.name), self._token)

    # What the daemon says.

    def _hear(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended = True
            return
        self._inbox += data
        *lines, rest = self._inbox.split(b"\n")
        self._inbox = rest
        for line in lines:
            request = json.loads(line)
            if "argv" in request:
                self._start(request["id"], request["argv"])
            elif (job := self._jobs.get(request["id"])) is not None:
                self._stop(job, gently=request["stop"] == "term")

    def _say(self, message: dict[str, object]) -> None:
        self._outbox += json.dumps(message).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox:
                del self._outbox[: self._control.send(self._outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self._ended = True
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        if self._selector.get_key(self._control).events != events:
            self._selector.modify(self._control, events, self._hear)

    def _terminated(self, *_: object) -> None:
        # A service manager sends SIGTERM to every process of the service; the daemon, which may
        # still have checks to end, decides. Without a daemon it is the death signal asked for.
        self._ended = os.getppid() != self._parent

    # Commands.

    def _start(self, job_id: int, argv: list[str]) -> None:
        try:
            pid, pipe = self._spawn(job_id, argv)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._say({"id": job_id, "error": f"cannot run {argv[0]!r}: {reason}"})
            return
        job = Job(job_id, pid, pipe)
        self._jobs[job_id] = self._by_pid[pid] = job
        self._selector.register(pipe, selectors.EVENT_READ, lambda: self._read(job))
        self._say({"id": job_id, "started": True})

    def _spawn(self, job_id: int, argv: list[str]) -> tuple[int, int]:
        """Process id and the reading end of its standard output."""
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(read, False)
            pid = os.posix_spawnp(
                argv[0],
                argv,
                {**os.environ, MARK: f"{self._token}:{job_id}"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        return pid, read

    def _read(self, job: Job) -> None:
        """Take what is there, up to the limit; what comes after it is only drained."""
        if job.pipe < 0:
            return
        try:
            data = os.read(job.pipe, OUTPUT_LIMIT)
        except BlockingIOError:
            return
        if not data:
            self._close(job)
            return
        room = OUTPUT_LIMIT - len(job.output)
        job.output += data[:room]
        if len(data) > room:
            job.cut = True
            self._flood(job)

    def _flood(self, job: Job) -> None:
        self._selector.unregister(job.pipe)
        self._flooding.add(job)
        # A user may own only so many pages of pipes; a small one drains as well.
        with contextlib.suppress(OSError):
            fcntl.fcntl(job.pipe, fcntl.F_SETPIPE_SZ, FLOOD_PIPE_SIZE)

    def _drain_floods(self) -> None:
        for job in list(self._flooding):
            try:
                if not os.read(job.pipe, FLOOD_PIPE_SIZE):
                    self._close(job)
            except BlockingIOError:
                pass

    def _close(self, job: Job) -> None:
        if job in self._flooding:
            self._flooding.remove(job)
        else:
            self._selector.unregister(job.pipe)
        os.close(job.pipe)
        job.pipe = -1

    # Ends.

    def _stop(self, job: Job, gently: bool) -> None:
        job.silent = True
        if gently:
            # A stopped process hears SIGTERM only once it goes on.
            _signal_group(job.pid, signal.SIGTERM)
            _signal_group(job.pid, signal.SIGCONT)
            job.kill_at = time.monotonic() + GRACE
        else:
            job.kill_at = None
            _signal_group(job.pid, signal.SIGKILL)

    def _kill_stubborn(self) -> None:
        now = time.monotonic()
        for job in self._jobs.values():
            if job.kill_at is not None and job.kill_at <= now:
                job.kill_at = None
                _signal_group(job.pid, signal.SIGKILL)

    def _until_next(self) -> float | None:
        if self._flooding:
            return FLOOD_PAUSE
        ends = [job.kill_at for job in self._jobs.values() if job.kill_at is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _woken(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        self._reap()

    def _reap(self) -> None:
        reaped = False
        while (ended := _next_dead()) is not None:
            reaped = True
            job = self._by_pid.pop(ended.si_pid, None)
            if job is not None:
                # While its leader is not waited for, nobody else can have this group's number.
                _signal_group(job.pid, signal.SIGKILL)
                self._finish(job, ended)
            os.waitpid(ended.si_pid, 0)
        if reaped:
            self._kill_orphans()

    def _finish(self, job: Job, ended: os.waitid_result) -> None:
        if job.pipe >= 0:
            if job not in self._flooding:
                # The pipe of a command that has ended holds the end of what it said.
                self._read(job)
            if job.pipe >= 0:
                self._close(job)
        del self._jobs[job.id]
        if job.silent:
            return
        exited = ended.si_code == os.CLD_EXITED
        code = ended.si_status if exited else 128 + ended.si_status
        output = job.output.decode("utf-8", "ignore")
        self._say({"id": job.id, "exit": code, "output": output, "cut": job.cut})

    def _kill_orphans(self) -> None:
        for pid in self._adopted():
            if not self._belongs_to_running(pid):
                _signal(pid, signal.SIGKILL)

    def _adopted(self) -> list[int]:
        try:
            children = map(int, self._children.read_text().split())
        except OSError:
            # A kernel without this file: the group is all that can be ended.
            return []
        return [pid for pid in children if pid not in self._by_pid]

    def _belongs_to_running(self, pid: int) -> bool:
        try:
            if os.getsid(pid) in self._by_pid:
                return True
        except ProcessLookupError:
            return True
        mark = _mark_of(pid, self._token)
        return mark is not None and mark in self._jobs

    def _end_all(self, wake: int) -> None:
        for job in self._by_pid.values():
            job.silent = True
            _signal_group(job.pid, signal.SIGKILL)
        deadline = time.monotonic() + END_LIMIT
        deaths = selectors.DefaultSelector()
        deaths.register(wake, selectors.EVENT_READ)
        self._reap()
        while (self._by_pid or self._adopted()) and time.monotonic() < deadline:
            self._kill_orphans()
            deaths.select(0.1)
            self._woken(wake)


def _next_dead() -> os.waitid_result | None:
    """A child that has ended, still to be waited for."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def _mark_of(pid: int, token: str) -> int | None:
    """Which request of this token started the process; None: none that we know of."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    start = f"{MARK}={token}:".encode()
    for variable in environment.split(b"\0"):
        if variable.startswith(start):
            number = variable[len(start) :]
            return int(number) if number.isdigit() else None
    return None


def _kill_exactly(pid: int, token: str) -> None:
    """SIGKILL, unless the number has passed to a stranger meanwhile."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _mark_of(pid, token) is not None:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(pidfd)


def main(token: str, lives_before: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spawner = Spawner(socket.socket(fileno=0), token)
    if lives_before:
        spawner.kill_leftovers()
    spawner.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
