"""Who gets in over HTTP: allowed peers, not too many, and none that never gets to a question."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from dnslb_backend.pdns.faults import FaultLog
from dnslb_backend.pdns.peers import Network, is_allowed

CONNECTION_LIMIT = 1024
"""PowerDNS keeps one connection for every distributor thread."""

PATIENCE = 10.0
"""Seconds that a peer surely has for the head of a request, and for its body. PowerDNS sends
either in one piece, as soon as it is connected; and waits itself for 2 s."""

REFUSAL_PATIENCE = 5.0
"""Seconds that a peer who may not ask has for sending its request and reading the 403."""

REFUSAL_LIMIT = 64
"""Peers that are told at a time that they may not ask; further ones are just cut off."""

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_REASON = b"[server] allow does not name this peer\n"
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_REASON), _REASON)
)


class Handler(web.RequestHandler):
    """One connection, and whether its peer owes the rest of a request.

    Between two requests PowerDNS may be silent for as long as it likes. Before the first one
    there is no reason to be.
    """

    __slots__ = ("_pieces", "_pieces_read", "progress")

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.progress = 0
        self._pieces = self._pieces_read = 0

    @property
    def is_owed(self) -> bool:
        """Whether it has sent nothing yet, or something that is no whole request."""
        return not self.progress or self._pieces != self._pieces_read

    def data_received(self, data: bytes) -> None:
        self._pieces += 1
        super().data_received(data)

    def has_read(self) -> None:
        """All that came until now has been of use: the head of a request, or its body."""
        self.progress += 1
        self._pieces_read = self._pieces


class CountingServer(web.Server):
    """Knows when its last connection is gone, and lets go of those that never get to a question.

    `count` are connections that it serves, `refused` those of peers that are to hear why not.
    """

    def __init__(self, handler: Handle, **options: object) -> None:
        super().__init__(handler)
        self._options = options
        self.is_idle = asyncio.Event()
        self.is_idle.set()
        self.count = 0
        self.refused = 0

    def __call__(self) -> Handler:
        return Handler(self, loop=asyncio.get_running_loop(), **self._options)

    async def watch(self, patience: float = PATIENCE) -> None:
        """Close what owes a request for `patience` seconds, or twice that; lives until cancelled.

        A connection is looked at twice, so that a standstill of ours is nobody's fault.
        """
        owing: dict[web.RequestHandler, int] = {}
        while True:
            await asyncio.sleep(patience)
            before, owing = owing, {}
            for handler in self.connections:
                if not isinstance(handler, Handler) or not handler.is_owed:
                    continue
                if before.get(handler) == handler.progress:
                    handler.force_close()
                else:
                    owing[handler] = handler.progress

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

    def __init__(
        self, networks: tuple[Network, ...], server: CountingServer, faults: FaultLog
    ) -> None:
        self._networks = networks
        self._server = server
        self._faults = faults
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not may_ask(self._transport, self._networks):
            peer = self._transport.get_extra_info("peername")
            host = peer[0].removeprefix("::ffff:") if peer else "a peer without an address"
            self._faults.turned_away(host, f"[server] allow does not name {host}")
            self._refuse(self._transport)
        elif self._server.count >= CONNECTION_LIMIT:
            self._faults.turned_away("full", f"there are {CONNECTION_LIMIT} connections already")
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
