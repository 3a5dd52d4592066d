"""Logs failed requests, but not every repetition of the same failure."""

import logging
from collections.abc import Callable

from dnslb_backend.errors import DnslbError
from dnslb_backend.throttle import LogRateLimiter


class ThrottledLog:
    """The failures of one connector, rate-limited, written to `log`."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self.throttle = LogRateLimiter(clock)

    def refused(self, kind: object, why: str) -> None:
        """A peer sent what no PowerDNS sends; requests of one `kind` are logged once per period."""
        if (kept_back := self.throttle.admit(kind)) is not None:
            self._log.warning("a request was refused (%d more like it): %s", kept_back, why)

    def turned_away(self, kind: object, why: str) -> None:
        """A connection was refused; those of one `kind` are logged once per period."""
        if (kept_back := self.throttle.admit(kind)) is not None:
            self._log.warning("a connection was refused (%d more like it): %s", kept_back, why)

    def failed(self, error: Exception) -> None:
        """A request failed: PowerDNS answers SERVFAIL. Unexpected exceptions get a traceback."""
        if (kept_back := self.throttle.admit(type(error))) is not None:
            bug = None if isinstance(error, DnslbError) else error
            self._log.error(
                "a request failed (%d more like it): %s", kept_back, error, exc_info=bug
            )
