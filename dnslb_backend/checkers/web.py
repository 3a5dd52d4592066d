"""The HTTP client of checks: every request on a connection of its own, to a given address."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from dnslb_backend.checkers.failures import TargetError
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.core.results import Code

BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request; the host of `url` is the address to connect to."""

    method: str
    url: URL
    headers: Mapping[str, str]
    server_name: str | None = None
    tls: ssl.SSLContext | None = None
    body_wanted: bool = False


@dataclass(frozen=True, slots=True)
class WebReply:
    """`body` is the start of it, if it was wanted; names of `headers` are in lower case."""

    code: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False


class _NoResolver(AbstractResolver):
    """Checks go to addresses; a name here would be a mistake of ours."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(f"{host!r} is no address")

    async def close(self) -> None:
        """Nothing to close."""


class WebClient:
    """One session of the daemon's: no proxies, no cookies, no connection used twice."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, request: WebRequest) -> WebReply:
        """Raises TargetError for what is no answer, ssl.SSLError, OSError. Sets no time limit."""
        try:
            return await self._ask(request)
        except aiohttp.ClientConnectorCertificateError as error:
            raise error.certificate_error from error
        except aiohttp.ClientConnectorError as error:
            raise error.os_error from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError) as error:
            raise TargetError(Code.REFUSED, "closed the connection without an answer") from error
        except aiohttp.ClientPayloadError as error:
            raise TargetError(Code.STATUS, f"broken body: {one_line(str(error))}") from error
        except aiohttp.ClientResponseError as error:
            raise TargetError(Code.STATUS, f"no HTTP: {one_line(error.message)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, request: WebRequest) -> WebReply:
        async with self._open_session().request(
            request.method,
            request.url,
            headers=request.headers,
            ssl=request.tls if request.tls is not None else True,
            server_hostname=request.server_name,
            allow_redirects=False,
        ) as response:
            body, cut = b"", False
            if request.body_wanted:
                body, cut = await _start_of(response.content)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return WebReply(response.status, response.reason or "", headers, body, cut)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    force_close=True, limit=0, use_dns_cache=False, resolver=_NoResolver()
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                headers={"User-Agent": "dnslb-backend", "Accept": "*/*"},
                skip_auto_headers=("Accept-Encoding",),
                auto_decompress=False,
            )
        return self._session


async def _start_of(body: aiohttp.StreamReader) -> tuple[bytes, bool]:
    data = bytearray()
    while len(data) <= BODY_LIMIT:
        chunk = await body.read(BODY_LIMIT + 1 - len(data))
        if not chunk:
            return bytes(data), False
        data += chunk
    return bytes(data[:BODY_LIMIT]), True
