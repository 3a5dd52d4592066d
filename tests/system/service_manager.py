"""The ear of a service manager: what sd_notify(3) tells it."""

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rigs.waiting import until

Message = dict[str, str]


class ServiceManager(asyncio.DatagramProtocol):
    """Listens on a datagram socket in `folder`; `messages` are what came in, in order."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.messages: list[Message] = []
        self._transport: asyncio.BaseTransport | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a service is given to find it."""
        return {"NOTIFY_SOCKET": str(self.path)}

    async def hears(self, key: str, value: str = "", *, times: int = 1) -> list[Message]:
        """The messages with `key` (and that value, if one is given), once there are so many."""

        def found() -> list[Message]:
            every = [m for m in self.messages if key in m and value in ("", m[key])]
            return every if len(every) >= times else []

        return await until(found, what=f"{key}={value} in {self.messages}")

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=str(self.path), family=socket.AF_UNIX
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
