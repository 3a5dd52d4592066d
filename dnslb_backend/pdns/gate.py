"""Who gets in over HTTP: allowed peers, and not too many."""

import asyncio
from typing import cast

from aiohttp import web

from dnslb_backend.pdns.peers import Network, is_allowed

CONNECTION_LIMIT = 1024
"""PowerDNS keeps one connection for every distributor thread."""

REFUSAL_PATIENCE = 5.0
"""Seconds that a peer who may not ask has for sending its request and reading the 403."""

REFUSAL_LIMIT = 64
"""Peers that are told at a time that they may not ask; further ones are just cut off."""

_REASON = b"[server] allow does not name this peer\n"
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_REASON), _REASON)
)


class CountingServer(web.Server):
    """Knows when its last connection is gone.

    `count` are connections that it serves, `refused` those of peers that are to hear why not.
    """

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.is_idle = asyncio.Event()
        self.is_idle.set()
        self.count = 0
        self.refused = 0

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self.count += 1
        self.is_idle.clear()
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self.count -= 1
        if not self.count:
            self.is_idle.set()
        super().connection_lost(handler, exc)


class Gate(asyncio.Protocol):
    """Looks at the peer of a new connection once, before a byte of it is read."""

    def __init__(self, networks: tuple[Network, ...], server: CountingServer) -> None:
        self._networks = networks
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not may_ask(self._transport, self._networks):
            self._refuse(self._transport)
        elif self._server.count >= CONNECTION_LIMIT:
            self._transport.abort()
        else:
            handler = self._server()
            self._transport.set_protocol(handler)
            handler.connection_made(self._transport)

    def _refuse(self, transport: asyncio.Transport) -> None:
        if self._server.refused >= REFUSAL_LIMIT:
            transport.abort()
            return
        self._server.refused += 1
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(REFUSAL_PATIENCE, transport.abort)

    def data_received(self, data: bytes) -> None:
        """A peer that may not ask has sent something: now it will read that it is refused."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_REFUSED)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._server.refused -= 1


def may_ask(transport: asyncio.BaseTransport, networks: tuple[Network, ...]) -> bool:
    """Whether the peer of this connection is in one of `networks`."""
    peer = transport.get_extra_info("peername")
    return bool(peer) and is_allowed(peer[0], networks)
