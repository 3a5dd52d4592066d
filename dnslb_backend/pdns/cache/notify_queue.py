"""The zones whose secondaries must be notified, and when.

PowerDNS sends its notifies once a second. A notify is repeated once, a little later: a lookup that
was answered before the change may have put the old SOA back into a cache, and a secondary that saw
it considers itself up to date.

Sans-IO: callers pass the time in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SPACING = 0.2
"""Seconds between two notifies of one zone: little compared to the second that PowerDNS takes."""

REPEAT_AFTER = 3.0
"""Seconds after a notify at which it is repeated: no lookup lasts so long."""

_NEVER, _EVER = float("-inf"), float("inf")


@dataclass(slots=True)
class _QueuedNotify:
    due: float
    is_first: bool = True
    sent: float = _NEVER


class NotifyQueue:
    """The notifies of one PowerDNS. Times are seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._entries: dict[str, _QueuedNotify] = {}

    def add(self, zones: Iterable[str], now: float) -> None:
        """These zones read differently from now on."""
        for zone in zones:
            entry = self._entries.setdefault(zone, _QueuedNotify(now))
            if entry.sent > _NEVER:
                entry.due = max(now, entry.sent + SPACING)
            entry.is_first = True

    def take(self, now: float, before: float = _EVER) -> list[str]:
        """The zones whose secondaries must be notified now; `done` must follow.

        Changes since `before` are not purged yet, and secondaries are not notified of them.
        """
        return [zone for zone, e in self._entries.items() if e.due <= now and e.due < before]

    def done(self, zone: str, now: float) -> None:
        """PowerDNS has accepted the notify of this zone, or will not send it."""
        entry = self._entries[zone]
        if entry.is_first:
            self._entries[zone] = _QueuedNotify(now + REPEAT_AFTER, is_first=False, sent=now)
        else:
            del self._entries[zone]

    def due(self, before: float = _EVER) -> float | None:
        """When there is something to take, None while there is nothing."""
        dues = (entry.due for entry in self._entries.values())
        return min((due for due in dues if due < before), default=None)
