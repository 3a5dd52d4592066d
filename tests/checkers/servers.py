"""Targets that behave as badly as a test wants."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """A TCP server on a free port; every connection is played by `play`.

    When `play` returns, the connection is closed. `connections` counts them.
    """

    def __init__(
        self, play: Play, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self._play = play
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._plays: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._handler = loop.get_exception_handler()
        loop.set_exception_handler(self._forgive_handshakes)
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        plays = list(self._plays)
        for play in plays:
            play.cancel()
        await asyncio.gather(*plays, return_exceptions=True)
        await self._server.wait_closed()
        handshakes = [task for task in asyncio.all_tasks() if "_accept_connection2" in repr(task)]
        await asyncio.gather(*handshakes, return_exceptions=True)
        asyncio.get_running_loop().set_exception_handler(self._handler)

    def _forgive_handshakes(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A client that does not trust this server breaks off: no fault of the test."""
        if "transport creation" not in context["message"] and self._handler is not None:
            self._handler(loop, context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._plays.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError, TimeoutError, ssl.SSLError):
                await self._play(reader, writer)
                await writer.drain()
        finally:
            # A TLS transport that is closed politely would wait for the peer's goodbye.
            if self._tls is None:
                writer.close()
            else:
                writer.transport.close()
            self._plays.discard(task)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen until the client hangs up, and never say a word."""
    await reader.read()


def saying(data: bytes) -> Play:
    """Say this at once, and hang up."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return play


def greeting(data: bytes) -> Play:
    """Say this at once, and stay."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await hang(reader, writer)

    return play


def answering(data: bytes) -> Play:
    """Read the head of an HTTP request, then say this and hang up."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)

    return play


def asked(play: Play) -> Play:
    """Read the head of an HTTP request first."""

    async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await play(reader, writer)

    return later


def for_ever(head: bytes, chunk: bytes, *, pause: float = 0.0) -> Play:
    """Say `head`, then `chunk` again and again, `pause` seconds apart."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)  # noqa: TID251 - a slow sender is slow

    return play
