"""The purger at work, which a reload may replace."""

import asyncio
from collections.abc import Callable, Iterable

from dnslb_backend.config import Config
from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.core.model.zones import PdnsVersion
from dnslb_backend.pdns.cache.purger import Purger


def purger_of(config: Config) -> Purger:
    """The purger that a configuration needs."""
    return Purger(config.pdns, is_needed=not config.server.is_off)


class Purging:
    """Runs one purger at a time."""

    def __init__(self, purger: Purger) -> None:
        self._purger = purger
        self._is_replaced = asyncio.Event()

    @property
    def has_channel(self) -> bool:
        """Whether any PowerDNS is purged."""
        return self._purger.has_channel

    @property
    def version(self) -> PdnsVersion:
        """The version of PowerDNS to write for."""
        return self._purger.version

    def purge(self, stale: Iterable[PurgeItem], notify: Iterable[str] = ()) -> None:
        """As Purger.purge."""
        self._purger.purge(stale, notify)

    def detail(self) -> object:
        """As Purger.detail."""
        return self._purger.detail()

    def replace(self, purger: Purger) -> None:
        """Use another purger from now on; what the old one had still to purge is dropped."""
        self._purger = purger
        self._is_replaced.set()

    async def run(self, on_version: Callable[[], None]) -> None:
        """Purge until cancelled; `on_version` as in Purger.run."""
        while True:
            self._is_replaced.clear()
            async with asyncio.TaskGroup() as group:
                working = group.create_task(self._purger.run(on_version), name="purger")
                await self._is_replaced.wait()
                working.cancel()
