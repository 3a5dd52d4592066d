"""The zones whose secondaries have to be notified of a change, and when.

PowerDNS sends queued notifications once a second. Each is repeated once, a little later: a lookup
that was answered before the change may have put the old SOA back into a cache, and a secondary
that saw it considered itself up to date.

Sans-IO: callers pass the time in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SPACING = 0.2
"""Seconds between two notifications of one zone: little compared with PowerDNS's own second."""

AGAIN = 3.0
"""Seconds after a change until its repetition: no lookup lasts that long."""

_NEVER, _EVER = float("-inf"), float("inf")


@dataclass(slots=True)
class _QueuedNotify:
    due: float
    is_change: bool = True
    notified: float = _NEVER


class NotifyQueue:
    """The notifications of one PowerDNS. Times are seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._entries: dict[str, _QueuedNotify] = {}

    def add(self, zones: Iterable[str], now: float) -> None:
        """These zones have changed now."""
        for zone in zones:
            entry = self._entries.setdefault(zone, _QueuedNotify(now))
            if entry.notified > _NEVER:
                entry.due = max(now, entry.notified + SPACING)
            entry.is_change = True

    def take(self, now: float, before: float = _EVER) -> list[str]:
        """The zones to notify now; `done` must follow.

        Changes since `before` are not purged yet, so their zones are left out.
        """
        return [zone for zone, e in self._entries.items() if e.due <= now and e.due < before]

    def done(self, zone: str, now: float) -> None:
        """PowerDNS has queued the notification of this zone, or has refused it."""
        entry = self._entries[zone]
        if entry.is_change:
            self._entries[zone] = _QueuedNotify(now + AGAIN, is_change=False, notified=now)
        else:
            del self._entries[zone]

    def due(self, before: float = _EVER) -> float | None:
        """When there is something to take, None while there is nothing."""
        dues = (entry.due for entry in self._entries.values())
        return min((due for due in dues if due < before), default=None)
