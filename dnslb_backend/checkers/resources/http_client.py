"""The HTTP client of checks: every request on a connection of its own, to a given address.

No proxies, no cookies, nothing unpacked, nothing looked up.
"""

import ssl
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote

from yarl import URL

from dnslb_backend.checkers.resources.certificates import verified_until
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.http_reply import HttpReply, read_reply

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
    """One request to an address; `head` is all that is sent, but for the line that ends it. One
    that is secure needs `tls`."""

    address: str
    port: int
    head: bytes
    is_secure: bool
    server_name: str = ""
    tls: ssl.SSLContext | None = None
    body_wanted: bool = False


class HttpClient:
    """Owns what happens to connections after the verdict."""

    def __init__(self) -> None:
        self._drains: set[TargetConnection] = set()

    async def request(self, request: HttpRequest) -> HttpReply:
        """Raises TargetError for what is no answer, ssl.SSLError, OSError. Sets no time limit."""
        async with connected(
            request.address, request.port, request.tls, request.server_name
        ) as connection:
            await connection.send(request.head + b"\r\n")
            reply = await read_reply(connection, body_wanted=request.body_wanted)
            expires = verified_until(connection.session)
            self._let_finish(connection)
        return reply if expires is None else replace(reply, certificate_expires=expires)

    def close(self) -> None:
        """Cut off those that still finish."""
        for connection in self._drains:
            connection.abort()
        self._drains.clear()

    def _let_finish(self, connection: TargetConnection) -> None:
        """A target that is cut off while it sends writes an error into its log each time."""
        if len(self._drains) < DRAINS:
            self._drains.add(connection)
            connection.drain(DRAIN_LIMIT, DRAIN_TIME, partial(self._drains.discard, connection))


def request_head(method: str, url: URL, headers: Mapping[str, str]) -> bytes:
    """The request line and the headers, those of every request among them."""
    given = {name.lower() for name in headers}
    lines = {
        name: value for name, value in DEFAULT_HEADERS.items() if name.lower() not in given
    } | dict(headers)
    # Escapes stay as they are; what is no ASCII gets them.
    target = quote(url.raw_path_qs, safe=string.punctuation)
    return f"{method} {target} HTTP/1.1\r\n".encode() + header_lines(lines)


def header_lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
