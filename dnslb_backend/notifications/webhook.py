"""A webhook: one POST a delivery, on a connection of its own.

No redirects, no proxies, no cookies; of the response only the status and Retry-After are read.
"""

import asyncio
import os
import ssl
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial

import aiohttp
from yarl import URL

from dnslb_backend import __version__
from dnslb_backend.blocking import run_blocking
from dnslb_backend.metrics import NotificationReceiver
from dnslb_backend.notifications.name_resolver import NameResolver
from dnslb_backend.notifications.payload import Payload, sign
from dnslb_backend.notifications.receiver import Failure
from dnslb_backend.notifications.settings import WebhookSettings
from dnslb_backend.redaction import redact
from dnslb_backend.tls_client import build_context

RETRIED = frozenset({408, 429})
"""The statuses below 500 that may be followed by another one for the same request."""

REASON_LIMIT = 300


class Webhook:
    """`wall` is the time of signatures."""

    kind: NotificationReceiver = "webhook"

    def __init__(self, settings: WebhookSettings, wall: Callable[[], float]) -> None:
        self.settings = settings
        self._wall = wall
        self._url = URL(settings.url)
        self._tls: ssl.SSLContext | None = None

    async def send(self, payload: Payload) -> Failure | None:
        try:
            async with asyncio.timeout(self.settings.timeout):
                failure = await self._post(payload)
        except TimeoutError:
            failure = Failure(f"no answer within {self.settings.timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = Failure(self._redacted(_reason(error)))
        if failure is not None:
            # Its files may have been replaced.
            self._tls = None
        return failure

    async def _post(self, payload: Payload) -> Failure | None:
        connector = aiohttp.TCPConnector(
            resolver=NameResolver(), force_close=True, ssl=await self._context()
        )
        body = payload.body.encode()
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            ) as session,
            session.post(
                self._url, data=body, headers=self._headers(payload, body), allow_redirects=False
            ) as response,
        ):
            return self._failure(response)

    def _headers(self, payload: Payload, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dnslb-backend/{__version__}",
            "Idempotency-Key": payload.id,
        }
        if self.settings.secret is not None:
            secret = self.settings.secret.get_secret_value()
            headers["Dnslb-Signature"] = sign(secret, int(self._wall()), body)
        return headers

    def _failure(self, response: aiohttp.ClientResponse) -> Failure | None:
        status = response.status
        if 200 <= status < 300:
            return None
        return Failure(
            self._redacted(f"HTTP {status} {response.reason or ''}".strip()),
            is_final=300 <= status < 500 and status not in RETRIED,
            retry_after=retry_after(response.headers.get("Retry-After", ""), self._wall()),
        )

    async def _context(self) -> ssl.SSLContext | bool:
        if not self.settings.is_encrypted:
            return True
        if self._tls is None:
            build = partial(build_context, self.settings.client_settings)
            self._tls = await run_blocking(build, self.settings.timeout)
        return self._tls

    def _redacted(self, reason: str) -> str:
        """What a peer or library says, without the secret and the path of the URL."""
        secret = self.settings.secret
        hidden = [secret.get_secret_value()] if secret is not None else []
        hidden += [self.settings.url, self._url.raw_path_qs, self._url.path_qs]
        return redact(reason, *hidden)[:REASON_LIMIT]


def _reason(error: Exception) -> str:
    """Why there was no response, without the objects that aiohttp names."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = error.certificate_error
            return f"certificate: {getattr(why, 'verify_message', '') or why}"
        case aiohttp.ClientConnectorError():
            return _system_error(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "closed the connection without an answer"
        case OSError():
            return _system_error(error)
    return str(error) or type(error).__name__


def _system_error(error: OSError) -> str:
    # asyncio puts the address in the place of the words.
    if error.errno and type(error).__module__ == "builtins":
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def retry_after(value: str, wall: float) -> float:
    """Seconds that a header Retry-After asks for (RFC 9110, 10.2.3); 0 where it asks for none."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(when.replace(tzinfo=when.tzinfo or UTC).timestamp() - wall, 0.0)
