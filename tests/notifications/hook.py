"""A receiver of webhooks: a real HTTP server that keeps what it was sent."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Delivery:
    """One request; `at` is on the clock of the event loop."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["events"]
        return found


class Hook:
    """Answers with `responses`, one a request, and with 204 when there are none left.

    While it hangs it keeps every request and answers none.
    """

    def __init__(
        self,
        *responses: int | web.Response,
        tls: ssl.SSLContext | None = None,
        hangs: bool = False,
    ) -> None:
        self.deliveries: list[Delivery] = []
        self.accepted: list[Delivery] = []
        self.port = 0
        self._responses = list(responses)
        self._tls = tls
        self._changed = asyncio.Condition()
        self._flowing = asyncio.Event()
        if not hangs:
            self._flowing.set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def release(self) -> None:
        """Hang no more."""
        self._flowing.set()

    async def delivered(self, times: int = 1, *, within: float = 20.0) -> list[Delivery]:
        """All requests, once there are so many."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= times)
        return self.deliveries

    async def events(self, count: int, *, within: float = 20.0) -> list[dict[str, Any]]:
        """The events that it has accepted, once there are so many."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: len(self._events()) >= count)
        return self._events()

    def _events(self) -> list[dict[str, Any]]:
        return [event for delivery in self.accepted for event in delivery.events]

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        now = asyncio.get_running_loop().time()
        delivery = Delivery(now, request.path, dict(request.headers), await request.read())
        async with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        await self._flowing.wait()
        response = self._responses.pop(0) if self._responses else 204
        if isinstance(response, int):
            response = web.Response(status=response)
        if response.status < 300:
            async with self._changed:
                self.accepted.append(delivery)
                self._changed.notify_all()
        return response
