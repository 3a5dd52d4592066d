"""Connections of the HTTP listeners: of PowerDNS's connector and of the one for operators."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.logs import fields
from dnslb_backend.metrics import Component
from dnslb_backend.sockets import ConnectionLimit
from dnslb_backend.throttle import LogRateLimiter

SERVER_NAME = "dnslb"
"""What the header Server says: versions are for operators."""

HEAD_END = b"\r\n\r\n"

SEPARATE_REQUESTS = 64
"""Requests in one piece that are parsed one by one, so that garbage after them spoils none."""

Handle = Callable[..., Awaitable[web.StreamResponse]]

FastPath = Callable[[bytes], bytes | None]
"""From a piece that a peer has sent to the whole response; None: it is for aiohttp to parse."""


class HttpConnection(web.RequestHandler):
    """One connection, and whether its peer owes the rest of a request.

    Between two requests a peer may be silent for as long as the keep-alive lasts. Before the first
    one there is no reason to be. A peer that has sent all its requests may end its half of the
    connection, and is answered. What the server's fast path answers is never parsed.
    """

    __slots__ = (
        "_answered",
        "_has_ended",
        "_has_partial_head",
        "_pieces",
        "_pieces_read",
        "_received",
        "_server",
        "progress",
    )

    def __init__(self, server: "HttpServer", **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self.progress = 0
        self._pieces = self._pieces_read = 0
        self._answered = 0
        self._has_ended = False
        self._has_partial_head = False
        """Whether the parser may have the first part of a request."""
        self._received: StreamReader | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether it has sent nothing yet, or something that is not a whole request."""
        return not self.progress or self._pieces != self._pieces_read

    def data_received(self, data: bytes) -> None:
        transport, fast_path = self.transport, self._server.fast_path
        if fast_path and transport and self._is_between_requests(transport):
            response = fast_path(data)
            if response is not None:
                self.progress += 1
                self._server.answered(self)
                transport.write(response)
                return
        self._pieces += 1
        self._has_partial_head = not data.endswith(HEAD_END)
        if 0 <= data.find(HEAD_END) < len(data) - len(HEAD_END):
            # The parser forgets the requests that precede a bad one in the same piece.
            *heads, data = data.split(HEAD_END, SEPARATE_REQUESTS)
            for head in heads:
                self._parse(head + HEAD_END)
        self._parse(data)

    def _is_between_requests(self, transport: asyncio.Transport) -> bool:
        """Whether all that came until now is answered and read, and more may come."""
        return not (
            self._pieces != self._pieces_read
            or self._has_partial_head
            or self._messages
            or self._request_in_progress
            or self._close
            or self._force_close
            or self._upgraded
            or transport.get_write_buffer_size()
        )

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if not self._messages:
            return
        message, body = self._messages[-1]
        before, self._received = self._received, body
        if isinstance(message, RawRequestMessage):
            return
        if message.exc is not None:
            # Its traceback refers to frames that refer to it: without this, they would wait for
            # the garbage collector, and this connection with them.
            message.exc.with_traceback(None)
        if before is not None and not before.is_eof():
            # The bad piece was within a body, whose reader the parser does not notify.
            before.set_exception(web.RequestPayloadError("malformed body"))

    def mark_read(self) -> None:
        """All that came until now has been of use: the head of a request, or its body."""
        self.progress += 1
        self._pieces_read = self._pieces

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection while a request that is complete waits for its answer."""
        is_answered = self._answered == self._request_count
        if is_answered or not self._is_complete() or self._is_streaming():
            return False
        self._has_ended = True
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        # It refers to this connection: without this, both would wait for the garbage collector.
        self._received = None
        super().connection_lost(exc)

    def _is_complete(self) -> bool:
        """Whether all of the body of the latest request is there."""
        return self._received is not None and self._received.is_eof()

    def _is_streaming(self) -> bool:
        """Whether an answer has begun: one without an end would never notice that its peer left."""
        request = self._current_request
        return request is not None and request.writer.output_size > 0

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.Response):
            resp.headers.setdefault("Server", SERVER_NAME)
        finished = await super().finish_response(request, resp, start_time)
        self._answered += 1
        if self._has_ended and self._answered == self._request_count:
            self.close()
        return finished

    def cut_off(self) -> None:
        """End it now, whatever it is at."""
        if self.transport is not None:
            self.transport.abort()


class HttpServer(web.Server):
    """The connections of one listener, as many as it may have; `name` is what the log calls it.

    `fast_path` is tried for what comes between two requests. `options` are those of
    web.RequestHandler.
    """

    def __init__(
        self,
        name: str,
        handle: Handle,
        *,
        fast_path: FastPath | None = None,
        request_factory: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(self._counted, request_factory=request_factory)
        self._handle = handle
        self.fast_path = fast_path
        self._options = options
        self._limit = ConnectionLimit[HttpConnection](name)
        self.count = 0
        self.is_idle = asyncio.Event()
        """Whether the last connection is gone."""
        self.is_idle.set()

    def __call__(self) -> HttpConnection:
        return HttpConnection(self, loop=asyncio.get_running_loop(), **self._options)

    def answered(self, connection: HttpConnection) -> None:
        """A connection was answered on the fast path."""
        self._limit.idle(connection)

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, HttpConnection)
        self._limit.busy(connection)
        try:
            return await self._handle(request)
        finally:
            self._limit.idle(connection)

    async def watch(self, limit: float) -> None:
        """Close what owes a request for `limit` seconds, or twice that; lives until cancelled.

        A connection is looked at twice, so that a standstill of this process costs no peer.
        """
        owing: dict[web.RequestHandler, int] = {}
        while True:
            await asyncio.sleep(limit)
            before, owing = owing, {}
            for connection in self.connections:
                if not isinstance(connection, HttpConnection) or not connection.is_incomplete:
                    continue
                if before.get(connection) == connection.progress:
                    connection.force_close()
                else:
                    owing[connection] = connection.progress

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self.count += 1
        self.is_idle.clear()
        assert isinstance(handler, HttpConnection)
        self._limit.admit(handler)
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self.count -= 1
        if not self.count:
            self.is_idle.set()
        assert isinstance(handler, HttpConnection)
        self._limit.discard(handler)
        super().connection_lost(handler, exc)


class HttpErrorLog(ComponentLog):
    """The log of aiohttp: an unexpected exception with its traceback, what is not HTTP in one line
    that shows nothing of it, rate limited."""

    def __init__(self, name: str, component: Component, limiter: LogRateLimiter) -> None:
        super().__init__(name, component)
        self._limiter = limiter

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        error = options.get("exc_info")
        if not isinstance(error, HttpProcessingError):
            super().exception(msg, *args, **options)
        elif (suppressed := self._limiter.admit((msg, args))) is not None:
            facts = fields(more_like_it=suppressed or None)
            self.logger.warning("%s: not HTTP", str(msg) % args, extra=facts)
