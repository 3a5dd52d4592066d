"""Facts about processes, from proc(5)."""

import os
import secrets
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def nap() -> str:
    """A long and unique argument for `sleep`, to find its process by."""
    return f"1000.{secrets.randbelow(10**12):012}"


def running(argument: str) -> list[int]:
    """Processes (zombies are not) with this among their arguments, whole or as a part."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if argument.encode() in _read(pid, "cmdline")]


def living(pids: Iterable[str]) -> list[str]:
    """Those that still exist."""
    return [pid for pid in pids if Path("/proc", pid).exists()]


def children(script: str = "", *, of: int | None = None) -> list[int]:
    """The children of a process (our own), of any thread; with `script`, those that run it."""
    pids: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in list(Path(f"/proc/{of or os.getpid()}/task").iterdir()):
            # A thread may end during the scan: the children of the others still count.
            with suppress(FileNotFoundError, ProcessLookupError):
                pids += map(int, (task / "children").read_text().split())
    return [pid for pid in pids if script.encode() in _read(pid, "cmdline")]


def family(pid: int) -> list[int]:
    """A process and its descendants, including any that exit at this moment."""
    return [pid, *(member for child in children(of=pid) for member in family(child))]


def descriptors(pid: int | None = None) -> dict[str, str]:
    """The open file descriptors of a process (our own), and what they are."""
    found = {}
    for entry in Path(f"/proc/{pid or 'self'}/fd").iterdir():
        with suppress(FileNotFoundError):
            found[entry.name] = str(entry.readlink())
    return found


def open_files(pid: int) -> int:
    """The number of its open descriptors."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def thread_count(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def processor_time(pid: int) -> float:
    """Seconds of CPU time that it has used, all threads, user and system."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int | None = None) -> float:
    """Resident memory of a process in MB, by default of this one."""
    return _status(pid or os.getpid(), "VmRSS") / 1024


def peak_memory(pid: int) -> int:
    """Its peak resident memory in MiB."""
    return _status(pid, "VmHWM") // 1024


def signals(pid: int, kind: str) -> set[int]:
    """The signals that a process treats so: `SigIgn`, `SigBlk`, `SigCgt`."""
    lines = _read(pid, "status").decode().splitlines()
    mask = next((int(line.split()[1], 16) for line in lines if line.startswith(f"{kind}:")), 0)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def end(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _status(pid: int, name: str) -> int:
    """A figure in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    # A zombie has none.
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
