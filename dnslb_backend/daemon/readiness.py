"""Reports to the service manager: how far the start is, when the daemon is ready, and reloads."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.daemon.transition_log import log_ready
from dnslb_backend.systemd import Notifier

START_EXTENSION = 30.0
"""Seconds of start-up that systemd is asked for while first check cycles make progress."""


class Readiness:
    """The daemon is ready once the first check cycle of every record has ended, and what follows
    from it is answered; the others are `unanswered`."""

    def __init__(
        self, health: HealthMap, unanswered: Callable[[], Collection[RecordKey]], notifier: Notifier
    ) -> None:
        self._health = health
        self._unanswered = unanswered
        self._notifier = notifier
        self._all_ended = asyncio.Event()
        self._is_ready = False

    def update(self) -> None:
        """Answers have changed: the last first check cycle may have ended."""
        if not self._all_ended.is_set() and not self._unanswered():
            self._all_ended.set()

    def reloading(self) -> None:
        """A reload begins; `reloaded` must follow."""
        self._notifier.reloading()

    def reloaded(self, status: str) -> None:
        """A reload has ended. It does not make a daemon ready that was not ready before."""
        if self._is_ready:
            self._notifier.ready(status)
        else:
            self._notifier.status(status)

    async def run(self) -> None:
        """Report progress until the daemon is ready."""
        left = -1
        while pending := len(self._unanswered()):
            # A reload may have added records just when the last cycle had ended.
            self._all_ended.clear()
            if pending != left:
                left = pending
                self._notifier.extend_timeout(START_EXTENSION)
                self._notifier.status(f"{pending} first check cycles to go")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._all_ended.wait()
        # At once: while the summary is counted, a reload may add records.
        self._is_ready = True
        self._notifier.ready("Running")
        await log_ready(state.reported for state in list(self._health.records.values()))
