"""Where PowerDNS and operators are served: opened together, and moved by a reload."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dnslb_backend.admin.http.event_stream import StreamEvent
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.schedule.limiter import probe_limit
from dnslb_backend.config import Config
from dnslb_backend.errors import ConfigError, ConfigProblem, DnslbError
from dnslb_backend.logs import fields
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import (
    listen_tcp,
    listen_unix,
    remove_unix,
    set_permissions,
)
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import ServerSettings
from dnslb_backend.sockets import connection_limit, file_limit
from dnslb_backend.systemd import ActivatedSockets, FdStore, take_activated

log = logging.getLogger(__name__)

FILE_TIMEOUT = 3.0
"""Seconds that making or removing the file of a socket may take."""

LOCK_PAUSE = 0.02
"""Seconds before the next attempt when another process opens a socket at the same path."""

DRAIN_TIMEOUT = 1.0
"""Seconds that PowerDNS's connections have to take their last answers at the stop."""


ENOUGH_FILES = 4096
"""Open files with which each listener may have as many connections as it can ever need."""

Retire = Callable[[], Coroutine[Any, Any, None]]
"""Ends something that is not needed any more."""


class StartError(DnslbError):
    """A listener could not be opened; nothing was started."""


@dataclass(slots=True)
class NewSockets:
    """Sockets that a configuration needs and that were opened, but do not serve yet."""

    http: list[socket.socket] = field(default_factory=list)
    unix: list[socket.socket] = field(default_factory=list)
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)


class Listeners:
    """The connectors of PowerDNS and the listener of operators."""

    def __init__(self, responder: Responder, admin: AdminServer) -> None:
        self._responder = responder
        self._admin = admin
        self._http: HttpConnector | None = None
        self._unix: UnixConnector | None = None
        self._server: ServerSettings | None = None
        self._inherited = ActivatedSockets()
        self._manager = FdStore.from_environment()

    async def open(self, config: Config) -> None:
        """Open all of them, or none. Raises StartError, which names the one that failed.

        Sockets that the service manager hands over take the place of configured ones.
        """
        key = f"admin.listen = {config.admin.listen}"
        if (limit := file_limit()) < ENOUGH_FILES:
            log.warning(
                "only %d open files are allowed: set LimitNOFILE= (ulimit -n) to %d or more",
                limit,
                ENOUGH_FILES,
                extra=fields(connections=connection_limit(), probes=probe_limit()),
            )
        self._inherited = take_activated(os.environ)
        try:
            await self._admin.start()
            async with _opening(config.server, None, self._inherited) as sockets:
                await self._serve(sockets, config.server)
            if self._unix is not None:
                await self._unix.adopt(self._inherited.connections)
                self._manager.release(self._inherited.connections)
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
        is_ours = not self._inherited.unix
        opening = _opening_for_reload(config.server, self._server, file, is_ours=is_ours)
        async with opening as sockets:
            try:
                await self._admin.reconfigure(config.admin, config.access)
            except OSError as error:
                why = f"cannot listen there: {error.strerror or error}"
                raise ConfigError([ConfigProblem(file, "admin.listen", why)]) from error
            return await self._serve(sockets, config.server)

    def publish(self, happened: Iterable[StreamEvent]) -> None:
        """Tell operators who watch what happened."""
        self._admin.publish(happened)

    async def close(self) -> None:
        """Accept no more, let PowerDNS take its last answers, and end."""
        server, self._server = self._server, None
        path = "" if server is None or self._inherited.unix else server.unix
        await asyncio.gather(
            *(retire() for retire in self._retire_http()),
            *(retire() for retire in self._retire_unix(path, self._manager)),
        )
        await self._admin.stop()

    async def _serve(self, sockets: NewSockets, server: ServerSettings) -> list[Retire]:
        """Serve on the new sockets; what served at places that are given up is returned."""
        before, self._server = self._server, server
        retired: list[Retire] = []
        if before and server.endpoint != before.endpoint:
            retired += self._retire_http()
        elif self._http is not None:
            self._http.allow(server.networks, serves_keys=server.http_keys, hosts=server.hosts)
        if sockets.http:
            self._http = HttpConnector(
                self._responder,
                server.networks,
                serves_keys=server.http_keys,
                hosts=server.hosts,
            )
            await self._http.start(sockets.http)
            for listener in sockets.http:
                host, port = listener.getsockname()[:2]
                log.info("serving PowerDNS over http", extra=fields(address=host, port=port))
        if before and server.unix != before.unix:
            retired += self._retire_unix(before.unix, None)
        if sockets.unix:
            self._unix = UnixConnector(self._responder)
            await self._unix.start(sockets.unix)
            for listener in sockets.unix:
                path = listener.getsockname()
                log.info("serving PowerDNS over unix", extra=fields(path=path))
        sockets.opened.pop_all()
        return retired

    def _retire_http(self) -> list[Retire]:
        http, self._http = self._http, None
        return [] if http is None else [partial(http.stop, DRAIN_TIMEOUT)]

    def _retire_unix(self, path: str, manager: FdStore | None) -> list[Retire]:
        unix, self._unix = self._unix, None
        return [] if unix is None else [partial(_end_unix, unix, path, manager)]


async def _end_unix(unix: UnixConnector, path: str, manager: FdStore | None) -> None:
    """Stop the connector, leave its connections to `manager` or hang up, and remove its file."""
    left = await unix.stop(DRAIN_TIMEOUT)
    if manager is not None:
        await manager.keep(left)
    for connection in left:
        connection.sock.close()
    if path:
        await _remove(path)


async def _remove(path: str) -> None:
    """Remove the file of a socket; where that hangs, the next start does."""
    with contextlib.suppress(TimeoutError):
        await run_blocking(partial(remove_unix, path), FILE_TIMEOUT)


class _CannotListenError(Exception):
    """One socket could not be opened; `key` is the setting that asked for it."""

    def __init__(self, key: str, where: str, error: OSError) -> None:
        super().__init__(f"cannot listen at {key} = {where}: {error.strerror or error}")
        self.key = key
        self.why = f"cannot listen there: {error.strerror or error}"


@asynccontextmanager
async def _opening(
    server: ServerSettings, before: ServerSettings | None, inherited: ActivatedSockets | None = None
) -> AsyncIterator[NewSockets]:
    """Open what `server` needs and `before` had not; closed again unless it came to serve."""
    sockets = NewSockets()
    if inherited is not None:
        sockets.http += inherited.http
        sockets.unix += inherited.unix
    async with sockets.opened:
        endpoint = server.endpoint
        if endpoint and not sockets.http and not (before and endpoint == before.endpoint):
            try:
                sockets.http.append(listen_tcp(endpoint))
            except OSError as error:
                raise _CannotListenError("server.http", server.http, error) from error
            sockets.opened.callback(sockets.http[0].close)
        if server.unix and not sockets.unix and not (before and server.unix == before.unix):
            try:
                sockets.unix.append(await _listen_unix(server))
            except OSError as error:
                raise _CannotListenError("server.unix", server.unix, error) from error
            sockets.opened.push_async_callback(_discard, sockets.unix[0], server.unix)
        yield sockets


async def _listen_unix(server: ServerSettings) -> socket.socket:
    """As listen_unix, with limits: the folder may be on storage that hangs, or locked."""
    listen = partial(listen_unix, server.unix, server.mode, server.unix_group)
    try:
        async with asyncio.timeout(FILE_TIMEOUT):
            while True:
                with contextlib.suppress(BlockingIOError):
                    return await run_blocking(listen, FILE_TIMEOUT)
                await asyncio.sleep(LOCK_PAUSE)
    except TimeoutError:
        why = "another process is opening its socket there, or the folder hangs"
        raise OSError(errno.ETIMEDOUT, why) from None


async def _follow_permissions(
    server: ServerSettings, before: ServerSettings, undo: AsyncExitStack
) -> None:
    """Those of a socket that stays, unless the reload is refused after all."""
    old, new = (before.mode, before.unix_group), (server.mode, server.unix_group)
    if not server.unix or server.unix != before.unix or old == new:
        return
    try:
        await run_blocking(partial(set_permissions, server.unix, *new), FILE_TIMEOUT)
    except OSError as error:
        raise _CannotListenError("server.unix", server.unix, error) from error
    undo.push_async_callback(
        run_blocking, partial(set_permissions, server.unix, *old), FILE_TIMEOUT
    )


@asynccontextmanager
async def _opening_for_reload(
    server: ServerSettings, before: ServerSettings, file: str, *, is_ours: bool
) -> AsyncIterator[NewSockets]:
    """As _opening; the file of a socket `is_ours` unless the service manager made it."""
    async with AsyncExitStack() as stack:
        try:
            sockets = await stack.enter_async_context(_opening(server, before))
            if is_ours:
                await _follow_permissions(server, before, sockets.opened)
        except _CannotListenError as error:
            raise ConfigError([ConfigProblem(file, error.key, error.why)]) from error
        yield sockets


async def _discard(listener: socket.socket, path: str) -> None:
    listener.close()
    await _remove(path)
