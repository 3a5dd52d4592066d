"""Connections that are made and closed: the most frequent probe of all.

The event loop watches one epoll instance for all of them. A task, a transport or a protocol for
each would cost as much as connecting.
"""

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable

Ended = Callable[[OSError | None], None]


class Connector:
    """Made on the event loop that it is used on. Close it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll, self._decide)
        self._under_way: dict[int, tuple[socket.socket, Ended]] = {}

    def start(self, address: str, port: int, ended: Ended) -> int:
        """Connect; `ended` is called once, later, with what went wrong, None where nothing did.

        Returns what `cancel` takes. Raises OSError where this machine cannot even begin.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            failure = connecting.connect_ex((address, port))
            if failure not in (0, errno.EINPROGRESS):
                raise OSError(failure, os.strerror(failure))
            number = connecting.fileno()
            self._epoll.register(number, select.EPOLLOUT)
        except BaseException:
            connecting.close()
            raise
        self._under_way[number] = connecting, ended
        return number

    def cancel(self, number: int) -> None:
        """Close a connection before it has ended."""
        # Closing takes it out of the epoll instance.
        self._under_way.pop(number)[0].close()

    def close(self) -> None:
        """Close them all."""
        for number in list(self._under_way):
            self.cancel(number)
        self._loop.remove_reader(self._epoll)
        self._epoll.close()

    def _decide(self) -> None:
        decided = [(number, self._under_way.get(number)) for number, _ in self._epoll.poll(0)]
        for number, found in decided:
            # One that ended before may have had this one cancelled, and its descriptor used again.
            if found is not None and self._under_way.get(number) is found:
                del self._under_way[number]
                connecting, ended = found
                failure = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                connecting.close()
                ended(OSError(failure, os.strerror(failure)) if failure else None)
