"""What /proc tells of a process."""

from collections.abc import Iterable
from pathlib import Path


def open_files(pid: int) -> int:
    """How many descriptors it holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def peak_memory(pid: int) -> int:
    """The most memory it ever used, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def living(pids: Iterable[str]) -> list[str]:
    """Those that exist still."""
    return [pid for pid in pids if Path("/proc", pid).exists()]
