"""Processes as the system shows them, for the helper of commands. Standard library only."""

import errno
import os
import signal
from pathlib import Path

MARK = "DNSLB_PROBE"
"""The environment variable that says whose a process is: TOKEN:NUMBER."""


def next_dead() -> os.waitid_result | None:
    """A child that has ended, still to be waited for."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None


def signal_group(pid: int, number: int) -> None:
    """Signal the process group of a child that is not waited for yet."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # It was forked a moment ago, and is still in our group.
        signal_process(pid, number)
    except PermissionError:
        return


def signal_process(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def children() -> list[int]:
    """Those of this process; none on a kernel that does not list them."""
    try:
        return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return []


def number_of(pid: int, token: str) -> int | None:
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


def kill_marked(token: str) -> None:
    """SIGKILL every process that carries this token."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            _kill_marked(int(entry.name), token)


def _kill_marked(pid: int, token: str) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # Looked at through the descriptor: the number may have passed to a stranger meanwhile.
        if number_of(pid, token) is not None:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(pidfd)
