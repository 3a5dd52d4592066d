"""Publishes what changes in the health map: new answers first, then to those who report them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.changes import NO_CHANGES, Changes

log = ComponentLog(__name__, "publisher")

BREATHER = 4.0
"""Lookups get so many times as long as the longest part of the last changes took to publish, before
the next are: a record of ten thousand members that move one by one must not keep the event loop to
itself."""

RECORDS_AT_ONCE = 50
"""Records whose changes are published in one turn of the event loop: some milliseconds."""

RETRY_PAUSE = 1.0
"""Seconds before changes that could not be published are retried, if no others come earlier."""

Stage = Callable[[Changes], None]


class ChangePublisher:
    """Passes changes through `stages`, in their order; `take` returns those since its last call, in
    parts of at most so many records.

    Changes that a stage fails to publish are kept, and published by the next attempt, together with
    later ones; the stages before it do not see them again.
    """

    def __init__(self, take: Callable[[int], Iterator[Changes]], stages: Sequence[Stage]) -> None:
        self._take = take
        self._stages = stages
        self._unpublished = [NO_CHANGES] * len(stages)
        self._wake = asyncio.Event()
        self._longest = 0.0
        self._parts: Iterator[Changes] = iter(())

    def notify(self) -> None:
        """There may be changes: publish them, together with all others of this turn."""
        self._wake.set()

    def publish(self, changes: Changes, *, skip: int = 0) -> None:
        """Pass changes through the stages after the first `skip`, behind what each has left over.

        Raises what a stage raises.
        """
        for number in range(skip, len(self._stages)):
            changes = self._unpublished[number].followed_by(changes)
            self._unpublished[number] = changes
            self._stages[number](changes)
            self._unpublished[number] = NO_CHANGES

    async def run(self) -> None:
        """Publish what changes until cancelled."""
        rested_at = 0.0
        retry_pause: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry_pause):
                    await self._wake.wait()
            if (rest := rested_at - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            self._wake.clear()
            self._longest = 0.0
            retry_pause = None if await self._attempt() else RETRY_PAUSE
            rested_at = time.monotonic() + BREATHER * self._longest

    async def _attempt(self) -> bool:
        """Publish what there is, in parts between which lookups have their turn."""
        try:
            # First what an attempt that failed has left.
            await self._publish_parts()
            self._parts = self._take(RECORDS_AT_ONCE)
            await self._publish_parts()
        except Exception:
            log.exception("unhandled exception while changes are published; retrying")
            return False
        return True

    async def _publish_parts(self) -> None:
        began = time.monotonic()
        for changes in self._parts:
            self.publish(changes)
            self._longest = max(self._longest, time.monotonic() - began)
            await asyncio.sleep(0)
            began = time.monotonic()
