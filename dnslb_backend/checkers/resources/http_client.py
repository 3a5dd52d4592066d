"""The HTTP client of checks: every request on a connection of its own, to a given address.

No proxies, no cookies, nothing unpacked, nothing looked up.
"""

import asyncio
import contextlib
import ssl
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from yarl import URL

from dnslb_backend.checkers.resources.certificates import verified_until
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.http_reply import HttpReply, read_reply
from dnslb_backend.errors import DnslbError
from dnslb_backend.tasks import BackgroundTasks

DEFAULT_HEADERS = {
    "User-Agent": "dnslb-backend",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}

DRAIN_LIMIT = 1024 * 1024
DRAIN_TIME = 1.0
"""Bytes and seconds for which a target may go on sending what no verdict needs."""

DRAINS = 64
"""Connections that are drained at once; one more is cut off."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; the host of `url` is the address to connect to."""

    method: str
    url: URL
    headers: Mapping[str, str]
    server_name: str = ""
    tls: ssl.SSLContext | None = None
    body_wanted: bool = False


class HttpClient:
    """Owns what happens to connections after the verdict."""

    def __init__(self) -> None:
        self._drains = BackgroundTasks("check")

    async def request(self, request: HttpRequest) -> HttpReply:
        """Raises TargetError for what is no answer, ssl.SSLError, OSError. Sets no time limit."""
        address, port = request.url.host, request.url.port
        assert address is not None
        assert port is not None
        async with connected(address, port, request.tls, request.server_name) as connection:
            await connection.send(_head(request))
            reply = await read_reply(connection, body_wanted=request.body_wanted)
            expires = verified_until(connection.session)
            self._let_finish(connection)
        return replace(reply, certificate_expires=expires)

    async def close(self) -> None:
        await self._drains.close()

    def _let_finish(self, connection: TargetConnection) -> None:
        """A target that is cut off while it sends writes an error into its log each time."""
        if len(self._drains) < DRAINS:
            connection.keep_open()
            self._drains.start(_drained(connection), "drain of a target's connection")


async def _drained(connection: TargetConnection) -> None:
    try:
        # The verdict is given: whatever the target does now changes nothing.
        with contextlib.suppress(TimeoutError, DnslbError, OSError):
            async with asyncio.timeout(DRAIN_TIME):
                await connection.drain(DRAIN_LIMIT)
    finally:
        connection.abort()


def _head(request: HttpRequest) -> bytes:
    given = {name.lower() for name in request.headers}
    headers = {
        name: value for name, value in DEFAULT_HEADERS.items() if name.lower() not in given
    } | dict(request.headers)
    # Escapes stay as they are; what is no ASCII gets them.
    target = quote(request.url.raw_path_qs, safe=string.punctuation)
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
