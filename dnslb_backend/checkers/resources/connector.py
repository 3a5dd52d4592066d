"""Connections that are made and closed: the most frequent probe of all.

The event loop watches one epoll instance for all of them, and one timer for their deadlines. A
task, a transport or a timer for each would cost as much as connecting.
"""

import asyncio
import errno
import math
import os
import select
import time
from collections import deque
from collections.abc import Callable
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SocketType

from dnslb_backend.checkers.resources.deadlines import time_up
from dnslb_backend.slices import SLICE

DECIDED_AT_ONCE = 16
"""Connections that may change the answers of a record each, between two turns of others."""

Ended = Callable[[Exception | None, float], None]
"""Gets what went wrong, None where the connection was accepted, and when (monotonic)."""


class ConnectionAttempt:
    """One under way; `ended` is None once it is over."""

    __slots__ = ("deadline", "ended", "socket")

    def __init__(self, connecting: SocketType, deadline: float, ended: Ended) -> None:
        self.socket = connecting
        self.deadline = deadline
        self.ended: Ended | None = ended


class Connector:
    """Made on the event loop that it is used on. Close it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll, self._decide)
        self._under_way: dict[int, ConnectionAttempt] = {}
        self._by_limit: dict[float, deque[ConnectionAttempt]] = {}
        """Each in the order of its deadlines; those that are over go when the timer fires."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf

    def start(
        self, address: str, port: int, began: float, limit: float, ended: Ended
    ) -> ConnectionAttempt:
        """Connect within `limit` seconds of `began` (monotonic), which never goes back; `ended` is
        called once, later, unless `cancel` is before. Raises OSError where this machine cannot even
        begin."""
        # The class under socket.socket, which adds methods that cost as much as the system calls.
        connecting = SocketType(
            AF_INET6 if ":" in address else AF_INET, SOCK_STREAM | SOCK_NONBLOCK
        )
        try:
            failure = connecting.connect_ex((address, port))
            if failure not in (0, errno.EINPROGRESS):
                raise OSError(failure, os.strerror(failure))
            self._epoll.register(connecting, select.EPOLLOUT)
        except BaseException:
            connecting.close()
            raise
        deadline = began + limit
        connection = self._under_way[connecting.fileno()] = ConnectionAttempt(
            connecting, deadline, ended
        )
        if (others := self._by_limit.get(limit)) is None:
            others = self._by_limit[limit] = deque()
        others.append(connection)
        if deadline < self._timer_due:
            self._arm(deadline)
        return connection

    def cancel(self, connection: ConnectionAttempt) -> None:
        """Close one, unless it has ended."""
        if connection.ended is not None:
            connection.ended = None
            del self._under_way[connection.socket.fileno()]
            # Closing takes it out of the epoll instance.
            connection.socket.close()

    def close(self) -> None:
        """Close them all."""
        for connection in list(self._under_way.values()):
            self.cancel(connection)
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll)
        self._epoll.close()

    def _decide(self) -> None:
        # What else is ready comes in the next turn of the event loop.
        decided = self._epoll.poll(0, DECIDED_AT_ONCE)
        found = [(self._under_way.get(number), events) for number, events in decided]
        now = time.monotonic()
        for connection, events in found:
            # One that ended before may have had this one cancelled, and its descriptor used again.
            if connection is None or (ended := connection.ended) is None:
                continue
            failure = 0
            if events != select.EPOLLOUT:
                failure = connection.socket.getsockopt(SOL_SOCKET, SO_ERROR)
            self.cancel(connection)
            ended(OSError(failure, os.strerror(failure)) if failure else None, now)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(due - time.monotonic(), 0.0), self._time_up)

    def _time_up(self) -> None:
        self._timer, self._timer_due = None, math.inf
        try:
            self._end_overdue(time.monotonic())
        finally:
            self._arm_for_next()

    def _end_overdue(self, now: float) -> None:
        """End those whose time is up, as many as a slice of time allows.

        One that was accepted or refused, and waits for `_decide`, is no timeout of its target.
        """
        ready = {number for number, _ in self._epoll.poll(0, max(len(self._under_way), 1))}
        for connections in list(self._by_limit.values()):
            while connections and connections[0].deadline <= now:
                connection = connections.popleft()
                if (ended := connection.ended) is None:
                    continue
                if connection.socket.fileno() not in ready:
                    self.cancel(connection)
                    ended(time_up(connection.deadline), now)
                    if time.monotonic() - now >= SLICE:
                        return

    def _arm_for_next(self) -> None:
        """Wake up for the next one that is not over, at once where its time is up already."""
        for limit, connections in list(self._by_limit.items()):
            while connections and connections[0].ended is None:
                connections.popleft()
            if not connections:
                del self._by_limit[limit]
            elif connections[0].deadline < self._timer_due:
                self._arm(connections[0].deadline)
