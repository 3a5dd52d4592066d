"""A TCP or TLS connection to a target, bounded in bytes and fair to the event loop.

TLS runs over memory buffers on top of the TCP stream, so that every byte a target sends is counted,
records and messages of TLS included, and so that a failure can be classified by the phase in
which it occurs.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from types import TracebackType
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
        self._drain: _Drain | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._drain is not None:
            self._drain.received(len(data))
            return
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
        if self.ended and self._drain is not None:
            self._drain.end()

    def drain(self, size: int, seconds: float, ended: Callable[[], None]) -> None:
        """As `TargetConnection.drain`."""
        self._drain = _Drain(self, size, self._loop.call_later(seconds, self._time_up), ended)
        self._drain.received(sum(map(len, self._pieces)))
        self._pieces.clear()
        if self.ended:
            self._drain.end()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _time_up(self) -> None:
        if self._drain is not None:
            self._drain.end()


class _Drain:
    """What a stream still receives is thrown away, up to `size` bytes and until the timer fires."""

    def __init__(
        self, stream: _Stream, size: int, timer: asyncio.TimerHandle, ended: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._left = size
        self._timer = timer
        self._ended = ended

    def received(self, size: int) -> None:
        self._left -= size
        if self._left <= 0:
            self.end()

    def end(self) -> None:
        self._timer.cancel()
        self._stream.transport.abort()
        self._ended()


class TargetConnection:
    """What `connected` yields. Every method raises TargetError, or ssl.SSLError, for the target."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._received = 0
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
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
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

    def drain(self, size: int, seconds: float, ended: Callable[[], None]) -> None:
        """Outlive the block: throw away what the target still sends, up to so many bytes and
        seconds, so that it is not reset. `ended` is called when the connection is gone, perhaps
        more than once."""
        self._kept = True
        self._stream.drain(size, seconds, ended)

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


def connected(
    address: str, port: int, tls: ssl.SSLContext | None = None, name: str = ""
) -> "_Connected":
    """A connection, over TLS if `tls` is given; it is aborted at the end of the block.

    Raises OSError where the connection cannot be made; sets no limit of time.
    """
    return _Connected(address, port, tls, name)


class _Connected:
    """The asynchronous context manager of `connected`."""

    # No generator: thousands of probes a second pass through here.
    __slots__ = ("_address", "_connection", "_name", "_port", "_tls")

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None, name: str) -> None:
        self._address = address
        self._port = port
        self._tls = tls
        self._name = name

    async def __aenter__(self) -> TargetConnection:
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(_Stream, self._address, self._port)
        self._connection = TargetConnection(stream)
        if self._tls is not None:
            try:
                await self._connection.start_tls(self._tls, self._name)
            except BaseException:
                self._connection.abort()
                raise
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.leave()
