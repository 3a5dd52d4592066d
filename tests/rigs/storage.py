"""Storage that hangs, as NFS does whose server is away: fanotify(7), for one file."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FAN_CLOEXEC = 0x1
FAN_CLASS_CONTENT = 0x4
FAN_MARK_ADD = 0x1
FAN_OPEN_PERM = 0x10000
FAN_OPEN_EXEC_PERM = 0x40000
AT_FDCWD = -100


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Whoever opens or executes `file` waits until the end of this; SIGKILL ends the wait."""
    libc = ctypes.CDLL(None, use_errno=True)
    group = libc.fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, os.O_RDONLY)
    if group < 0:
        pytest.skip(f"fanotify_init: {os.strerror(ctypes.get_errno())}")
    try:
        events = ctypes.c_uint64(FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM)
        path = os.fsencode(file)
        if libc.fanotify_mark(group, FAN_MARK_ADD, events, AT_FDCWD, path):
            pytest.skip(f"fanotify_mark: {os.strerror(ctypes.get_errno())}")
        # Nobody answers the group's questions; closing it answers all of them with yes.
        yield
    finally:
        os.close(group)
