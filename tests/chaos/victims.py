"""Targets that fall ill in every way, and get well again, when a scene says so."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.checkers.servers import Play, asked, for_ever, hang, saying

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


ILL: Mapping[str, Play | None] = {
    "refuses": None,
    "hangs": hang,
    "hangs up": asked(saying(b"")),
    "resets": asked(reset),
    "fails": asked(saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")),
    "garbage": asked(saying(bytes(range(256)) * 16)),
    "half a head": asked(saying(HEAD + b"Content-Le")),
    "slow head": asked(for_ever(HEAD, b"x", pause=0.05)),
    "endless head": asked(for_ever(HEAD, b"X-Pad: 1\r\n")),
    "endless 1xx": asked(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "endless 103": asked(for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)),
}
"""What a target does that is down; None: nobody listens.

A redirect and a broken body are not among them: the check asks for the status alone, and both pass.
"""


class Victim:
    """One target on `host`. `ill_since` is when it fell ill, None while it is well."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = port
        self.ill_since: float | None = None
        self.way = ""
        self._tls = tls
        self._play: Play = asked(saying(WELL))
        self._server: asyncio.Server | None = None
        self._plays: set[asyncio.Task[None]] = set()

    async def fall_ill(self, way: str) -> None:
        play = ILL[way]
        self.way = way
        if play is None:
            await self._close()
        else:
            self._play = play
        # Connections that were open when it was well end well.
        self.ill_since = time.monotonic()

    async def get_well(self) -> None:
        self._play = asked(saying(WELL))
        for play in list(self._plays):
            play.cancel()
        await self._open()
        self.ill_since = None

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()
        plays = list(self._plays)
        for play in plays:
            play.cancel()
        await asyncio.gather(*plays, return_exceptions=True)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, self.host, self.port, ssl=self._tls, backlog=1024
            )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._plays.add(task)
        try:
            with suppress(
                ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError, ssl.SSLError
            ):
                await self._play(reader, writer)
                await writer.drain()
        finally:
            writer.transport.close()
            self._plays.discard(task)
