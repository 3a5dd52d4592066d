"""The HTTP connector: `remote-connection-string=http:url=http://127.0.0.1:8053/dns`."""

import asyncio
import logging
import socket
from collections.abc import Iterable
from functools import partial
from typing import cast

from aiohttp import web

from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.faults import FaultLog
from dnslb_backend.pdns.metered import MeteredResponder
from dnslb_backend.pdns.peers import Network, is_allowed
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.rest import NoSuchPathError, WrongVerbError, parse_http, parse_lookup
from dnslb_backend.pdns.throttle import Throttle

log = logging.getLogger(__name__)

CONNECTION_LIMIT = 1024
"""PowerDNS keeps one connection for every distributor thread."""

KEEP_ALIVE = 86400.0
"""Seconds that an idle connection lives. Closing one early races with PowerDNS's next query."""

UNREAD_LIMIT = 256 * 1024
"""Bytes of answers that a peer may leave unread before it asks again."""

REFUSAL_PATIENCE = 5.0
"""Seconds that a peer who may not ask has for sending its request and reading the 403."""

FAREWELL = 1.0
"""Seconds that a half-read request may still take when its connection must end."""

_REASON = b"[server] allow does not name this peer\n"
_REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_REASON), _REASON)
)


class HttpConnector:
    """Serves one responder over HTTP to the hosts of `networks`."""

    def __init__(self, responder: Responder, networks: Iterable[Network]) -> None:
        self._responder = MeteredResponder(responder, "http")
        self._networks = tuple(networks)
        self._listeners: list[asyncio.Server] = []
        self._server: _CountingServer | None = None
        self._is_draining = False
        self._faults = FaultLog(log, asyncio.get_running_loop().time)

    async def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept on `listeners`, which are bound, and closed by `stop`."""
        loop = asyncio.get_running_loop()
        self._server = server = _CountingServer(
            self._handle,
            access_log=None,
            logger=_WireLog(self._faults.throttle),
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=0,
        )
        self._listeners = [
            await loop.create_server(lambda: _Gate(self._networks, server), sock=listener)
            for listener in listeners
        ]

    def allow(self, networks: Iterable[Network]) -> None:
        """From now on only hosts of `networks` may ask; others lose their connections."""
        self._networks = tuple(networks)
        for handler in self._server.connections if self._server else ():
            transport = handler.transport
            if transport is not None and not _may_ask(transport, self._networks):
                handler.close()

    async def stop(self, grace: float) -> None:
        """Accept no more, close each connection with its next answer, the rest after `grace` s."""
        if self._server is None:
            return
        for listener in self._listeners:
            listener.close()
        self._is_draining = True
        # Those that were accepted a moment ago have not reached us yet.
        for _ in range(2):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(grace):
                await self._server.is_idle.wait()
        except TimeoutError:
            log.debug("closing %d idle connections", self._server.count)
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=FAREWELL)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            asked = parse_lookup(request.raw_path) if request.method == "GET" else None
            if asked is not None:
                body = self._responder.lookup(*asked, partial(_real_remote, request))
            else:
                data = await _body_of(request)
                method, parameters = parse_http(request.method, request.raw_path, data)
                body = self._responder.answer(method, parameters)
        except RequestError as error:
            return self._complain(400, str(error))
        except NoSuchPathError as error:
            return self._complain(404, f"PowerDNS's requests are served under {error}")
        except WrongVerbError as error:
            response = self._complain(405, f"this is asked for with {error}")
            response.headers["Allow"] = str(error)
            return response
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            return self._fault(error)
        return Answer(request, body, keep_alive=not self._is_draining)

    def _complain(self, status: int, text: str) -> web.Response:
        self._responder.refused()
        self._faults.refused(status, text)
        return web.Response(status=status, text=f"{text}\n")

    def _fault(self, error: Exception) -> web.Response:
        """HTTP 500: PowerDNS says SERVFAIL, and resolvers ask elsewhere."""
        self._faults.failed(error)
        return web.Response(status=500, text="a fault of dnslb-backend, see its log\n")


async def _body_of(request: web.BaseRequest) -> bytes:
    """All of it; one that says itself that it is too long is not waited for."""
    size, limit = request.content_length or 0, request.client_max_size
    if size > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
    try:
        return await request.read()
    except ConnectionError:
        raise RequestError("the peer went away in the middle of it") from None


def _real_remote(request: web.BaseRequest) -> str:
    return request.headers.get("X-RemoteBackend-Real-Remote", "")


class Answer(web.StreamResponse):
    """A good answer, written at once: aiohttp's own response costs as much as all the rest."""

    def __init__(self, request: web.BaseRequest, body: bytes, *, keep_alive: bool) -> None:
        # What StreamResponse would set up here is for building headers; these are fixed.
        self._transport = request.transport
        self._body_bytes = body
        self._stays = keep_alive and request.keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the answer. A peer that asks on without reading is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the peer went away")
        if transport.get_write_buffer_size() > UNREAD_LIMIT:
            transport.abort()
            raise ConnectionResetError("the peer does not read its answers")
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
            % (
                b"" if self._stays else b"Connection: close\r\n",
                len(self._body_bytes),
                self._body_bytes,
            )
        )
        if self._stays:
            transport.write(answer)
        else:
            _say_last(transport, answer)


def _say_last(transport: asyncio.Transport, answer: bytes) -> None:
    """Send the last answer of a connection, and its end in the same packet.

    PowerDNS pays no heed to `Connection: close`. It looks whether a connection has ended before
    it uses it again, and does so at once: an end that comes a moment later costs a query.
    """
    if transport.get_write_buffer_size():
        transport.write(answer)
        return
    with transport.get_extra_info("socket").dup() as sock:
        try:
            sent = sock.send(answer, socket.MSG_MORE)
        except BlockingIOError:
            sent = 0
        if sent == len(answer):
            sock.shutdown(socket.SHUT_WR)
        else:
            transport.write(answer[sent:])


class _WireLog(logging.LoggerAdapter[logging.Logger]):
    """Where aiohttp complains of what is no HTTP: without tracebacks, and not every time."""

    def __init__(self, throttle: Throttle) -> None:
        super().__init__(log)
        self._throttle = throttle

    def exception(self, msg: object, *args: object, **_: object) -> None:
        if self._throttle.admit(msg) is not None:
            self.warning(msg, *args)


class _CountingServer(web.Server):
    """Knows when its last connection is gone."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.is_idle = asyncio.Event()
        self.is_idle.set()
        self.count = 0

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


class _Gate(asyncio.Protocol):
    """Looks at the peer of a new connection once, before a byte of it is read."""

    def __init__(self, networks: tuple[Network, ...], server: _CountingServer) -> None:
        self._networks = networks
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not _may_ask(self._transport, self._networks):
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(REFUSAL_PATIENCE, self._transport.abort)
        elif self._server.count >= CONNECTION_LIMIT:
            self._transport.abort()
        else:
            handler = self._server()
            self._transport.set_protocol(handler)
            handler.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        """A peer that may not ask has sent something: now it will read that it is refused."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_REFUSED)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()


def _may_ask(transport: asyncio.BaseTransport, networks: tuple[Network, ...]) -> bool:
    peer = transport.get_extra_info("peername")
    return bool(peer) and is_allowed(peer[0], networks)
