"""The socket between a helper process and the daemon: one JSON object a line.

Standard library only.
"""

import json
import selectors
import socket
from collections.abc import Callable
from typing import Any

RECEIVE_SIZE = 1 << 16


class DaemonChannel:
    """The helper's end; `handle` gets each request. Nothing that is sent ever blocks."""

    def __init__(
        self,
        sock: socket.socket,
        selector: selectors.BaseSelector,
        handle: Callable[[dict[str, Any]], None],
    ) -> None:
        self._sock = sock
        self._selector = selector
        self._handle = handle
        self._inbox = bytearray()
        self._outbox = bytearray()
        self.closed = False
        """Whether the daemon has hung up."""
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, self.receive)

    def receive(self) -> None:
        """Handle the requests that have arrived."""
        try:
            data = self._sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return
        self._inbox += data
        *lines, rest = self._inbox.split(b"\n")
        self._inbox = rest
        for line in lines:
            self._handle(json.loads(line))

    def send(self, message: dict[str, object]) -> None:
        self._outbox += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes now; the selector is asked to say when it takes the rest."""
        try:
            while self._outbox:
                del self._outbox[: self._sock.send(self._outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        if self._selector.get_key(self._sock).events != events:
            self._selector.modify(self._sock, events, self.receive)
