"""Telling systemd how we are (sd_notify(3)); silent where there is no systemd."""

import os
import socket
import time


class Notifier:
    """Speaks to the socket that NOTIFY_SOCKET names; an unset or empty one means nobody listens.

    A message that cannot be delivered is dropped: the service manager's ear is not our job.
    """

    def __init__(self, address: str | None, watchdog_usec: str = "") -> None:
        self._watchdog_usec = watchdog_usec
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    @classmethod
    def from_environment(cls) -> "Notifier":
        is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = os.environ.get("WATCHDOG_USEC", "") if is_ours else ""
        return cls(os.environ.get("NOTIFY_SOCKET"), usec)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds between two words to the watchdog (sd_watchdog_enabled(3)); None: not wanted."""
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
        """Ask for `seconds` more to start: rounds are still making progress."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return
