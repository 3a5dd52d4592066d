"""The listener for operators: it opens, moves to another address on reload, and closes."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from dnslb_backend.admin.app import build_app
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.access import Access
from dnslb_backend.admin.http.endpoint import AdminState
from dnslb_backend.admin.http.event_stream import EventRing, EventStreams, StreamEvent
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.http_server import HttpErrorLog, HttpServer
from dnslb_backend.logs import fields
from dnslb_backend.network import AddressPort
from dnslb_backend.sockets import bind_tcp
from dnslb_backend.tasks import BackgroundTasks

IDLE_TIMEOUT = 30.0
"""Seconds that a connection may take until its next request has been read."""

LINE_LIMIT = 64 * 1024
"""Bytes of a request's first line: each of its names may take twelve thousand."""

STOP_TIMEOUT = 2.0
"""Seconds that requests under way may take to end once the listener closes."""

log = ComponentLog(__name__, "admin")


@dataclass(slots=True)
class _Site:
    """One open listener and the address it was asked for."""

    runner: web.AppRunner
    server: HttpServer
    accepting: asyncio.Server
    streams: EventStreams
    listen: AddressPort
    port: int

    async def close(self) -> None:
        """Accept no more, and end what is under way."""
        self.accepting.close()
        # Connections that were accepted a moment ago have not reached the server yet.
        await asyncio.sleep(0)
        self.server.pre_shutdown()
        self.streams.end()
        await self.server.shutdown(STOP_TIMEOUT)
        await self.runner.cleanup()


@dataclass(frozen=True, slots=True)
class AdminChange:
    """The next settings of a server; `site` is open already where their address is another one."""

    settings: AdminSettings
    access: Access
    is_move: bool
    site: _Site | None = None


class AdminServer:
    """Serves operators by `settings` and `access`; what it shows and does is `control`'s.

    Not running until `start`; `stop` may be called at any time. A connection that is silent, or
    in the middle of the head of a request, is closed after `send_timeout` seconds.
    """

    def __init__(
        self,
        settings: AdminSettings,
        access: Access,
        control: Control,
        *,
        send_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._send_timeout = send_timeout
        self._state = AdminState(control, access, EventRing(int(control.started)))
        self._state.settings = settings
        self._site: _Site | None = None
        self._closing = BackgroundTasks("admin")
        """Of listeners that a reload has moved."""

    @property
    def port(self) -> int | None:
        """The port that is open; None while there is none."""
        return self._site.port if self._site else None

    async def start(self) -> None:
        """Open the listener that the settings name. Raises OSError where that cannot be."""
        self._site = await self._open(self._state.settings.endpoint)

    async def prepare(self, settings: AdminSettings, access: Access) -> AdminChange:
        """Open a listener where the settings name another address; the old one is not touched.

        `commit` or `discard` must follow. Raises OSError where it cannot be opened.
        """
        if settings.endpoint == (self._site.listen if self._site else None):
            return AdminChange(settings, access, is_move=False)
        site = await self._open(settings.endpoint)
        return AdminChange(settings, access, is_move=True, site=site)

    async def discard(self, change: AdminChange) -> None:
        """Close what `prepare` opened."""
        if change.site is not None:
            await change.site.close()

    def commit(self, change: AdminChange) -> None:
        """Serve by the new settings from now on; a listener that moved closes in the background."""
        old = self._site
        if change.is_move:
            self._site = change.site
            if old is not None:
                # Not awaited: the request for this reload may have come through it.
                self._closing.start(old.close(), "close of the old admin listener")
        elif old is not None and change.access != self._state.access:
            # Clients of the event stream may no longer be allowed to read it.
            old.streams.end()
        self._state.settings = change.settings
        self._state.access = change.access

    def publish(self, happened: Iterable[StreamEvent]) -> None:
        """Send events to every client of the stream; never waits."""
        self._state.ring.publish(happened)

    async def stop(self) -> None:
        """Close the listener and end what is under way."""
        site, self._site = self._site, None
        if site is not None:
            await site.close()
        await self._closing.wait()
        await self._state.reads.close()

    async def _open(self, listen: AddressPort | None) -> _Site | None:
        if listen is None:
            return None
        streams = EventStreams()
        runner = web.AppRunner(build_app(self._state, streams))
        await runner.setup()
        assert runner.server is not None
        server = HttpServer(
            "the listener for operators",
            runner.server.request_handler,
            request_factory=runner.server.request_factory,
            access_log=None,
            keepalive_timeout=self._send_timeout,
            max_line_size=LINE_LIMIT,
            logger=HttpErrorLog(__name__, "admin", self._state.refusals),
        )
        try:
            sock = bind_tcp(listen.host, listen.port)
            accepting = await asyncio.get_running_loop().create_server(server, sock=sock)
        except BaseException:
            await runner.cleanup()
            raise
        site = _Site(runner, server, accepting, streams, listen, int(sock.getsockname()[1]))
        log.info("serving operators", extra=fields(address=listen.host, port=site.port))
        return site
