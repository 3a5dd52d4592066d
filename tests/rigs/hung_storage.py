"""A file whose open() hangs, as on storage that does not answer.

fanotify(7): the kernel asks this process whether a file may be opened, and gets no answer.
"""

import ctypes
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FAN_CLOEXEC, FAN_NONBLOCK, FAN_CLASS_CONTENT = 0x1, 0x2, 0x4
FAN_MARK_ADD = 0x1
FAN_OPEN_PERM, FAN_OPEN_EXEC_PERM = 0x10000, 0x40000
AT_FDCWD = -100


@contextmanager
def hung(path: Path, *, exec_only: bool = False) -> Iterator[Callable[[], bool]]:
    """Until the end of the block, opening `path` (or executing it) does not return.

    Yields a function that returns whether a process hangs by now. Skips the test without
    CAP_SYS_ADMIN, which this needs.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    group = libc.fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK | FAN_CLASS_CONTENT, os.O_RDONLY)
    if group < 0:
        pytest.skip(f"fanotify is not allowed here: {os.strerror(ctypes.get_errno())}")
    try:
        event = FAN_OPEN_EXEC_PERM if exec_only else FAN_OPEN_PERM
        where = os.fsencode(path)
        mark = (group, FAN_MARK_ADD, ctypes.c_uint64(event), AT_FDCWD, where)
        if libc.fanotify_mark(*mark) < 0:
            pytest.skip(f"fanotify cannot hold opens: {os.strerror(ctypes.get_errno())}")
        yield lambda: bool(select.select([group], [], [], 0)[0])
    finally:
        os.close(group)
