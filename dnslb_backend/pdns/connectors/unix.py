"""The unix connector: `remote-connection-string=unix:path=/run/dnslb/pdns.sock`.

PowerDNS's pipe backend (`pipe-command` may be the path of a socket) and our own coprocess connect
here as well.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterable
from typing import Any

from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.connectors.fault_log import ThrottledLog
from dnslb_backend.pdns.connectors.line_protocol import JSON, LineProtocol, StoredConnection
from dnslb_backend.pdns.connectors.sockets import BACKLOG
from dnslb_backend.pdns.methods.metered import MeteredResponder
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.sockets import ConnectionLimit
from dnslb_backend.tasks import BackgroundTasks

log = logging.getLogger(__name__)

KEEP_PATH: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""Closing a server removes the path of its socket since Python 3.13, also where it is systemd's."""


class UnixConnector:
    """Serves one responder on unix sockets; its permissions decide who may connect."""

    def __init__(self, responder: Responder) -> None:
        self._remote = MeteredResponder(responder, "unix")
        self._pipe = MeteredResponder(responder, "pipe")
        self._listeners: list[asyncio.Server] = []
        self._peers = ConnectionLimit[LineProtocol]("the unix connector")
        self._writes = BackgroundTasks("lookup")
        self._fault_log = ThrottledLog(log, asyncio.get_running_loop().time)

    async def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept on `listeners`, which are bound, and closed by `stop`."""
        loop = asyncio.get_running_loop()
        self._listeners = [
            # It calls listen() again, which would shorten the queue.
            await loop.create_unix_server(self._peer, sock=listener, backlog=BACKLOG, **KEEP_PATH)
            for listener in listeners
        ]

    async def adopt(self, connections: Iterable[StoredConnection]) -> None:
        """Serve connections that another process accepted, where it left off."""
        loop = asyncio.get_running_loop()
        for connection in connections:
            try:
                peer = self._peer(connection.dialect)
            except RequestError as error:
                log.warning("cannot serve a connection restored from systemd: %s", error)
                connection.sock.close()
                continue
            await loop.connect_accepted_socket(lambda peer=peer: peer, connection.sock)  # type: ignore[misc]
            self._peers.idle(peer)

    async def stop(self, grace: float) -> list[StoredConnection]:
        """Accept no more, and release every connection between two of its requests.

        The returned connections are still open: close them, or hand them to a successor. Those
        still within a request after `grace` seconds are closed.
        """
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        left: list[StoredConnection | None] = []
        expected = len(self._peers)
        is_done = asyncio.Event()

        def leave(connection: StoredConnection | None) -> None:
            left.append(connection)
            if len(left) == expected:
                is_done.set()

        for peer in list(self._peers):
            peer.hand_over(leave)
        if expected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await is_done.wait()
        for peer in list(self._peers):
            peer.cut_off()
        await self._writes.close()
        return [connection for connection in left if connection is not None]

    def _peer(self, dialect: str = JSON) -> LineProtocol:
        return LineProtocol(
            self._remote, self._pipe, self._fault_log, self._peers, self._writes, dialect
        )
