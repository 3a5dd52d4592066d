"""One request or answer per line: the unix and pipe connectors.

A line is JSON, as PowerDNS's remote backend writes it, or the tabbed dialect of its pipe
backend, which begins with a HELO. PowerDNS sends one request at a time; several lines in one
piece, one line in several pieces, and peers that do not read are handled all the same.
"""

import asyncio
import re
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.connectors.fault_log import ThrottledLog
from dnslb_backend.pdns.connectors.pipe_abi import (
    BANNER,
    FAIL,
    HELLO,
    PipeAbiSession,
    hello_version,
)
from dnslb_backend.pdns.methods.metered import MeteredResponder
from dnslb_backend.pdns.peers import peer_name
from dnslb_backend.pdns.wire.parameters import Parameters
from dnslb_backend.pdns.wire.requests import parse_request
from dnslb_backend.sockets import ConnectionLimit
from dnslb_backend.tasks import BackgroundTasks

LINE_LIMIT = 64 * 1024
"""Bytes of one request; PowerDNS's have a few hundred."""

SHORT_REQUEST = 2048
"""Bytes that a lookup of PowerDNS never reaches; longer requests are not cached."""

_TEXT = rb'"[ !#-\[\]-~]*"'
_LOOKUP = re.compile(
    rb'\{"method": "lookup", "parameters": \{"local": %(text)b, "qname": "([ !#-\[\]-~]*)", '
    rb'"qtype": "([A-Z0-9]+)", "real-remote": "([ !#-\[\]-~]*)", "remote": %(text)b, '
    rb'"zone-id": -?[0-9]+\}\}\n' % {b"text": _TEXT}
)
"""A lookup exactly as PowerDNS writes it. It means the same in JSON, since it has no escapes
and no bytes that need one. A JSON parser reads any other line."""


CLOSE_TIMEOUT = 5.0
"""Seconds that a peer has to read its last answers."""

READ_TIMEOUT = 10.0
"""Seconds that a peer has for the rest of a line, which PowerDNS sends in one piece, and to read
an answer that exceeds the socket buffers. Its further requests are not read meanwhile."""

JSON = "json"
"""The dialect of the remote backend; that of the pipe backend is `abi1` to `abi5`."""


def parse_lookup(line: bytes) -> tuple[str, str, Callable[[], str]] | None:
    """Name, type and client of a line exactly as PowerDNS writes a lookup; None for any other."""
    found = _LOOKUP.fullmatch(line)
    if found is None:
        return None
    qname, qtype, remote = found.groups()
    return qname.decode(), qtype.decode(), remote.decode


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection between two requests, and its dialect: the complete state."""

    sock: socket.socket
    dialect: str = JSON


HandOver = Callable[[StoredConnection | None], None]
"""Called once when a connection is between two requests; with None if it broke instead."""


class LineProtocol(asyncio.Protocol):
    """One connection of a PowerDNS with the `remote` or the `pipe` backend.

    It is in `peers` until it ends or is handed over.

    `dialect` is that of a connection that another process accepted. Raises RequestError for an
    unknown one. A peer that does not complete a line, or read an answer, within READ_TIMEOUT
    seconds is disconnected; between lines there is no limit.
    """

    def __init__(
        self,
        remote: MeteredResponder,
        pipe: MeteredResponder,
        fault_log: ThrottledLog,
        peers: ConnectionLimit["LineProtocol"],
        tasks: BackgroundTasks,
        dialect: str = JSON,
    ) -> None:
        self._responder = remote
        self._pipe = pipe
        self._fault_log = fault_log
        self._peers = peers
        self._tasks = tasks
        self._pipe_abi: PipeAbiSession | None = None
        self._fast_path = True
        """Whether no write is under way, and the connection is to stay."""
        if dialect != JSON:
            self._pipe_abi = PipeAbiSession(
                pipe, hello_version(dialect.replace("abi", "HELO\t").encode())
            )
        self._transport: asyncio.Transport | None = None
        self._waiting = deque[bytes]()
        self._partial = bytearray()
        self._is_paused = False
        self._on_hand_over: HandOver | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._write: asyncio.Task[None] | None = None

    def hand_over(self, on_hand_over: HandOver) -> None:
        """Pass the connection to `on_hand_over` as soon as it is between two requests."""
        self._on_hand_over = on_hand_over
        self._fast_path = False
        if self._transport is None:
            self._handed_over(None)
            return
        self._hand_over_if_idle()

    def cut_off(self) -> None:
        """End it now, even within a request."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)
        self._peers.admit(self)

    def data_received(self, data: bytes) -> None:
        self._peers.idle(self)
        # The usual case: one complete lookup, nothing queued. Everything else takes the slow path.
        transport = self._transport
        if self._fast_path and transport and not self._partial and not self._waiting:
            if self._pipe_abi is not None:
                self._answer_pipe(data, transport)
                return
            try:
                answer = self._responder.known(data)
                if answer is None and len(data) < SHORT_REQUEST:
                    lookup = parse_lookup(data)
                    if lookup is not None:
                        answer = self._responder.lookup(*lookup, data)
            except Exception as error:  # noqa: BLE001 - the outermost frame of a request
                self._fault_log.failed(error)
                self._hang_up()
                return
            if answer is not None:
                transport.write(answer + b"\n")
                return
        self._split(data)
        self._work()

    def _answer_pipe(self, data: bytes, transport: asyncio.Transport) -> None:
        """Answer what came of the pipe backend, usually one complete line."""
        if data.find(b"\n") == len(data) - 1 and not self._is_paused:
            answer = self._answer(data[:-1])
            assert answer is not None
            transport.write(answer)
        else:
            self._split(data)
            self._work()

    def pause_writing(self) -> None:
        self._is_paused = True
        self._forget_limit()
        self._start_limit()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._forget_limit()
        self._work()
        if not self._is_paused and self._transport is not None:
            self._transport.resume_reading()
            if self._partial:
                self._start_limit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._forget_limit()
        self._peers.discard(self)
        self._handed_over(None)

    # -- inside -------------------------------------------------------------------------

    def _split(self, data: bytes) -> None:
        """Queue the complete lines; keep the rest until its end arrives."""
        known = len(self._partial)
        self._partial += data
        if self._partial.find(b"\n", known) >= 0:
            *lines, self._partial = self._partial.split(b"\n")
            self._waiting.extend(map(bytes, lines))
            self._forget_limit()
        if self._partial and self._limit is None:
            self._start_limit()
        if len(self._partial) > LINE_LIMIT:
            self._fault_log.refused("long line", f"a line is longer than {LINE_LIMIT} bytes")
            self._hang_up()

    def _start_limit(self) -> None:
        # In two steps, so that a suspension of this process does not cost a peer its connection.
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(READ_TIMEOUT / 2, self._renew_limit)

    def _renew_limit(self) -> None:
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(READ_TIMEOUT / 2, self._exceed_limit)

    def _exceed_limit(self) -> None:
        if self._is_paused:
            self._fault_log.refused("unread", f"answers were not read within {READ_TIMEOUT:g} s")
            self.cut_off()
        else:
            self._fault_log.refused("half a line", "the rest of a line did not arrive")
            self._hang_up()

    def _forget_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _work(self) -> None:
        while self._waiting and not self._is_paused and self._transport is not None:
            if self._write is not None:
                return
            answer = self._answer(self._waiting.popleft())
            if answer is None:
                self._hang_up()
            else:
                self._transport.write(answer)
        self._hand_over_if_idle()

    async def _execute_write(self, method: str, parameters: Parameters) -> None:
        """One write; the requests after it wait."""
        try:
            answer = await self._responder.execute_write(
                method, parameters, peer_name(self._transport)
            )
        except RequestError as error:
            self._responder.refused()
            self._fault_log.refused("line", str(error))
            self._hang_up()
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            self._fault_log.failed(error)
            self._hang_up()
        else:
            if self._transport is not None:
                self._transport.write(answer + b"\n")
        self._write = None
        self._fast_path = self._on_hand_over is None
        self._work()

    def _answer(self, line: bytes) -> bytes | None:
        """The answer to this line; None: no answer, the connection ends."""
        try:
            if self._pipe_abi is not None:
                return self._pipe_abi.answer(line)
            if line.startswith(HELLO):
                self._pipe_abi = PipeAbiSession(self._pipe, hello_version(line))
                return BANNER
            method, parameters = parse_request(line)
            if self._responder.is_write(method):
                self._fast_path = False
                self._write = self._tasks.start(
                    self._execute_write(method, parameters), f"write of PowerDNS: {method}"
                )
                return b""
            answer = self._ask(method, parameters)
        except RequestError as error:
            (self._responder if self._pipe_abi is None else self._pipe).refused()
            self._fault_log.refused("line", str(error))
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            self._fault_log.failed(error)
        else:
            return answer + b"\n"
        return FAIL if self._pipe_abi is not None or line.startswith(HELLO) else None

    def _ask(self, method: str, parameters: Parameters) -> bytes:
        if method.lower() == "initialize" and "command" in parameters:
            # The remote backend's pipe connector, through a coprocess.
            self._responder = self._pipe
        return self._responder.answer(method, parameters)

    def _hang_up(self) -> None:
        """Close the connection: in the JSON dialect the only way to report a failure."""
        transport, self._transport = self._transport, None
        self._waiting.clear()
        self._forget_limit()
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, transport.abort)

    def _hand_over_if_idle(self) -> None:
        transport = self._transport
        if self._on_hand_over is None or transport is None:
            return
        if self._is_paused or self._waiting or self._partial or self._write is not None:
            return
        transport.pause_reading()
        sock = transport.get_extra_info("socket").dup()
        self._transport = None
        transport.abort()
        self._handed_over(
            StoredConnection(sock, f"abi{self._pipe_abi.version}" if self._pipe_abi else JSON)
        )

    def _handed_over(self, connection: StoredConnection | None) -> None:
        on_hand_over, self._on_hand_over = self._on_hand_over, None
        if on_hand_over is not None:
            on_hand_over(connection)
