"""The ways to make a PowerDNS forget, and notify: its control socket, and its HTTP API.

control socket   `purge NAME. NAME.$ ...`, `$` for all below as well; one command a
                 connection, the answer is a count; `notify ZONE.`
HTTP API         one name a request, and all below it is always forgotten with it (4.7);
                 a zone that PowerDNS did not know is known from then on
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import aiohttp
from yarl import URL

from dnslb_backend import logs
from dnslb_backend.blocking import run_blocking
from dnslb_backend.core.dependents import Stale
from dnslb_backend.errors import DnslbError
from dnslb_backend.files import read_file
from dnslb_backend.pdns.purge_queue import EVERYTHING, SPACING

COMMAND_NAMES = 500
"""Names in one command. PowerDNS serves its control socket one command after another."""

ANSWER_LIMIT = 4096

API_CONNECTIONS = 8
"""Requests to one API at a time. PowerDNS closes a connection after its answer, and a change that
shows in some other names should be purged in one turn: the next change waits for it."""

KEY_LIMIT = 4096
KEY_DEADLINE = 1.0
"""Bytes of a key file, and seconds that reading it may take."""


class ChannelError(DnslbError):
    """A PowerDNS could not be told what to forget; the text says why."""


class NoticeError(DnslbError):
    """A PowerDNS will not tell a zone's secondaries; the text says why."""


class Channel(ABC):
    """One PowerDNS and the way to reach it. `name` is the address that the operator gave.

    `limit` names at most are worth listing; `calm` are the seconds between purges of what is
    merely out of date.
    """

    limit: ClassVar[int]
    calm: ClassVar[float]

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    async def purge(self, batch: Sequence[Stale]) -> None:
        """Returns when PowerDNS has forgotten all of these. Raises ChannelError."""

    @abstractmethod
    async def notify(self, zone: str) -> None:
        """Returns when PowerDNS is about to tell the secondaries of a zone.

        Raises NoticeError, and ChannelError where it cannot be asked.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of what was kept open."""


class ControlChannel(Channel):
    """The control socket at a path, PowerDNS's `socket-dir`."""

    limit = 5000
    calm = SPACING

    async def purge(self, batch: Sequence[Stale]) -> None:
        if EVERYTHING in batch:
            return await self._purge("purge")
        for start in range(0, len(batch), COMMAND_NAMES):
            names = (_pattern(stale) for stale in batch[start : start + COMMAND_NAMES])
            await self._purge(f"purge {' '.join(names)}")
        return None

    async def notify(self, zone: str) -> None:
        answer = await self._command(f"notify {zone}.")
        if not answer.startswith(b"Added"):
            raise NoticeError(f"{self.name}: {answer[:200].decode(errors='replace').strip()}")

    async def close(self) -> None:
        """Nothing is kept open."""

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
        except OSError as error:
            raise ChannelError(f"{self.name}: {error.strerror or error}") from error


class ApiChannel(Channel):
    """The HTTP API below a URL, with the key in a file, which is read again after a failure."""

    limit = 200
    # The apex goes with all that is below it: for a serial that moved on, not too often.
    calm = 5.0

    def __init__(self, name: str, key_file: str) -> None:
        super().__init__(name)
        self._url = f"{name.rstrip('/')}/api/v1/servers/localhost"
        self._key_file = key_file
        self._session: aiohttp.ClientSession | None = None
        self._reading = threading.Lock()

    async def purge(self, batch: Sequence[Stale]) -> None:
        session = await self._opened()
        names = {stale.name for stale in batch}
        troubles = await asyncio.gather(*(self._flush(session, name) for name in names))
        if trouble := next(filter(None, troubles), ""):
            await self.close()
            raise ChannelError(f"{self.name}: {trouble}")

    async def notify(self, zone: str) -> None:
        session = await self._opened()
        url = URL(f"{self._url}/zones/{_zone_id(zone)}/notify", encoded=True)
        if trouble := await self._put(session, url, {}):
            await self.close()
            raise NoticeError(f"{self.name}: {trouble}")

    async def _opened(self) -> aiohttp.ClientSession:
        try:
            self._session = self._session or await self._open()
        except TimeoutError:
            raise ChannelError(f"{self.name}: {self._key_file} cannot be read in time") from None
        except OSError as error:
            why = error.strerror or error
            raise ChannelError(
                f"{self.name}: cannot read its key: {self._key_file}: {why}"
            ) from error
        except ValueError:
            raise ChannelError(f"{self.name}: {self._key_file} holds no key of ASCII") from None
        return self._session

    async def _open(self) -> aiohttp.ClientSession:
        key = await run_blocking(self._read_key, KEY_DEADLINE)
        logs.hide(key)
        return aiohttp.ClientSession(
            headers={"X-API-Key": key},
            connector=aiohttp.TCPConnector(limit=API_CONNECTIONS, force_close=True),
        )

    def _read_key(self) -> str:
        # On storage that hangs, one thread waits for it, however often it is tried again.
        if not self._reading.acquire(blocking=False):
            raise TimeoutError
        try:
            key = read_file(Path(self._key_file), KEY_LIMIT).decode("utf-8-sig").strip()
        finally:
            self._reading.release()
        if not key.isascii() or not key.isprintable():
            raise ValueError
        return key

    async def _flush(self, session: aiohttp.ClientSession, name: str) -> str:
        """Forget one name; returns what went wrong, empty if nothing did."""
        return await self._put(session, URL(f"{self._url}/cache/flush"), {"domain": f"{name}."})

    @staticmethod
    async def _put(session: aiohttp.ClientSession, url: URL, params: dict[str, str]) -> str:
        try:
            async with session.put(url, params=params) as response:
                told = (await response.content.read(ANSWER_LIMIT)).decode(errors="replace")
        except (aiohttp.ClientError, OSError) as error:
            return str(error) or type(error).__name__
        return "" if response.status == 200 else f"HTTP {response.status} {told[:200]}".strip()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _zone_id(zone: str) -> str:
    """A zone in a path of the API: all but letters, digits, dots and hyphens as `=XX`."""
    return "".join(
        chr(byte) if chr(byte).isalnum() or byte in b".-" else f"={byte:02X}"
        for byte in f"{zone}.".encode()
    )


def _pattern(stale: Stale) -> str:
    return f"{stale.name}.{'$' if stale.below else ''}"
