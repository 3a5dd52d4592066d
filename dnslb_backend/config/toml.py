"""TOML to tables: here, or in a process of its own.

The parser does not let other threads run until it has ended: a large file would hold up lookups for
as long as it takes. So its text goes to a process, which runs this file by itself, and the tables
come back in pieces.
"""

import contextlib
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

import tomli

DEEPEST = 20
"""Levels of tables and arrays within each other; no key needs half as many."""

TOO_DEEP = f"has tables or arrays on more than {DEEPEST} levels"

LARGE = 256 << 10
"""Bytes from which a process is worth its start."""

MANY = 32
"""Tables and arrays of more elements are sent in pieces, and so many pieces at once."""

BUFFER = 1 << 20
"""Bytes read from the pipe at once, instead of 8 kB. Each read releases the interpreter lock, too
briefly for a waiting thread to acquire it, but restarts its switch interval."""

_LENGTH = struct.Struct(">I")


class TomlError(ValueError):
    """The text is no TOML that can be used; says what is wrong with it."""


class Piece(NamedTuple):
    """A value, and the keys and indexes that lead to it."""

    path: tuple[str | int, ...]
    value: Any


def read_tables(content: bytes) -> dict[str, Any]:
    """The tables of a file. Raises TomlError. Blocks; other threads run meanwhile."""
    if len(content) >= LARGE:
        # A process that cannot start, or was killed, says nothing about the file.
        with contextlib.suppress(OSError, EOFError):
            return _read_apart(content)
    return parse(content)


def parse(content: bytes) -> dict[str, Any]:
    """The tables of a file, parsed in this process. Raises TomlError."""
    try:
        tables = tomli.loads(content.decode())
    except tomli.TOMLDecodeError as error:
        raise TomlError(f"is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise TomlError(f"is not UTF-8: {error.reason}") from error
    except ValueError as error:
        # Python refuses to read whole numbers of thousands of digits.
        raise TomlError(f"has an invalid number: {error}") from error
    except RecursionError as error:
        raise TomlError(TOO_DEEP) from error
    if _is_deeper(tables, DEEPEST):
        raise TomlError(TOO_DEEP)
    return tables


def _is_deeper(value: object, levels: int) -> bool:
    """Whether tables and arrays are nested more than so many levels deep."""
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (
        not levels or any(_is_deeper(part, levels - 1) for part in value)
    )


def _read_apart(content: bytes) -> dict[str, Any]:
    with subprocess.Popen(
        [sys.executable, "-I", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=BUFFER,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(content)
        process.stdin.close()
        found: dict[str, Any] = {}
        for path, value in _received(process.stdout):
            if not path:
                raise TomlError(value)
            *above, last = path
            holder: Any = found
            for step in above:
                holder = holder[step]
            if isinstance(holder, list):
                holder.append(value)
            else:
                holder[last] = value
    return found


def _received(stream: IO[bytes]) -> Iterator[Piece]:
    """The pieces that the process has written; EOFError where it did not come to its end."""
    while True:
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        if not length:
            return
        yield from map(Piece._make, pickle.loads(_exactly(stream, length)))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _pieces(value: Any, path: tuple[str | int, ...]) -> Iterator[Piece]:
    """What is in a table or an array, large ones emptied and followed by what is in them."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, dict | list) and _size(part) > MANY:
            yield Piece((*path, key), type(part)())
            yield from _pieces(part, (*path, key))
        else:
            yield Piece((*path, key), part)


def _size(value: Any) -> int:
    """How many values there are in a table or an array and in all within it."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 1
    return 1 + sum(map(_size, value))


def main() -> None:
    """Tables of the TOML on standard input, in pieces to standard output."""
    try:
        pieces = _pieces(parse(sys.stdin.buffer.read()), ())
    except TomlError as error:
        pieces = iter([Piece((), str(error))])
    while batch := [tuple(piece) for piece in islice(pieces, MANY)]:
        data = pickle.dumps(batch)
        sys.stdout.buffer.write(_LENGTH.pack(len(data)) + data)
    sys.stdout.buffer.write(_LENGTH.pack(0))


if __name__ == "__main__":
    main()
