"""The listeners of PowerDNS and of operators: opened together, and moved by a reload."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from dnslb_backend.admin.http.event_stream import StreamEvent
from dnslb_backend.admin.server import AdminChange, AdminServer
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.schedule.limiter import probe_limit
from dnslb_backend.config import Config
from dnslb_backend.errors import DnslbError
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
from dnslb_backend.tasks import BackgroundTasks

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
"""Closes a listener that is not needed any more."""


class StartError(DnslbError):
    """A listener could not be opened; nothing was started."""


class CannotListenError(DnslbError):
    """A listener cannot be opened; `key` is the setting that asks for it."""

    def __init__(self, key: str, where: str, error: OSError) -> None:
        super().__init__(f"cannot listen at {key} = {where}: {error.strerror or error}")
        self.key = key
        self.why = f"cannot listen there: {error.strerror or error}"


@dataclass(frozen=True, slots=True)
class ListenerChange:
    """Listeners that a configuration needs and that were not open: they accept connections already.

    `undo` closes them again.
    """

    server: ServerSettings
    admin: AdminChange
    http: HttpConnector | None
    unix: UnixConnector | None
    undo: AsyncExitStack


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
        self._retiring = BackgroundTasks("reload")

    async def open(self, config: Config) -> None:
        """Open all of them, or none. Raises StartError, which names the one that failed.

        Sockets that the service manager hands over take the place of configured ones.
        """
        if (limit := file_limit()) < ENOUGH_FILES:
            log.warning(
                "only %d open files are allowed: set LimitNOFILE= (ulimit -n) to %d or more",
                limit,
                ENOUGH_FILES,
                extra=fields(connections=connection_limit(), probes=probe_limit()),
            )
        self._inherited = take_activated(os.environ)
        try:
            self.commit(await self.prepare(config))
        except CannotListenError as error:
            raise StartError(str(error)) from error
        if self._unix is not None:
            await self._unix.adopt(self._inherited.connections)
            self._manager.release(self._inherited.connections)

    async def prepare(self, config: Config) -> ListenerChange:
        """Open what the configuration needs and is not open yet; what serves is not touched.

        `commit` must follow, or the change's `undo`. Raises CannotListenError, and then all that
        was opened is closed again.
        """
        server, before = config.server, self._server
        async with AsyncExitStack() as undo:
            admin = await self._prepare_admin(config, undo)
            http = await self._prepare_http(server, before, undo)
            unix = await self._prepare_unix(server, before, undo)
            return ListenerChange(server, admin, http, unix, undo.pop_all())

    def commit(self, change: ListenerChange) -> list[Retire]:
        """Serve by the new configuration; returns what `retire` has to close. Cannot fail."""
        server, before = change.server, self._server
        self._server = server
        retired: list[Retire] = []
        if before and server.endpoint != before.endpoint:
            retired += self._take_http()
        elif self._http is not None:
            self._http.allow(server.networks, serves_keys=server.http_keys, hosts=server.hosts)
        if before and server.unix != before.unix:
            retired += self._take_unix(before.unix, None)
        self._http = change.http or self._http
        self._unix = change.unix or self._unix
        self._admin.commit(change.admin)
        change.undo.pop_all()
        return retired

    async def retire(self, retired: Iterable[Retire]) -> None:
        """Close listeners that are not needed any more; `close` waits for it as well."""
        ending = [self._retiring.start(each(), "close of an old listener") for each in retired]
        if ending:
            # A stop of the daemon that cancels the reload must not leave one half closed.
            await asyncio.wait(ending)

    def publish(self, events: Iterable[StreamEvent]) -> None:
        """Send events to the operators who follow the event stream."""
        self._admin.publish(events)

    async def close(self) -> None:
        """Accept no more, let PowerDNS take its last answers, and end."""
        server, self._server = self._server, None
        path = "" if server is None or self._inherited.unix else server.unix
        await self.retire([*self._take_http(), *self._take_unix(path, self._manager)])
        await self._retiring.wait()
        await self._admin.stop()

    async def _prepare_admin(self, config: Config, undo: AsyncExitStack) -> AdminChange:
        try:
            change = await self._admin.prepare(config.admin, config.access)
        except OSError as error:
            raise CannotListenError("admin.listen", str(config.admin.listen), error) from error
        undo.push_async_callback(self._admin.discard, change)
        return change

    async def _prepare_http(
        self, server: ServerSettings, before: ServerSettings | None, undo: AsyncExitStack
    ) -> HttpConnector | None:
        sockets = self._inherited.http if before is None else []
        if not sockets:
            if not server.endpoint or (before and server.endpoint == before.endpoint):
                return None
            try:
                sockets = [listen_tcp(server.endpoint)]
            except OSError as error:
                raise CannotListenError("server.http", server.http, error) from error
        connector = HttpConnector(
            self._responder, server.networks, serves_keys=server.http_keys, hosts=server.hosts
        )
        _close_with(undo, sockets)
        undo.push_async_callback(connector.stop, 0.0)
        await connector.start(sockets)
        for listener in sockets:
            host, port = listener.getsockname()[:2]
            log.info("serving PowerDNS over http", extra=fields(address=host, port=port))
        return connector

    async def _prepare_unix(
        self, server: ServerSettings, before: ServerSettings | None, undo: AsyncExitStack
    ) -> UnixConnector | None:
        sockets = self._inherited.unix if before is None else []
        path = "" if sockets else server.unix
        if path and before and path == before.unix:
            if not self._inherited.unix:
                await _follow_permissions(server, before, undo)
            return None
        if not sockets:
            if not path:
                return None
            try:
                sockets = [await _listen_unix(server)]
            except OSError as error:
                raise CannotListenError("server.unix", server.unix, error) from error
        connector = UnixConnector(self._responder)
        _close_with(undo, sockets)
        undo.push_async_callback(_end_unix, connector, path, None)
        await connector.start(sockets)
        for listener in sockets:
            log.info("serving PowerDNS over unix", extra=fields(path=listener.getsockname()))
        return connector

    def _take_http(self) -> list[Retire]:
        http, self._http = self._http, None
        return [] if http is None else [partial(http.stop, DRAIN_TIMEOUT)]

    def _take_unix(self, path: str, manager: FdStore | None) -> list[Retire]:
        unix, self._unix = self._unix, None
        return [] if unix is None else [partial(_end_unix, unix, path, manager)]


def _close_with(undo: AsyncExitStack, sockets: Iterable[socket.socket]) -> None:
    for listener in sockets:
        undo.callback(listener.close)


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
    """Set those of a socket that stays, until `undo`."""
    old, new = (before.mode, before.unix_group), (server.mode, server.unix_group)
    if old == new:
        return
    try:
        await run_blocking(partial(set_permissions, server.unix, *new), FILE_TIMEOUT)
    except OSError as error:
        raise CannotListenError("server.unix", server.unix, error) from error
    undo.push_async_callback(
        run_blocking, partial(set_permissions, server.unix, *old), FILE_TIMEOUT
    )
