"""Follows the file of the location database, which its provider replaces now and then."""

import asyncio
import logging

from dnslb_backend.blocking import run_blocking
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.pdns.methods.geoip import GeoDatabase

log = logging.getLogger(__name__)

CHECK_INTERVAL = 5.0
"""Seconds between two checks whether the file has changed."""

READ_TIMEOUT = 30.0
"""Seconds that reading the database may take."""


class LocationUpdates:
    """Gives `client_cache` the locations of the configured database, if there is one."""

    def __init__(self, client_cache: ClientCache, database: GeoDatabase | None) -> None:
        self._client_cache = client_cache
        self.use(database)

    def use(self, database: GeoDatabase | None) -> None:
        """Locate clients by this database from now on."""
        self._database = database
        self._client_cache.use_locator(database.locate if database else None)

    async def run(self) -> None:
        """Read the database again whenever its file changes, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            if (database := self._database) is None:
                continue
            try:
                is_new = await run_blocking(database.refresh, READ_TIMEOUT)
            except TimeoutError:
                log.warning("%s could not be read within %g s", database.path, READ_TIMEOUT)
                continue
            if is_new and database is self._database:
                self.use(database)
