"""Where an import reads from: a file or standard input; a server is for `importers.database`."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from dnslb_backend.errors import SourceError
from dnslb_backend.files import read_file

LARGEST = 64 << 20
"""Bytes of one source."""

STDIN = "-"
SCHEMES = ("mysql", "mariadb")


def read_text(source: str) -> str:
    """What is in a regular file, or comes from standard input for `-`. Raises SourceError."""
    data = _read_input() if source == STDIN else _read_file(source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{shown_name(source)}:{line}: is no UTF-8") from error


def _read_input() -> bytes:
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise SourceError(f"standard input: is larger than {LARGEST} bytes")
    return data


def _read_file(source: str) -> bytes:
    try:
        return read_file(Path(source), LARGEST)
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{source!r}: cannot be read: {error}") from error


def shown_name(source: str) -> str:
    """The source as a result names it: without directory, user or server."""
    if is_url(source):
        return f"database {urlsplit(source).path.strip('/')}"
    return "standard input" if source == STDIN else Path(source).name


def is_url(source: str) -> bool:
    return source.partition("://")[0] in SCHEMES and "://" in source
