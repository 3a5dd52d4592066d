"""Admission of HTTP peers: allowed ones are served, a few of the others get a 403."""

import asyncio
from typing import cast

from dnslb_backend.http_server import HttpServer
from dnslb_backend.network import Network, contains, peer_address
from dnslb_backend.pdns.connectors.fault_log import ThrottledLog
from dnslb_backend.sockets import ConnectionLimit

REFUSAL_TIMEOUT = 5.0
"""Seconds that a refused peer has to send its request and read the 403."""

REFUSAL_LIMIT = 64
"""Refused peers at a time that get a 403."""

_REASON = b"[server] allow does not name this peer\n"
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_REASON), _REASON)
)


class AdmissionProtocol(asyncio.Protocol):
    """Checks the peer of a new connection once, before a byte of it is read."""

    def __init__(
        self,
        networks: tuple[Network, ...],
        server: HttpServer,
        refused: ConnectionLimit["AdmissionProtocol"],
        fault_log: ThrottledLog,
    ) -> None:
        self._networks = networks
        self._server = server
        self._refused = refused
        self._fault_log = fault_log
        self._transport: asyncio.Transport | None = None
        self._read_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not is_peer_allowed(self._transport, self._networks):
            peer = self._transport.get_extra_info("peername")
            host = peer[0].removeprefix("::ffff:") if peer else "a peer without an address"
            self._fault_log.turned_away(host, f"[server] allow does not name {host}")
            self._refuse(self._transport)
        else:
            handler = self._server()
            self._transport.set_protocol(handler)
            handler.connection_made(self._transport)

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._refused.admit(self)
        loop = asyncio.get_running_loop()
        self._read_timeout = loop.call_later(REFUSAL_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        """A refused peer has sent something: now it will read the 403."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_REFUSED)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._read_timeout is not None:
            self._read_timeout.cancel()
            self._refused.discard(self)

    def cut_off(self) -> None:
        """End it now, to make room for another refused peer."""
        if self._transport is not None:
            self._transport.abort()


def is_peer_allowed(transport: asyncio.BaseTransport, networks: tuple[Network, ...]) -> bool:
    """Whether the peer of this connection is in one of `networks`."""
    peer = transport.get_extra_info("peername")
    return bool(peer) and contains(networks, peer_address(peer[0]))
