"""Keeps a fault that comes with every query, or request, from drowning the log."""

import math
from collections.abc import Callable


class LogRateLimiter:
    """Lets each key through once per `interval` seconds of `clock`, and counts the rest.

    `limit` bounds the keys that are remembered: those who ask choose some of them.
    """

    def __init__(self, clock: Callable[[], float], interval: float = 10.0, limit: int = 1000):
        self._clock = clock
        self._interval = interval
        self._limit = limit
        self._last: dict[object, tuple[float, int]] = {}

    def admit(self, key: object) -> int | None:
        """How many of this kind were kept back since the last one let through.

        None: keep this one back as well.
        """
        now = self._clock()
        since, kept_back = self._last.get(key, (-math.inf, 0))
        if now - since < self._interval:
            self._last[key] = (since, kept_back + 1)
            return None
        if key not in self._last and len(self._last) >= self._limit:
            self._last.clear()
        self._last[key] = (now, 0)
        return kept_back
