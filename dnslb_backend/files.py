"""Regular files, read within bounds: a path from outside may name a FIFO, a device, or 1 TiB."""

import errno
import os
import stat
from pathlib import Path

DEFAULT_LIMIT = 16 << 20
"""Bytes."""


def read_file(path: Path, limit: int = DEFAULT_LIMIT) -> bytes:
    """All bytes of a regular file of at most `limit` bytes.

    Raises OSError, with an `strerror` fit for a message, also where `path` is no regular file or
    larger than `limit`. Opening never blocks on a FIFO; storage that hangs blocks the caller: in
    the daemon, call it through `run_blocking`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        data = bytearray()
        while chunk := file.read(limit + 1 - len(data)):
            data += chunk
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit} bytes", str(path))
    return bytes(data)
