"""/etc/hosts as getaddrinfo reads it: every line by itself, by its name and its aliases.

c-ares joins lines that share a name or an address, so that a name would be given the addresses
of another one.
"""

import asyncio
import ipaddress
import logging
import math
import socket
from pathlib import Path
from typing import Literal

from dnslb_backend.blocking import run_blocking
from dnslb_backend.files import read_file

log = logging.getLogger(__name__)

PATH = Path("/etc/hosts")

CHECK_INTERVAL = 0.5
"""Seconds for which the file counts as unchanged."""

READ_TIMEOUT = 0.5
RETRY_INTERVAL = 10.0
"""Seconds until a file that could not be read is tried again."""

Family = Literal["A", "AAAA"]
Stamp = tuple[int, int, int]
Lines = dict[bytes, list[str]]


class HostsFile:
    """The addresses in a hosts file, which is read again when it changes."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._lines: Lines | None = None
        self._error: OSError | None = None
        self._next_check = -math.inf
        self._checking = asyncio.Lock()

    async def addresses(self, host: str, family: Family) -> set[str]:
        """What the file says of a name, in any case; nothing where there is no file.

        Raises OSError (TimeoutError is one) where the file was never read and cannot be. Later on,
        what was read last holds.
        """
        loop = asyncio.get_running_loop()
        async with self._checking:
            if loop.time() >= self._next_check:
                await self._check()
                pause = CHECK_INTERVAL if self._error is None else RETRY_INTERVAL
                self._next_check = loop.time() + pause
        if self._lines is None:
            raise self._error or OSError("was not read")
        written = self._lines.get(host.encode(errors="replace").lower(), ())
        return {address for text in written if (address := _address(text, family))}

    async def _check(self) -> None:
        stamp, lines = self._stamp, self._lines
        try:
            found = await run_blocking(lambda: _read(self._path, stamp, lines), READ_TIMEOUT)
        except OSError as error:
            if self._error is None:
                log.error("%s: cannot be read: %s", self._path, error.strerror or "timed out")
            self._error = error
        else:
            (self._stamp, self._lines), self._error = found, None


def _read(path: Path, stamp: Stamp | None, lines: Lines | None) -> tuple[Stamp | None, Lines]:
    """The stamp and the lines of a file; `lines` where they are those of `stamp`. It blocks."""
    try:
        status = path.stat()
        found = (status.st_mtime_ns, status.st_size, status.st_ino)
        if lines is not None and found == stamp:
            return stamp, lines
        return found, parse(read_file(path))
    except FileNotFoundError:
        return None, {}


def parse(data: bytes) -> Lines:
    """The addresses of each name in lower case, as they are written, in the order of the lines."""
    lines: Lines = {}
    for line in data.split(b"\n"):
        address, *names = line.partition(b"#")[0].split() or [b""]
        for name in dict.fromkeys(name.lower() for name in names):
            lines.setdefault(name, []).append(address.decode("ascii", "replace"))
    return lines


def _address(text: str, family: Family) -> str | None:
    """The address of a line in canonical text, if it has one of this family.

    As in glibc, an IPv4-mapped address and `::1` count as IPv4 as well.
    """
    try:
        if family == "AAAA":
            packed = socket.inet_pton(socket.AF_INET6, text)
            return str(ipaddress.IPv6Address(packed))
        if ":" not in text:
            return socket.inet_ntoa(socket.inet_pton(socket.AF_INET, text))
        address = ipaddress.IPv6Address(socket.inet_pton(socket.AF_INET6, text))
    except OSError:
        return None
    if address.is_loopback:
        return "127.0.0.1"
    return str(address.ipv4_mapped) if address.ipv4_mapped else None
