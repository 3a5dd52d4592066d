"""What the system tells of processes: proc(5)."""

import os
import secrets
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def nap() -> str:
    """An argument for `sleep` that is far away and unlike any other: its process can be found."""
    return f"1000.{secrets.randbelow(10**12):012}"


def running(argument: str) -> list[int]:
    """Processes (zombies are not) with this among their arguments, whole or as a part."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if argument.encode() in _read(pid, "cmdline")]


def living(pids: Iterable[str]) -> list[str]:
    """Those that exist still."""
    return [pid for pid in pids if Path("/proc", pid).exists()]


def children(script: str = "", *, of: int | None = None) -> list[int]:
    """The children of a process (our own), of any thread; with `script`, those that run it."""
    pids: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in list(Path(f"/proc/{of or os.getpid()}/task").iterdir()):
            # A thread may end while it is looked at: those of the others count all the same.
            with suppress(FileNotFoundError, ProcessLookupError):
                pids += map(int, (task / "children").read_text().split())
    return [pid for pid in pids if script.encode() in _read(pid, "cmdline")]


def family(pid: int) -> list[int]:
    """A process and its descendants, also such that end in this moment."""
    return [pid, *(member for child in children(of=pid) for member in family(child))]


def descriptors(pid: int | None = None) -> dict[str, str]:
    """The open file descriptors of a process (our own), and what they are."""
    found = {}
    for entry in Path(f"/proc/{pid or 'self'}/fd").iterdir():
        with suppress(FileNotFoundError):
            found[entry.name] = str(entry.readlink())
    return found


def open_files(pid: int) -> int:
    """How many descriptors it holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def thread_count(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def processor_time(pid: int) -> float:
    """Seconds of processor time that it has used, all threads, the system's on its behalf too."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int | None = None) -> float:
    """Megabytes of memory that a process holds, by default this one."""
    return _status(pid or os.getpid(), "VmRSS") / 1024


def peak_memory(pid: int) -> int:
    """The most memory it ever used, in MiB."""
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
    # Of a process that has ended and was not waited for there is none.
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
