"""Targets to probe: small real servers that fail and recover on command."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.rigs.ports import free_port


class Target(ABC):
    """A target on `host`. `hits` counts its probes.

    While it is stopped its port refuses, and start() takes the same port again.
    """

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port(host)
        self.hits = 0
        self._changed = asyncio.Condition()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @abstractmethod
    async def start(self) -> None:
        """Start to listen; no effect if it does already."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop listening; no effect if it does not listen."""

    async def probed(self, times: int = 1, *, within: float = 10.0) -> None:
        """Wait until it was probed `times` more; TimeoutError after `within` s."""
        goal = self.hits + times
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: self.hits >= goal)

    async def _count(self) -> None:
        async with self._changed:
            self.hits += 1
            self._changed.notify_all()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


class TcpTarget(Target):
    """Accepts connections, greets each with `banner`, and closes it."""

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        super().__init__(host, port)
        self.banner = b""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._greet, self.host, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()

    async def _greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._count()
        writer.write(self.banner)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


class HttpTarget(Target):
    """Answers every request with `status` and `body`; keeps it waiting while it hangs.

    `tls` makes it HTTPS. `last_request` is what was asked last, None before that.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(host, port)
        self.status = 200
        self.body = "ok"
        self.last_request: web.BaseRequest | None = None
        self._tls = tls
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._runner: web.ServerRunner | None = None

    def fail(self, status: int = 503) -> None:
        self.status = status

    def heal(self) -> None:
        """Recover: status 200, and no longer hanging."""
        self.status = 200
        self._flowing.set()

    def hang(self) -> None:
        """Accept requests without answering until heal()."""
        self._flowing.clear()

    async def start(self) -> None:
        if self._runner is not None:
            return
        # A handler is cancelled when its client gives up: a hanging one must not outlive the test.
        server = web.Server(self._answer, handler_cancellation=True)
        # 0 would wait forever.
        runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port, ssl_context=self._tls).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    async def stop(self) -> None:
        """Open connections are cut."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.last_request = request
        await self._count()
        await self._flowing.wait()
        return web.Response(status=self.status, text=self.body)


@asynccontextmanager
async def farm(count: int) -> AsyncIterator[list[HttpTarget]]:
    """HTTP targets on 127.0.0.2, 127.0.0.3, ..., all on one port."""
    hosts = [f"127.0.0.{number}" for number in range(2, count + 2)]
    port = free_port(*hosts)
    targets = [HttpTarget(host, port) for host in hosts]
    try:
        for target in targets:
            await target.start()
        yield targets
    finally:
        for target in targets:
            await target.stop()
