"""What checks need that outlives a probe: made once by the daemon, closed at its stop."""

import asyncio
import os
import signal
from types import TracebackType
from typing import Self

from dnslb_backend.checkers.commands import Commands
from dnslb_backend.checkers.errands import Errands
from dnslb_backend.checkers.helper import reap_orphans
from dnslb_backend.checkers.push import PushBoard
from dnslb_backend.checkers.tls_contexts import TlsContexts
from dnslb_backend.checkers.web import WebClient


class Tools:
    """An asynchronous context manager; processes and sessions start when first needed."""

    def __init__(self, board: PushBoard | None = None) -> None:
        self.commands = Commands()
        self.errands = Errands()
        self.tls = TlsContexts()
        self.web = WebClient()
        self.board = board if board is not None else PushBoard()

    async def __aenter__(self) -> Self:
        if os.getpid() == 1:
            # A container without an init: what commands leave behind when their helper dies.
            signal.signal(signal.SIGCHLD, reap_orphans)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every helper process and connection."""
        await asyncio.gather(
            self.commands.close(), self.errands.close(), self.web.close(), self.tls.close()
        )
