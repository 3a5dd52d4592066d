"""What the daemon and systemd say to each other; all of it does nothing where there is no systemd.

    NOTIFY_SOCKET (sd_notify(3))    state and status, keep-alives of the watchdog
    LISTEN_FDS (sd_listen_fds(3))   listening sockets of our .socket units, and the connections
                                    that the process before us stored
    FDSTORE (sd_notify(3))          connections of the unix connector between two requests

PowerDNS notices nothing of a restart: what it asks meanwhile waits in the sockets. Connections
over HTTP are not stored; PowerDNS opens new ones without a loss.
"""

import array
import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from dnslb_backend.pdns.connectors.line_protocol import StoredConnection

log = logging.getLogger(__name__)

FIRST_FD = 3
"""The first descriptor that systemd hands over."""

NAME_PREFIX = "dnslb-"
"""What the names of our connections in the descriptor store begin with; their dialect follows."""

FDS_PER_MESSAGE = 200
"""Descriptors in one message; the kernel takes 253."""

BARRIER_TIMEOUT = 5.0
"""Seconds that systemd has to take what is sent to it (sd_notify_barrier(3))."""


class NotifySocket:
    """The socket that NOTIFY_SOCKET names; without one, what is sent is discarded."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    @property
    def is_used(self) -> bool:
        return bool(self._address)

    def send(self, *lines: str, descriptors: Sequence[int] = ()) -> None:
        """Send one message. Never blocks; raises OSError where it cannot be delivered."""
        if not self._address:
            return
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.sendmsg(["\n".join(lines).encode()], ancillary, 0, self._address)


class Notifier:
    """Reports our state. A message that cannot be delivered is dropped: nothing depends on it."""

    def __init__(self, address: str | None, watchdog_usec: str = "") -> None:
        self._watchdog_usec = watchdog_usec
        self._socket = NotifySocket(address)

    @classmethod
    def from_environment(cls) -> "Notifier":
        is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = os.environ.get("WATCHDOG_USEC", "") if is_ours else ""
        return cls(os.environ.get("NOTIFY_SOCKET"), usec)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds between two keep-alives (sd_watchdog_enabled(3)); None: not wanted."""
        if not self._watchdog_usec.isdecimal() or not int(self._watchdog_usec):
            return None
        return int(self._watchdog_usec) / 2_000_000

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={status}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for `seconds` more to start: check cycles are still making progress."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, *lines: str) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(*lines)


@dataclass(slots=True)
class ActivatedSockets:
    """What systemd handed over: listening sockets by connector, and accepted connections."""

    http: list[socket.socket] = field(default_factory=list)
    unix: list[socket.socket] = field(default_factory=list)
    connections: list[StoredConnection] = field(default_factory=list)


def take_activated(environment: MutableMapping[str, str]) -> ActivatedSockets:
    """Take over what is meant for this process, and remove it from the environment of children."""
    count = environment.pop("LISTEN_FDS", "")
    pid = environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    found = ActivatedSockets()
    if pid != str(os.getpid()) or not count.isdecimal():
        return found
    for number in range(int(count)):
        name = names[number] if number < len(names) else ""
        _sort(FIRST_FD + number, name, found)
    return found


def _sort(descriptor: int, name: str, found: ActivatedSockets) -> None:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        is_listening = bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        log.warning("ignoring descriptor %d (%s) of LISTEN_FDS: %s", descriptor, name, error)
        return
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX and not is_listening and name.startswith(NAME_PREFIX):
        found.connections.append(StoredConnection(sock, name.removeprefix(NAME_PREFIX)))
    elif sock.type == socket.SOCK_STREAM and is_listening:
        (found.unix if sock.family == socket.AF_UNIX else found.http).append(sock)
    else:
        log.warning(
            "ignoring descriptor %d (%s) of LISTEN_FDS: not a listening or stored socket",
            descriptor,
            name,
        )
        sock.close()


class FdStore:
    """The descriptor store of our unit.

    It is empty unless the unit says otherwise (FileDescriptorStoreMax=); then connections that are
    stored are closed, and PowerDNS connects again.
    """

    def __init__(self, address: str | None) -> None:
        self._socket = NotifySocket(address)

    @classmethod
    def from_environment(cls) -> "FdStore":
        return cls(os.environ.get("NOTIFY_SOCKET"))

    async def keep(self, connections: Sequence[StoredConnection]) -> None:
        """Store these; returns when systemd has taken them. They are closed here."""
        try:
            if self._socket.is_used and connections:
                await self._store(connections)
        except (OSError, TimeoutError) as error:
            log.warning("systemd did not store our connections; closing them: %r", error)
        finally:
            for connection in connections:
                connection.sock.close()

    def release(self, connections: Sequence[StoredConnection]) -> None:
        """Remove these from the store: when we close one, its peer must notice."""
        with contextlib.suppress(OSError):
            for name in {connection.dialect for connection in connections}:
                self._socket.send("FDSTOREREMOVE=1", f"FDNAME={NAME_PREFIX}{name}")

    async def _store(self, connections: Sequence[StoredConnection]) -> None:
        by_dialect: dict[str, list[int]] = {}
        for connection in connections:
            by_dialect.setdefault(connection.dialect, []).append(connection.sock.fileno())
        for dialect, descriptors in by_dialect.items():
            for start in range(0, len(descriptors), FDS_PER_MESSAGE):
                batch = descriptors[start : start + FDS_PER_MESSAGE]
                self._socket.send("FDSTORE=1", f"FDNAME={NAME_PREFIX}{dialect}", descriptors=batch)
        await self._barrier()

    async def _barrier(self) -> None:
        """Wait until systemd has read all that was sent: it then closes what comes with BARRIER."""
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        is_read = asyncio.Event()
        try:
            try:
                self._socket.send("BARRIER=1", descriptors=[theirs])
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
