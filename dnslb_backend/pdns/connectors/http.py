"""The HTTP connector: `remote-connection-string=http:url=http://127.0.0.1:8053/dns`."""

import asyncio
import logging
import socket
from collections.abc import Iterable
from functools import partial
from typing import cast

from aiohttp import web

from dnslb_backend.core.model.names import key_of
from dnslb_backend.errors import DnslbError, RequestError
from dnslb_backend.http_hosts import is_expected_host
from dnslb_backend.http_server import HttpConnection, HttpErrorLog, HttpServer
from dnslb_backend.network import Network
from dnslb_backend.pdns.connectors.admission import (
    REFUSAL_LIMIT,
    AdmissionProtocol,
    is_peer_allowed,
)
from dnslb_backend.pdns.connectors.fault_log import ThrottledLog
from dnslb_backend.pdns.connectors.http_response import (
    INTERNAL_ERROR,
    SERVFAIL,
    LookupResponse,
    render_response,
)
from dnslb_backend.pdns.connectors.sockets import BACKLOG
from dnslb_backend.pdns.methods.metered import MeteredResponder
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.peers import peer_name
from dnslb_backend.pdns.wire.parameters import Parameters
from dnslb_backend.pdns.wire.rest import (
    NoSuchPathError,
    WrongVerbError,
    parse_http,
    parse_lookup,
    parse_whole_lookup,
)
from dnslb_backend.sockets import ConnectionLimit
from dnslb_backend.tasks import BackgroundTasks

log = logging.getLogger(__name__)

KEEP_ALIVE = 10 * 365 * 86400.0
"""Seconds until an idle connection is closed for its age, which would race with PowerDNS's next
query: the limit of connections and TCP keep-alive end what are too many, or dead."""

READ_TIMEOUT = 10.0
"""Seconds that a peer has at least for the head of a request, and for its body. PowerDNS sends
either in one piece, as soon as it is connected, and itself waits 2 s."""

CLOSE_TIMEOUT = 1.0
"""Seconds that a half-read request may still take when its connection must end."""


class _ForbiddenError(DnslbError):
    """The client is not PowerDNS; the text says why."""


class _KeysError(DnslbError):
    """A request is not open to all who can connect; `what` is what it would do."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, which is refused over HTTP: connect PowerDNS over [server] unix,"
            " or set [server] http_keys = true"
        )


class HttpConnector:
    """Serves one responder over HTTP to the hosts of `networks`.

    A peer that does not send the whole of a request within `read_timeout` seconds, or twice that,
    is disconnected; one that has sent a request before may be idle between two requests. Without
    `serves_keys`, requests that return a private key or write are refused: anyone on an allowed
    host can connect. A Host that is neither local nor in `hosts` comes from a web page, and is
    refused.
    """

    def __init__(
        self,
        responder: Responder,
        networks: Iterable[Network],
        *,
        serves_keys: bool = False,
        hosts: Iterable[str] = (),
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._responder = MeteredResponder(responder, "http")
        self._networks = tuple(networks)
        self._serves_keys = serves_keys
        self._hosts = frozenset(hosts)
        self._listeners: list[asyncio.Server] = []
        self._server: HttpServer | None = None
        self._tasks = BackgroundTasks("lookup")
        self._read_timeout = read_timeout
        self._is_draining = False
        self._fault_log = ThrottledLog(log, asyncio.get_running_loop().time)

    async def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept on `listeners`, which are bound, and closed by `stop`."""
        loop = asyncio.get_running_loop()
        self._server = server = HttpServer(
            "the HTTP connector",
            self._handle,
            fast_path=self._respond_at_once,
            access_log=None,
            logger=HttpErrorLog(__name__, "lookup", self._fault_log.throttle),
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=0,
        )
        refused = ConnectionLimit[AdmissionProtocol](
            "the HTTP connector, for peers that are not allowed,", REFUSAL_LIMIT
        )
        self._tasks.start(server.watch(self._read_timeout), "watch of HTTP peers")
        self._listeners = [
            # create_server calls listen() again, which would shorten the queue.
            await loop.create_server(
                lambda: AdmissionProtocol(self._networks, server, refused, self._fault_log),
                sock=listener,
                backlog=BACKLOG,
            )
            for listener in listeners
        ]

    def allow(
        self, networks: Iterable[Network], *, serves_keys: bool = False, hosts: Iterable[str] = ()
    ) -> None:
        """From now on only hosts of `networks` may connect; others are disconnected."""
        self._serves_keys = serves_keys
        self._hosts = frozenset(hosts)
        # What was found is remembered with the whole request, its Host among it.
        self._responder.forget()
        self._networks = tuple(networks)
        for handler in self._server.connections if self._server else ():
            transport = handler.transport
            if transport is not None and not is_peer_allowed(transport, self._networks):
                handler.close()

    async def stop(self, grace: float) -> None:
        """Accept no more, close each connection with its next answer, the rest after `grace` s."""
        if self._server is None:
            return
        for listener in self._listeners:
            listener.close()
        self._is_draining = True
        # Connections that were just accepted have not called back yet.
        for _ in range(2):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(grace):
                await self._server.is_idle.wait()
        except TimeoutError:
            log.debug("closing %d idle connections", self._server.count)
        await self._tasks.close()
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=CLOSE_TIMEOUT)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        cast(HttpConnection, request.protocol).mark_read()
        try:
            self._check_host(request.headers.get("Host", ""))
            asked = parse_lookup(request.raw_path) if request.method == "GET" else None
            if asked is not None:
                body = self._responder.lookup(*asked, partial(_real_remote, request))
            else:
                data = await _body_of(request)
                method, parameters = parse_http(request.method, request.raw_path, data)
                if self._responder.is_write(method):
                    body = await self._write(request, method, parameters)
                else:
                    body = self._read(method, parameters)
        except _ForbiddenError as error:
            return self._bad_request(403, str(error))
        except _KeysError as error:
            self._fault_log.failed(error)
            return web.Response(status=500, text=f"{error}\n")
        except RequestError as error:
            return self._bad_request(400, str(error))
        except NoSuchPathError as error:
            return self._bad_request(404, f"PowerDNS's requests are served under {error}")
        except WrongVerbError as error:
            response = self._bad_request(405, f"method not allowed: use {error}")
            response.headers["Allow"] = str(error)
            return response
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            self._fault_log.failed(error)
            return web.Response(status=500, text=INTERNAL_ERROR.decode())
        return LookupResponse(request, body, keep_alive=not self._is_draining)

    def _respond_at_once(self, request: bytes) -> bytes | None:
        """The whole response to a lookup as PowerDNS sends it; None leaves it to `_handle`."""
        if self._is_draining:
            return None
        try:
            body = self._responder.known(request)
            if body is None:
                asked = parse_whole_lookup(request)
                if asked is None or not is_expected_host(asked.host, self._hosts):
                    return None
                remote = asked.real_remote
                body = self._responder.lookup(asked.qname, asked.qtype, lambda: remote, request)
        except RequestError:
            return None
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            self._fault_log.failed(error)
            return SERVFAIL
        return render_response(body)

    def _check_host(self, host: str) -> None:
        if not is_expected_host(host, self._hosts):
            raise _ForbiddenError(f"[server] hosts does not name {host[:255]}")

    def _read(self, method: str, parameters: Parameters) -> bytes:
        body = self._responder.answer(method, parameters)
        if not self._serves_keys and self._responder.shows_keys(method, body):
            # With an empty answer PowerDNS would serve a signed zone unsigned.
            name = key_of(str(parameters.get("name", "all")))
            raise _KeysError(f"{method} of {name[:255]} shows keys")
        return body

    async def _write(self, request: web.BaseRequest, method: str, parameters: Parameters) -> bytes:
        if "Origin" in request.headers:
            # Sent by a page in a browser, not by PowerDNS.
            raise _ForbiddenError("only PowerDNS may write")
        if not self._serves_keys:
            raise _KeysError(f"{method} writes")
        return await self._responder.execute_write(method, parameters, peer_name(request.transport))

    def _bad_request(self, status: int, text: str) -> web.Response:
        self._responder.refused()
        self._fault_log.refused(status, text)
        return web.Response(status=status, text=f"{text}\n")


async def _body_of(request: web.BaseRequest) -> bytes:
    """The complete body; one whose Content-Length is too large is refused at once."""
    size, limit = request.content_length or 0, request.client_max_size
    if size > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
    try:
        body = await request.read()
    except ConnectionError:
        raise RequestError("the peer closed the connection within a request") from None
    except web.RequestPayloadError as error:
        raise RequestError(f"cannot read the body: {error}") from None
    cast(HttpConnection, request.protocol).mark_read()
    return body


def _real_remote(request: web.BaseRequest) -> str:
    return request.headers.get("X-RemoteBackend-Real-Remote", "")
