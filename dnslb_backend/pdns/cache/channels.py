"""The ways to make a PowerDNS forget, and notify: its control socket, and its HTTP API.

control socket   `purge NAME. NAME.$ ...`, `$` for all below as well; one command a
                 connection, the answer is a count; `notify ZONE.`
HTTP API         one name a request, and all below it is always forgotten with it (since 4.6,
                 before it that name alone); a zone that PowerDNS did not know is known from then on
"""

import asyncio
import re
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ValidationError
from yarl import URL

from dnslb_backend.blocking import run_blocking
from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.errors import DnslbError
from dnslb_backend.files import read_file
from dnslb_backend.pdns.cache.purge_queue import EVERYTHING, SPACING
from dnslb_backend.pdns.settings import parse_version
from dnslb_backend.redaction import redact
from dnslb_backend.tls_client import TlsClientSettings, build_context

COMMAND_NAMES = 500
"""Names in one command. PowerDNS serves its control socket one command after another."""

ANSWER_LIMIT = 4096

API_CONNECTIONS = 4
"""Requests of one purge at a time; two purges may be under way. PowerDNS accepts connections one
after another, and where more than ten wait, a further one is only tried again after a second."""

FORGETS_BELOW = (4, 6)
"""The first PowerDNS whose API forgets all that is below a name."""

KEY_LIMIT = 4096
OPEN_DEADLINE = 1.0
"""Bytes of a key file; seconds that reading it, and finding the API's address, may take each."""

_VERSION = re.compile(r"(?<![0-9.])[0-9]{1,3}\.[0-9]{1,3}[0-9A-Za-z.+~_-]{0,60}", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")

T = TypeVar("T")


class ChannelError(DnslbError):
    """A PowerDNS could not be purged; the text says why."""


class NobodyListensError(ChannelError):
    """No PowerDNS runs at that control socket: it may be about to start."""


class NotifyError(DnslbError):
    """A PowerDNS will not notify a zone's secondaries; the text says why."""


class _About(BaseModel):
    """What the API says of its server."""

    version: str


class Channel(ABC):
    """One PowerDNS and the way to reach it. `name` is the address that the operator gave.

    `reported_version` is what it last said of its version, empty if nothing. `limit` names at most
    are worth listing; `calm` are the seconds between purges of what is merely out of date.
    """

    limit: ClassVar[int]
    calm: ClassVar[float]

    def __init__(self, name: str) -> None:
        self.name = name
        self.reported_version = ""

    @property
    def shortcoming(self) -> str:
        """What the reported version cannot do, empty if nothing."""
        return ""

    @abstractmethod
    async def ask_version(self) -> str:
        """The version of this PowerDNS. Raises ChannelError."""

    @abstractmethod
    async def purge(self, batch: Sequence[PurgeItem]) -> None:
        """Returns when PowerDNS has forgotten all of these. Raises ChannelError."""

    def _checked(self, version: str) -> str:
        """The version, without what may stand around it. Raises ChannelError."""
        found = _VERSION.search(version)
        if found is None:
            raise ChannelError(f"{self.name}: reports no version")
        return found[0]

    @abstractmethod
    async def notify(self, zone: str) -> None:
        """Returns when PowerDNS is about to notify the secondaries of a zone.

        Raises NotifyError, and ChannelError where it cannot be asked.
        """


class ControlChannel(Channel):
    """The control socket at a path, PowerDNS's `socket-dir`."""

    limit = 5000
    calm = SPACING

    async def ask_version(self) -> str:
        return self._checked((await self._command("version")).decode(errors="replace"))

    async def purge(self, batch: Sequence[PurgeItem]) -> None:
        if EVERYTHING in batch:
            return await self._purge("purge")
        for start in range(0, len(batch), COMMAND_NAMES):
            names = (_pattern(stale) for stale in batch[start : start + COMMAND_NAMES])
            await self._purge(f"purge {' '.join(names)}")
        return None

    async def notify(self, zone: str) -> None:
        answer = await self._command(f"notify {zone}.")
        if not answer.startswith(b"Added"):
            raise NotifyError(f"{self.name}: {answer[:200].decode(errors='replace').strip()}")

    async def _purge(self, command: str) -> None:
        answer = await self._command(command)
        if not answer.strip().isdigit():
            raise ChannelError(f"{self.name}: purge was answered with {answer[:200]!r}")

    async def _command(self, command: str) -> bytes:
        try:
            reader, writer = await asyncio.open_unix_connection(self.name)
            try:
                writer.write(f"{command}\n".encode())
                return await reader.read(ANSWER_LIMIT)
            finally:
                writer.close()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyListensError(f"{self.name}: {error.strerror}") from error
        except OSError as error:
            raise ChannelError(f"{self.name}: {error.strerror or error}") from error


class ApiChannel(Channel):
    """The HTTP API below a URL, with the key in a file, which is read again after a failure.

    A connection serves one request, in HTTP/1.0: that leaves a peer that is no PowerDNS no
    interim answers, and nothing to send but a head and a body, of ANSWER_LIMIT bytes each.
    """

    limit = 200
    # The apex goes with all that is below it: for a serial that moved on, not too often.
    calm = 5.0

    def __init__(self, name: str, key_file: str) -> None:
        super().__init__(name)
        self._url = URL(f"{name.rstrip('/')}/api/v1/servers/localhost")
        self._tls = build_context(TlsClientSettings()) if self._url.scheme == "https" else None
        self._key_file = key_file
        self._opened: tuple[str, str] | None = None
        self._opening = asyncio.Lock()
        self._blocking = threading.Lock()

    @property
    def shortcoming(self) -> str:
        version = parse_version(self.reported_version)
        if version is None or version >= FORGETS_BELOW:
            return ""
        return (
            f"the API of PowerDNS {self.reported_version} forgets no name below the one it is"
            " given; that of 4.6 does: use control_socket"
        )

    async def ask_version(self) -> str:
        await self._open()
        trouble, body = await self._request("GET", self._url)
        if trouble:
            raise ChannelError(f"{self.name}: {trouble}")
        try:
            return self._checked(_About.model_validate_json(body).version)
        except ValidationError:
            raise ChannelError(f"{self.name}: is no API of PowerDNS") from None

    async def purge(self, batch: Sequence[PurgeItem]) -> None:
        await self._open()
        slots = asyncio.Semaphore(API_CONNECTIONS)

        async def flush(name: str) -> str:
            async with slots:
                flushed = (self._url / "cache/flush").with_query(domain=f"{name}.")
                return (await self._request("PUT", flushed))[0]

        troubles = await asyncio.gather(*(flush(name) for name in {item.name for item in batch}))
        if trouble := next(filter(None, troubles), ""):
            raise ChannelError(f"{self.name}: {trouble}")
        if self.shortcoming and any(item.below for item in batch):
            raise ChannelError(f"{self.name}: {self.shortcoming}")

    async def notify(self, zone: str) -> None:
        await self._open()
        url = URL(f"{self._url}/zones/{_zone_id(zone)}/notify", encoded=True)
        trouble, _ = await self._request("PUT", url)
        if trouble:
            raise NotifyError(f"{self.name}: {trouble}")

    async def _request(self, method: str, url: URL) -> tuple[str, bytes]:
        """What went wrong with a request, empty if nothing did, and the body of the answer."""
        body = b""
        try:
            trouble, body = await self._exchange(method, url)
        except OSError as error:
            trouble = error.strerror or str(error) or type(error).__name__
        except asyncio.IncompleteReadError:
            trouble = "the connection ended before the answer"
        except asyncio.LimitOverrunError:
            trouble = f"the head of the answer is longer than {ANSWER_LIMIT} bytes"
        if trouble:
            self._opened = None
        return trouble, body

    async def _exchange(self, method: str, url: URL) -> tuple[str, bytes]:
        key, address = await self._open()
        reader, writer = await asyncio.open_connection(
            address,
            url.port,
            limit=ANSWER_LIMIT,
            ssl=self._tls,
            server_hostname=url.raw_host if self._tls else None,
        )
        try:
            writer.write(
                f"{method} {url.raw_path_qs} HTTP/1.0\r\nHost: {url.raw_authority}\r\n"
                f"X-API-Key: {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            status = _STATUS.match(head)
            if status is None:
                return f"response is not HTTP: {redact(repr(head), key)[:100]}", b""
            if status[1] == b"200" and method == "PUT":
                return "", b""
            if status[1] == b"200":
                return "", await _rest(reader)
            why = redact((await reader.read(ANSWER_LIMIT)).decode(errors="replace"), key)
            return f"HTTP {status[1].decode()} {why[:200]}".strip(), b""
        finally:
            writer.transport.abort()

    async def _open(self) -> tuple[str, str]:
        """The key, and the address that accepts connections, kept until a request fails.

        Raises ChannelError.
        """
        async with self._opening:
            if self._opened is None:
                key = await self._read_key()
                self._opened = key, await self._find_address()
            return self._opened

    async def _read_key(self) -> str:
        path = Path(self._key_file)
        try:
            content = await self._alone(lambda: read_file(path, KEY_LIMIT))
            key = content.decode("utf-8-sig").strip()
            if not key.isascii() or not key.isprintable():
                raise ValueError
        except TimeoutError:
            raise ChannelError(f"{self.name}: {path} cannot be read in time") from None
        except OSError as error:
            why = error.strerror or error
            raise ChannelError(f"{self.name}: cannot read its key: {path}: {why}") from error
        except ValueError:
            raise ChannelError(f"{self.name}: {path} holds no key of ASCII") from None
        return key

    async def _find_address(self) -> str:
        def connect() -> str:
            assert self._url.raw_host is not None
            where = self._url.raw_host, self._url.port or 0
            with socket.create_connection(where, OPEN_DEADLINE) as sock:
                return str(sock.getpeername()[0])

        try:
            return await self._alone(connect)
        except TimeoutError:
            raise ChannelError(f"{self.name}: no connection within {OPEN_DEADLINE:g} s") from None
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise ChannelError(f"{self.name}: {why}") from error

    async def _alone(self, function: Callable[[], T]) -> T:
        """Run what may hang: one thread waits for it, however often it is tried again."""

        def run() -> T:
            if not self._blocking.acquire(blocking=False):
                raise TimeoutError
            try:
                return function()
            finally:
                self._blocking.release()

        return await run_blocking(run, OPEN_DEADLINE)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What is left of an answer, ANSWER_LIMIT bytes at most."""
    found = b""
    while len(found) < ANSWER_LIMIT and (more := await reader.read(ANSWER_LIMIT - len(found))):
        found += more
    return found


def _zone_id(zone: str) -> str:
    """A zone in a path of the API: all but letters, digits, dots and hyphens as `=XX`."""
    return "".join(
        chr(byte) if chr(byte).isalnum() or byte in b".-" else f"={byte:02X}"
        for byte in f"{zone}.".encode()
    )


def _pattern(stale: PurgeItem) -> str:
    return f"{stale.name}.{'$' if stale.below else ''}"
