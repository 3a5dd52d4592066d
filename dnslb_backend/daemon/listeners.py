"""Where PowerDNS and operators are served: opened together, and moved by a reload."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dnslb_backend.admin.server import AdminServer
from dnslb_backend.config import Config
from dnslb_backend.core.transitions import Transition
from dnslb_backend.errors import ConfigError, DnslbError, Problem
from dnslb_backend.logs import fields
from dnslb_backend.pdns.http import HttpConnector
from dnslb_backend.pdns.listeners import listen_tcp, listen_unix, remove_unix
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.settings import ServerSettings
from dnslb_backend.pdns.unix import UnixConnector

log = logging.getLogger(__name__)

DRAIN_TIMEOUT = 3.0
"""Seconds that PowerDNS's connections have to take their last answers at the stop."""


Retire = Callable[[], Coroutine[Any, Any, None]]
"""Ends something that is not needed any more."""


class StartError(DnslbError):
    """A listener could not be opened; nothing was started."""


@dataclass(slots=True)
class NewSockets:
    """Sockets that a configuration needs and that were opened, but do not serve yet."""

    http: socket.socket | None = None
    unix: socket.socket | None = None
    opened: ExitStack = field(default_factory=ExitStack)


class Listeners:
    """The connectors of PowerDNS and the listener of operators."""

    def __init__(self, responder: Responder, admin: AdminServer) -> None:
        self._responder = responder
        self._admin = admin
        self._http: HttpConnector | None = None
        self._unix: UnixConnector | None = None
        self._server: ServerSettings | None = None

    async def open(self, config: Config) -> None:
        """Open all of them, or none. Raises StartError, which names the one that failed."""
        key = f"admin.listen = {config.admin.listen}"
        try:
            await self._admin.start()
            with _opening(config.server, None) as sockets:
                await self._serve(sockets, config.server)
        except _CannotListenError as error:
            await self.close()
            raise StartError(str(error)) from error
        except OSError as error:
            await self.close()
            raise StartError(f"cannot listen at {key}: {error.strerror or error}") from error

    async def move(self, config: Config, file: str) -> list[Retire]:
        """Follow a new configuration, and return how to end what it no longer needs.

        Raises ConfigError, and then nothing has changed.
        """
        assert self._server is not None
        with _opening_for_reload(config.server, self._server, file) as sockets:
            try:
                await self._admin.reconfigure(config.admin, config.access)
            except OSError as error:
                why = f"cannot listen there: {error.strerror or error}"
                raise ConfigError([Problem(file, "admin.listen", why)]) from error
            return await self._serve(sockets, config.server)

    def publish(self, happened: Iterable[Transition]) -> None:
        """Tell operators who watch what happened."""
        self._admin.publish(happened)

    async def close(self) -> None:
        """Accept no more, let PowerDNS take its last answers, and end."""
        server, self._server = self._server, None
        await asyncio.gather(
            *(retire() for retire in self._retire_http()),
            *(retire() for retire in self._retire_unix(server.unix if server else "")),
        )
        await self._admin.stop()

    async def _serve(self, sockets: NewSockets, server: ServerSettings) -> list[Retire]:
        """Serve on the new sockets; what served at places that are given up is returned."""
        before, self._server = self._server, server
        retired: list[Retire] = []
        if before and server.endpoint != before.endpoint:
            retired += self._retire_http()
        elif self._http is not None:
            self._http.allow(server.networks)
        if sockets.http is not None:
            host, port = sockets.http.getsockname()[:2]
            self._http = HttpConnector(self._responder, server.networks)
            await self._http.start([sockets.http])
            log.info("serving PowerDNS over http", extra=fields(address=host, port=port))
        if before and server.unix != before.unix:
            retired += self._retire_unix(before.unix)
        if sockets.unix is not None:
            self._unix = UnixConnector(self._responder)
            await self._unix.start([sockets.unix])
            log.info("serving PowerDNS over unix", extra=fields(path=server.unix))
        sockets.opened.pop_all()
        return retired

    def _retire_http(self) -> list[Retire]:
        http, self._http = self._http, None
        return [] if http is None else [partial(http.stop, DRAIN_TIMEOUT)]

    def _retire_unix(self, path: str) -> list[Retire]:
        unix, self._unix = self._unix, None
        return [] if unix is None else [partial(_end_unix, unix, path)]


async def _end_unix(unix: UnixConnector, path: str) -> None:
    """Stop the connector, hang up on PowerDNS, and remove the file of its socket."""
    for connection in await unix.stop(DRAIN_TIMEOUT):
        connection.sock.close()
    remove_unix(path)


class _CannotListenError(Exception):
    """One socket could not be opened; `key` is the setting that asked for it."""

    def __init__(self, key: str, where: str, error: OSError) -> None:
        super().__init__(f"cannot listen at {key} = {where}: {error.strerror or error}")
        self.key = key
        self.why = f"cannot listen there: {error.strerror or error}"


@contextmanager
def _opening(server: ServerSettings, before: ServerSettings | None) -> Iterator[NewSockets]:
    """Open what `server` needs and `before` had not; closed again unless it came to serve."""
    sockets = NewSockets()
    with sockets.opened:
        if server.endpoint is not None and (not before or server.endpoint != before.endpoint):
            try:
                sockets.http = listen_tcp(server.endpoint)
            except OSError as error:
                raise _CannotListenError("server.http", server.http, error) from error
            sockets.opened.callback(sockets.http.close)
        if server.unix and (not before or server.unix != before.unix):
            try:
                sockets.unix = listen_unix(server.unix, server.mode, server.unix_group)
            except OSError as error:
                raise _CannotListenError("server.unix", server.unix, error) from error
            sockets.opened.callback(_discard, sockets.unix, server.unix)
        yield sockets


@contextmanager
def _opening_for_reload(
    server: ServerSettings, before: ServerSettings, file: str
) -> Iterator[NewSockets]:
    with contextlib.ExitStack() as stack:
        try:
            sockets = stack.enter_context(_opening(server, before))
        except _CannotListenError as error:
            raise ConfigError([Problem(file, error.key, error.why)]) from error
        yield sockets


def _discard(listener: socket.socket, path: str) -> None:
    listener.close()
    remove_unix(path)
