"""Sockets that outlive the process: given by systemd at the start, given back at the end.

    LISTEN_FDS (sd_listen_fds(3))   listening sockets of our .socket units, and the connections
                                    that the process before us gave into its keeping
    FDSTORE (sd_notify(3))          connections of the unix connector between two requests

PowerDNS notices nothing of a restart: what it asks meanwhile waits in the sockets. Connections
over HTTP are not kept; PowerDNS makes new ones without a loss.
"""

import array
import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from dnslb_backend.pdns.connectors.line_protocol import StoredConnection

log = logging.getLogger(__name__)

FIRST = 3
"""The first descriptor that systemd hands over."""

PREFIX = "dnslb-"
"""What the names of our connections in systemd's keeping begin with; their dialect follows."""

FDS_PER_MESSAGE = 200
"""Descriptors in one message; the kernel takes 253."""

BARRIER_TIMEOUT = 5.0
"""Seconds that systemd has to take what is given to it (sd_notify_barrier(3))."""


@dataclass(slots=True)
class ActivatedSockets:
    """What systemd handed over: listening sockets by connector, and accepted connections."""

    http: list[socket.socket] = field(default_factory=list)
    unix: list[socket.socket] = field(default_factory=list)
    connections: list[StoredConnection] = field(default_factory=list)


def take_activated(environment: MutableMapping[str, str]) -> ActivatedSockets:
    """Take over what is meant for this process, and see that no child thinks it is for it."""
    count = environment.pop("LISTEN_FDS", "")
    pid = environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    found = ActivatedSockets()
    if pid != str(os.getpid()) or not count.isdecimal():
        return found
    for number in range(int(count)):
        name = names[number] if number < len(names) else ""
        _sort(FIRST + number, name, found)
    return found


def _sort(descriptor: int, name: str, found: ActivatedSockets) -> None:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        is_listening = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        log.warning("descriptor %d (%s) of LISTEN_FDS is of no use: %s", descriptor, name, error)
        return
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX and not is_listening and name.startswith(PREFIX):
        found.connections.append(StoredConnection(sock, name.removeprefix(PREFIX)))
    elif sock.type == socket.SOCK_STREAM and is_listening:
        (found.unix if sock.family == socket.AF_UNIX else found.http).append(sock)
    else:
        log.warning("descriptor %d (%s) of LISTEN_FDS is no socket of ours", descriptor, name)
        sock.close()


class FdStore:
    """systemd, as the keeper of connections. Does nothing where there is none.

    A service keeps none unless its unit says so (FileDescriptorStoreMax=); then those that are
    given to it are closed, and PowerDNS connects anew.
    """

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    @classmethod
    def from_environment(cls) -> "FdStore":
        return cls(os.environ.get("NOTIFY_SOCKET"))

    async def keep(self, connections: Sequence[StoredConnection]) -> None:
        """Give these away; returns when they have been taken. They are closed here."""
        try:
            if self._address and connections:
                await self._store(connections)
        except (OSError, TimeoutError) as error:
            log.warning("systemd did not take our connections, they end: %r", error)
        finally:
            for connection in connections:
                connection.sock.close()

    def release(self, connections: Sequence[StoredConnection]) -> None:
        """These are ours now: when we close one, its peer must notice."""
        names = {connection.dialect for connection in connections}
        if self._address:
            with contextlib.suppress(OSError), self._open() as notify:
                for name in names:
                    self._send(notify, f"FDSTOREREMOVE=1\nFDNAME={PREFIX}{name}")

    async def _store(self, connections: Sequence[StoredConnection]) -> None:
        by_dialect: dict[str, list[int]] = {}
        for connection in connections:
            by_dialect.setdefault(connection.dialect, []).append(connection.sock.fileno())
        with self._open() as notify:
            for dialect, descriptors in by_dialect.items():
                for start in range(0, len(descriptors), FDS_PER_MESSAGE):
                    batch = descriptors[start : start + FDS_PER_MESSAGE]
                    self._send(notify, f"FDSTORE=1\nFDNAME={PREFIX}{dialect}", batch)
            await self._barrier(notify)

    async def _barrier(self, notify: socket.socket) -> None:
        """Until systemd has read all that was sent: it closes what comes with BARRIER then."""
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        is_read = asyncio.Event()
        try:
            try:
                self._send(notify, "BARRIER=1", [theirs])
            finally:
                os.close(theirs)
            loop.add_reader(ours, is_read.set)
            try:
                async with asyncio.timeout(BARRIER_TIMEOUT):
                    await is_read.wait()
            finally:
                loop.remove_reader(ours)
        finally:
            os.close(ours)

    def _open(self) -> socket.socket:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def _send(self, notify: socket.socket, message: str, descriptors: Sequence[int] = ()) -> None:
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        assert self._address is not None
        notify.sendmsg([message.encode()], ancillary, 0, self._address)
