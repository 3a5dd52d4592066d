"""Sockets as every listener wants them, and how many of them there may be.

RLIMIT_NOFILE   a quarter each for the connections of the unix connector, of the HTTP connector
                and of operators; the rest for probes and for the process itself
"""

import logging
import resource
import socket
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from time import monotonic
from typing import Generic, Protocol, TypeVar

from dnslb_backend.logs import fields
from dnslb_backend.throttle import LogRateLimiter

log = logging.getLogger(__name__)

CONNECTION_LIMIT = 1024
"""Connections that no listener needs more of: PowerDNS keeps one for every distributor thread."""

UNTRIED_SHARE = 4
"""One in so many connections may be new before new ones make room for each other: all at once
would close every one before its first request has arrived."""

LISTENERS = 3
"""Those that have a share of the descriptors."""


def bind_tcp(host: str, port: int) -> socket.socket:
    """A bound TCP socket; on `::` it takes IPv4 as well, which asyncio alone would not do.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def file_limit() -> int:
    """Descriptors that this process may have: the hard limit, to which the soft one is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connection_limit() -> int:
    """How many connections one listener may have: a quarter of the descriptors, at most."""
    return min(CONNECTION_LIMIT, file_limit() // 4)


class Connection(Protocol):
    """What ConnectionLimit may close."""

    def cut_off(self) -> None:
        """End it now, whatever it is at."""


C = TypeVar("C", bound=Connection)


class ConnectionLimit(Generic[C]):
    """The connections of one listener, called `name` in the log.

    Where another one would be too many, the one that was silent longest makes room: of those that
    never asked anything if they are many, else of those between two requests, else of all.
    """

    def __init__(self, name: str, most: int = CONNECTION_LIMIT) -> None:
        self.limit = min(connection_limit(), most)
        self._name = name
        self._untried = OrderedDict[C, None]()
        self._idle = OrderedDict[C, None]()
        self._busy = OrderedDict[C, None]()
        self._throttle = LogRateLimiter(monotonic)

    def __len__(self) -> int:
        return len(self._untried) + len(self._idle) + len(self._busy)

    def __iter__(self) -> Iterator[C]:
        return chain(self._untried, self._idle, self._busy)

    def admit(self, connection: C) -> None:
        """It has been accepted; another one is cut off if there are too many."""
        if len(self) >= self.limit:
            self._make_room()
        self._untried[connection] = None

    def busy(self, connection: C) -> None:
        """A request of it is under way. What has ended or was cut off is ignored, as in `idle`."""
        self._move(connection, self._busy)

    def idle(self, connection: C) -> None:
        """A request of it has just ended."""
        try:
            self._idle.move_to_end(connection)
        except KeyError:
            self._move(connection, self._idle)

    def discard(self, connection: C) -> bool:
        """It has ended, or is no longer ours; whether it was counted."""
        for connections in (self._untried, self._idle, self._busy):
            if connection in connections:
                del connections[connection]
                return True
        return False

    def _move(self, connection: C, connections: OrderedDict[C, None]) -> None:
        if self.discard(connection):
            connections[connection] = None

    def _make_room(self) -> None:
        is_crowded = len(self._untried) > self.limit // UNTRIED_SHARE
        connections = (is_crowded and self._untried) or self._idle or self._untried or self._busy
        if (kept_back := self._throttle.admit(None)) is not None:
            log.warning(
                "%s has %d connections, as many as it may have: closing the one idle longest",
                self._name,
                self.limit,
                extra=fields(more_like_it=kept_back or None),
            )
        longest, _ = connections.popitem(last=False)
        longest.cut_off()
