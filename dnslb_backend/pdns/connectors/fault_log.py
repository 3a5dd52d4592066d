"""Says in the log what went wrong with a request, but not for every query again."""

import logging
from collections.abc import Callable

from dnslb_backend.errors import DnslbError, NotReadyError
from dnslb_backend.metrics import count_error
from dnslb_backend.throttle import LogRateLimiter


class ThrottledLog:
    """The complaints of one connector, in the name of `log`."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self.throttle = LogRateLimiter(clock)

    def refused(self, kind: object, why: str) -> None:
        """A peer sent what no PowerDNS sends; requests of one `kind` are logged once."""
        if (kept_back := self.throttle.admit(kind)) is not None:
            self._log.warning("a request was refused (%d more like it): %s", kept_back, why)

    def turned_away(self, kind: object, why: str) -> None:
        """A connection was not taken; those of one `kind` are logged once."""
        if (kept_back := self.throttle.admit(kind)) is not None:
            self._log.warning("a connection was refused (%d more like it): %s", kept_back, why)

    def failed(self, error: Exception) -> None:
        """An answer could not be given; PowerDNS says SERVFAIL. It is counted every time.

        An unexpected exception is logged with its traceback.
        """
        is_expected = isinstance(error, DnslbError)
        if not is_expected or isinstance(error, NotReadyError):
            count_error("lookup")
        if (kept_back := self.throttle.admit(type(error))) is not None:
            self._log.error(
                "a request failed (%d more like it): %s",
                kept_back,
                error,
                exc_info=None if is_expected else error,
            )
