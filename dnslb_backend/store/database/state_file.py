"""The files of one SQLite database: which they are, and how they are set aside."""

import contextlib
import logging
import os
import stat
from pathlib import Path

log = logging.getLogger(__name__)

APPLICATION_ID = 0x646E6C62
"""In the header of every file of this program: "dnlb"."""

APPLICATION_ID_AT = 68
"""Where it is in the header of an SQLite file, in 4 bytes."""

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
"""For the owner alone."""

Identities = tuple[tuple[int, int] | None, ...]
"""Device and inode of the files of a database, None for one that cannot be reached."""


class ForeignError(Exception):
    """What is at the path does not belong to this program."""


def beside(path: Path) -> list[Path]:
    """The file itself, and what SQLite puts beside it while it is open."""
    real = Path(os.path.realpath(path))
    return [real.with_name(real.name + suffix) for suffix in ("", "-wal", "-shm")]


def aside_of(path: Path) -> Path:
    """Where a file that cannot be used is put."""
    real = beside(path)[0]
    return real.with_name(f"{real.name}.aside")


def identities(path: Path) -> Identities:
    return tuple(map(_identity, beside(path)))


def content_stamp(path: Path) -> tuple[int, int] | None:
    """What changes with a write into the file itself; None if it cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_folder(folder: Path) -> None:
    """As `mkdir -p`, for the owner alone whatever the umask. Raises OSError."""
    try:
        folder.mkdir(PRIVATE_FOLDER)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    log.warning("created the folder %s for [state] path", folder)


def create(path: Path) -> None:
    """Make an empty file; SQLite gives what it puts beside it the same mode. Raises OSError."""
    os.close(os.open(beside(path)[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))


def set_aside(path: Path, aside: Path) -> None:
    """Rename the files; those set aside before are deleted. Raises OSError."""
    for source, target in zip(beside(path), beside(aside), strict=True):
        with contextlib.suppress(FileNotFoundError):
            # SQLite would take the -wal file of another database for this one's.
            target.unlink()
        with contextlib.suppress(FileNotFoundError):
            source.replace(target)


def refuse_special(path: Path) -> None:
    """Raises ForeignError for a folder, a device or a FIFO, which must not be renamed."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ForeignError("it is no regular file")


def make_way(path: Path, aside: Path, files: Identities) -> bool:
    """Clear the path, at which is none of `files` any more; whether anything was set aside.

    What is left of `files` beside it is deleted: it belongs to no other file. Raises OSError, and
    ForeignError where the database of another program is at the path, or no regular file.
    """
    for each, known in list(zip(beside(path), files, strict=True))[1:]:
        if known is not None and _identity(each) == known:
            each.unlink(missing_ok=True)
    if _identity(path) is None:
        return False
    refuse_special(path)
    with path.open("rb") as file:
        head = file.read(APPLICATION_ID_AT + 4)
    owner = int.from_bytes(head[APPLICATION_ID_AT:])
    if head.startswith(b"SQLite format 3") and owner != APPLICATION_ID:
        raise ForeignError("it is the database of another program")
    set_aside(path, aside)
    return True
