"""What a test left behind: processes and file descriptors."""

import os
import secrets
import signal
from contextlib import suppress
from pathlib import Path


def nap() -> str:
    """An argument for `sleep` that is far away and unlike any other: its process can be found."""
    return f"1000.{secrets.randbelow(10**12):012}"


def running(argument: str) -> list[int]:
    """Processes (zombies are not) with this among their arguments, whole or as a part."""
    return [pid for pid in _pids() if argument.encode() in _read(pid, "cmdline")]


def children(script: str = "") -> list[int]:
    """Our own children, of any thread; with `script`, those that run it."""
    return [
        pid
        for pid in _pids()
        if _parent(pid) == os.getpid() and script.encode() in _read(pid, "cmdline")
    ]


def descriptors(pid: int | None = None) -> dict[str, str]:
    """The open file descriptors of a process (our own), and what they are."""
    found = {}
    for entry in Path(f"/proc/{pid or 'self'}/fd").iterdir():
        with suppress(FileNotFoundError):
            found[entry.name] = str(entry.readlink())
    return found


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    status = _read(pid, "stat")
    return int(status.rpartition(b")")[2].split()[1]) if status else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
