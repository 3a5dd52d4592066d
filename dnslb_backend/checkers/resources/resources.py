"""What checks need that outlives a probe: made once by the daemon, closed at its stop."""

import asyncio
import os
import signal
from types import TracebackType
from typing import Self

from dnslb_backend.checkers.resources.commands import Commands
from dnslb_backend.checkers.resources.helper_process import reap_orphans
from dnslb_backend.checkers.resources.http_client import HttpClient
from dnslb_backend.checkers.resources.push_reports import PushReports
from dnslb_backend.checkers.resources.text_search import TextWorkers
from dnslb_backend.checkers.resources.tls_contexts import TlsContexts


class CheckResources:
    """An asynchronous context manager; processes and sessions start when first needed."""

    def __init__(self, push_reports: PushReports | None = None) -> None:
        self.commands = Commands()
        self.text = TextWorkers()
        self.tls = TlsContexts()
        self.http = HttpClient()
        self.push_reports = push_reports if push_reports is not None else PushReports()

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
        self.http.close()
        await asyncio.gather(self.commands.close(), self.text.close(), self.tls.close())
