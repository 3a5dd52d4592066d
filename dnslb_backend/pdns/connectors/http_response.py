"""The answer to a lookup over HTTP, with as little around it as can be."""

import asyncio
import socket

from aiohttp import web

UNREAD_LIMIT = 256 * 1024
"""Bytes of answers that a peer may leave unread before it asks again."""

INTERNAL_ERROR = b"internal error in dnslb-backend, see its log\n"
"""The text of an HTTP 500: PowerDNS answers SERVFAIL, and resolvers try another server."""

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"

SERVFAIL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(INTERNAL_ERROR), INTERNAL_ERROR)
)


def render_response(body: bytes, *, keep_alive: bool = True) -> bytes:
    """The whole response to a request that was answered."""
    return _RESPONSE % (b"" if keep_alive else b"Connection: close\r\n", len(body), body)


class LookupResponse(web.StreamResponse):
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
        answer = render_response(self._body_bytes, keep_alive=self._stays)
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
