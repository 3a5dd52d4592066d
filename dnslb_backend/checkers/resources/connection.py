"""A TCP or TLS connection to a target, bounded in bytes and fair to the event loop.

TLS runs over memory buffers on top of the TCP stream, so that every byte a target sends is counted,
records and messages of TLS included, and so that a failure can be classified by the phase in
which it occurs.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar, cast

from dnslb_backend.checkers.resources.classify import TargetError, conversation
from dnslb_backend.core.health.results import Code

T = TypeVar("T")

BUDGET = 256 * 1024
"""Bytes on the wire that a target may send in one probe."""

PIECE = 16 * 1024
"""Bytes at most that one read returns; the event loop runs between two reads."""


class _Stream(asyncio.Protocol):
    """The TCP stream: what arrived, then how it ended."""

    def __init__(self) -> None:
        self.ended = False
        self.error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._blocked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        # One piece at a time: TCP slows the target down until it is taken.
        self.transport.pause_reading()
        self._pieces.extend(data[start : start + PIECE] for start in range(0, len(data), PIECE))
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        self._blocked = False
        self._wake()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._wake()

    async def read(self) -> bytes:
        """The next bytes; b"" at the end. What came before an error is returned before it."""
        if self._pieces:
            # A target that never stops sending must not keep others from running.
            await asyncio.sleep(0)
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            self.transport.resume_reading()
            await self._wait()
        return self._pieces.popleft()

    async def write(self, data: bytes) -> None:
        """Returns when nearly all was taken by the system, or the connection is gone."""
        if not self.transport.is_closing():
            self.transport.write(data)
        while self._blocked:
            await self._wait()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class TargetConnection:
    """What `connected` yields. Every method raises TargetError, or ssl.SSLError, for the target."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._received = 0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._kept = False
        self.session: ssl.SSLObject | None = None

    async def send(self, data: bytes) -> None:
        with conversation():
            session = self.session
            if session is None:
                await self._stream.write(data)
            elif data:
                await self._tls(lambda: session.write(data))

    async def read(self) -> bytes:
        """The next bytes, PIECE at most; b"" when the target has ended its side."""
        with conversation():
            session = self.session
            if session is None:
                return await self._read_wire()
            try:
                return await self._tls(lambda: session.read(PIECE))
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # An end without a goodbye is one: what must be whole says how long it is.
                return b""

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands; `name` is asked for, and verified unless the context does without."""
        session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        with conversation():
            try:
                await self._tls(session.do_handshake)
            except ssl.SSLEOFError as error:
                raise TargetError(
                    Code.REFUSED, "closed the connection in the TLS handshake"
                ) from error
        self.session = session

    async def say_goodbye(self) -> None:
        """End TLS, and return when the target has said something or ended its side.

        In TLS 1.3 only that shows whether the target took our certificate: ssl.SSLError if not.
        """
        session = self.session
        assert session is not None
        with contextlib.suppress(ssl.SSLWantReadError):
            session.unwrap()
        with contextlib.suppress(TargetError):
            await self.read()

    def keep_open(self) -> None:
        """The caller will end the connection, with `drain` or `abort`."""
        self._kept = True

    async def drain(self, size: int) -> None:
        """Throw away what the target still sends, up to `size` bytes, so that it is not reset."""
        with contextlib.suppress(OSError):
            while size > 0 and (data := await self._stream.read()):
                size -= len(data)

    def abort(self) -> None:
        self._stream.transport.abort()

    def leave(self) -> None:
        if not self._kept:
            self.abort()

    async def _read_wire(self) -> bytes:
        data = await self._stream.read()
        self._received += len(data)
        if self._received > BUDGET:
            raise TargetError(Code.STATUS, f"sent more than {BUDGET // 1024} KiB")
        return data

    async def _tls(self, action: Callable[[], T]) -> T:
        """`action` of the session, as often as it needs more bytes from the target."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                pass
            finally:
                await self._flush()
            if data := await self._read_wire():
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await self._stream.write(data)


@contextlib.asynccontextmanager
async def connected(
    address: str, port: int, tls: ssl.SSLContext | None = None, name: str = ""
) -> AsyncIterator[TargetConnection]:
    """A connection, over TLS if `tls` is given; it is aborted at the end of the block.

    Raises OSError where the connection cannot be made; sets no limit of time.
    """
    _, stream = await asyncio.get_running_loop().create_connection(_Stream, address, port)
    connection = TargetConnection(stream)
    try:
        if tls is not None:
            await connection.start_tls(tls, name)
        yield connection
    finally:
        connection.leave()
