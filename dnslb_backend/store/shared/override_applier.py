"""The overrides in force on this node, applied whenever they change."""

import asyncio
import contextlib
from collections.abc import Callable

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.overrides import Override, next_change
from dnslb_backend.store.shared.overrides import OverrideTable

CLOCK_CHECK = 5.0
"""At most so many seconds after which times are checked again: the wall clock may have been set."""


class OverrideApplier:
    """`on_overrides` is called with all of them, on the event loop, after every change, also of
    those that are pending.
    """

    def __init__(
        self,
        node: str,
        now: Callable[[], Instant],
        on_overrides: Callable[[tuple[Override, ...]], None],
    ) -> None:
        self.table = OverrideTable(node, lambda _: self._changed.set())
        self._now = now
        self._on_overrides = on_overrides
        self._changed = asyncio.Event()
        self._applied: tuple[Override, ...] = ()
        self._pending: tuple[Override, ...] = ()

    def restore(self) -> tuple[Override, ...]:
        """Those in force, which the caller applies itself."""
        self._applied = self.table.live(self._now().wall)
        return self._applied

    def apply(self) -> None:
        """Apply what has changed; on return it is in force, of very many records soon after."""
        self._apply_at(self._now().wall)

    def _apply_at(self, wall: float) -> None:
        live = self.table.live(wall)
        pending = tuple(each for each in self.table.here(wall) if each.is_pending(wall))
        if (live, pending) != (self._applied, self._pending):
            self._applied, self._pending = live, pending
            self._on_overrides(live)
        # The watcher may have a new expiry to wait for.
        self._changed.set()

    async def watch(self) -> None:
        """Apply what other nodes change, and what begins or expires, until cancelled."""
        while True:
            # One time for both: what ends in between would be in force until the next look.
            wall = self._now().wall
            self._apply_at(wall)
            self._changed.clear()
            change = next_change(self.table.everywhere(wall), wall)
            wait = CLOCK_CHECK if change is None else min(change - wall, CLOCK_CHECK)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
