"""What systemd does for a service with sockets and a store of descriptors, in small."""

import array
import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors.sockets import listen_tcp, listen_unix

ROOT = Path(__file__).parents[2]
FIRST = 3
OUT_OF_THE_WAY = 200
"""Descriptors are put above this before they get the numbers that the child expects."""


class ServiceManager:
    """Holds both listening sockets, and whatever the service gives it to keep.

    `command` is started with the sockets; it says READY=1 when it serves.
    """

    def __init__(self, command: Sequence[str] = ("-m", "tests.pdns.serving")) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="manager-"))
        self.path = str(self.directory / "pdns.sock")
        self.http = listen_tcp(AddressPort("127.0.0.1", 0))
        self.unix = listen_unix(self.path, 0o600)
        self.store: list[tuple[str, int]] = []
        self.stores = True
        self.said: list[str] = []
        self._command = [sys.executable, *command]
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notify.bind(str(self.directory / "notify"))
        self._ready = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def port(self) -> int:
        return int(self.http.getsockname()[1])

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._notify, self._hear)
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        finally:
            asyncio.get_running_loop().remove_reader(self._notify)
            self._forget()
            for sock in (self._notify, self.http, self.unix):
                sock.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    async def start(self) -> None:
        """Start the service; returns when it is ready."""
        self._ready.clear()
        descriptors = [self.http.fileno(), self.unix.fileno(), *(fd for _, fd in self.store)]
        names = ["http", "unix", *(name for name, _ in self.store)]
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, OUT_OF_THE_WAY) for fd in descriptors]

        def renumber() -> None:
            for place, descriptor in enumerate(high):
                os.dup2(descriptor, FIRST + place)

        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "LISTEN_FDS": str(len(high)),
            "LISTEN_FDNAMES": ":".join(names),
        }
        try:
            self.process = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *self._command),
                env=environment,
                preexec_fn=renumber,
                pass_fds=range(FIRST, FIRST + len(high)),
                stdin=asyncio.subprocess.DEVNULL,
            )
        finally:
            for descriptor in high:
                os.close(descriptor)
        async with asyncio.timeout(20):
            await self._ready.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the service; its exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def restart(self) -> int:
        code = await self.stop()
        await self.start()
        return code

    def _hear(self) -> None:
        size = array.array("i").itemsize
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, _ = self._notify.recvmsg(4096, socket.CMSG_SPACE(253 * size))
                rights = array.array("i")
                for _, _, payload in ancillary:
                    rights.frombytes(payload)
                self._take(data.decode(), list(rights))

    def _take(self, message: str, descriptors: list[int]) -> None:
        self.said.append(message)
        lines = dict(line.split("=", 1) for line in message.splitlines())
        name = lines.get("FDNAME", "")
        if "READY" in lines:
            self._ready.set()
        if "FDSTOREREMOVE" in lines:
            for entry in [entry for entry in self.store if entry[0] == name]:
                self.store.remove(entry)
                os.close(entry[1])
        elif "FDSTORE" in lines and self.stores:
            self.store += ((name, descriptor) for descriptor in descriptors)
        else:
            for descriptor in descriptors:
                os.close(descriptor)

    def _forget(self) -> None:
        for _, descriptor in self.store:
            os.close(descriptor)
        self.store.clear()
