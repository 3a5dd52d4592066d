"""Whose secondaries are to be told of a change, and when.

PowerDNS sends what it was told to once a second. A notice is repeated once, a little later: a
lookup that was answered before the change may have brought the old SOA back into a cache, and a
secondary that saw it took itself for up to date.

This is asked and told; it waits for nobody and looks at no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SPACING = 0.2
"""Seconds between two notices of one zone: little beside the second that PowerDNS takes."""

AGAIN = 3.0
"""Seconds after a change when it is told once more: no lookup lasts so long."""

_NEVER, _EVER = float("-inf"), float("inf")


@dataclass(slots=True)
class _QueuedNotify:
    due: float
    is_news: bool = True
    told: float = _NEVER


class NotifyQueue:
    """The notices of one PowerDNS. Times are seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._entries: dict[str, _QueuedNotify] = {}

    def add(self, zones: Iterable[str], now: float) -> None:
        """These zones read differently from now on."""
        for zone in zones:
            entry = self._entries.setdefault(zone, _QueuedNotify(now))
            if entry.told > _NEVER:
                entry.due = max(now, entry.told + SPACING)
            entry.is_news = True

    def take(self, now: float, before: float = _EVER) -> list[str]:
        """The zones whose secondaries are to be told now; `done` must follow.

        Changes since `before` are not purged yet, and no secondary is told of them.
        """
        return [zone for zone, e in self._entries.items() if e.due <= now and e.due < before]

    def done(self, zone: str, now: float) -> None:
        """PowerDNS was asked to tell of this zone, or will not do so."""
        entry = self._entries[zone]
        if entry.is_news:
            self._entries[zone] = _QueuedNotify(now + AGAIN, is_news=False, told=now)
        else:
            del self._entries[zone]

    def due(self, before: float = _EVER) -> float | None:
        """When there is something to take, None while there is nothing."""
        dues = (entry.due for entry in self._entries.values())
        return min((due for due in dues if due < before), default=None)
