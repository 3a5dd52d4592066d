"""Connecting as a probe of its own: a TCP connection that is made and closed.

It is the most frequent probe of all, and has no task, no transport and no protocol: these would
take longer than the connection.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable


class Connect:
    """Connects to an address. `ended` is called once, later, with what went wrong, None where
    nothing did; not after `cancel`. Raises OSError where this machine cannot even begin.
    """

    __slots__ = ("_ended", "_loop", "_socket")

    def __init__(self, address: str, port: int, ended: Callable[[OSError | None], None]) -> None:
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            failure = self._socket.connect_ex((address, port))
        except BaseException:
            self._socket.close()
            raise
        if failure == errno.EINPROGRESS:
            self._loop.add_writer(self._socket, self._decided)
        else:
            self._loop.call_soon(self._end, failure)

    def cancel(self) -> None:
        """Stop, if it has not ended."""
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _decided(self) -> None:
        failure = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._end(failure)

    def _end(self, failure: int) -> None:
        if self._socket.fileno() >= 0:
            self.cancel()
            self._ended(OSError(failure, os.strerror(failure)) if failure else None)


async def connect(address: str, port: int) -> None:
    """Connect to an address and close the connection; raises OSError, sets no limit of time."""
    ended: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    connecting = Connect(address, port, ended.set_result)
    try:
        failure = await ended
    finally:
        connecting.cancel()
    if failure is not None:
        raise failure
