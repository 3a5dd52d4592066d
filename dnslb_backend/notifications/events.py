"""Events as receivers choose and read them."""

import fnmatch
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.notifications.settings import EventWord, ReceiverSettings

EventSource = DecisionChange | Transition

HEALTH_WORDS: dict[Health, EventWord] = {
    Health.UP: "up",
    Health.DOWN: "down",
    Health.UNKNOWN: "unknown",
}


TRANSITION_FIELDS = (
    "content",
    "address",
    "from_health",
    "to_health",
    "from_served",
    "to_served",
    "from_priority",
    "to_priority",
    "reason",
)


class Event(NamedTuple):
    """One event. Its `id` is the same for every receiver and attempt; `queued` is monotonic."""

    id: str
    source: EventSource
    queued: float

    @property
    def key(self) -> RecordKey:
        return self.source.key

    def document(self) -> dict[str, object]:
        """The event in JSON's types."""
        at = datetime.fromtimestamp(self.source.at, UTC).isoformat(timespec="milliseconds")
        head: dict[str, object] = {
            "id": self.id,
            "event": "decision" if isinstance(self.source, DecisionChange) else "transition",
            "at": at.replace("+00:00", "Z"),
            **self.key._asdict(),
        }
        if isinstance(self.source, DecisionChange):
            return head | _decision_fields(self.source)
        return head | {name: getattr(self.source, name) for name in TRANSITION_FIELDS}

    def summary(self) -> str:
        """One line for people."""
        source = self.source
        reason = f" ({source.reason})" if source.reason else ""
        if isinstance(source, DecisionChange):
            before, after = source.before.service, source.after.service
            steps = " -> ".join(dict.fromkeys([before, after]))
            return f"{source.key}: {steps}{reason}"
        words = ", ".join(sorted(words_of(source))) or f"priority {source.to_priority}"
        return f"{source.key} {source.content}: {words}{reason}"


def _decision_fields(change: DecisionChange) -> dict[str, object]:
    return {
        "severity": change.after.severity,
        "from": change.before.service,
        "to": change.after.service,
        "served": change.after.served,
        "total": change.after.total,
        "up": change.after.up,
        "reason": change.reason,
    }


def words_of(source: EventSource) -> set[EventWord]:
    """The words of `events` that choose this event."""
    if isinstance(source, DecisionChange):
        return {"decision"}
    words: set[EventWord] = set()
    if source.from_health is not source.to_health:
        words.add(HEALTH_WORDS[source.to_health])
    if source.from_served is not source.to_served:
        words.add("served" if source.to_served else "unserved")
    return words


class EventFilter:
    """Which events a receiver has chosen. Thousands are looked at before the next lookup."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._words = frozenset(settings.events)
        self._has_members = self._words != {"decision"}
        self._names = None if "*" in settings.records else record_pattern(settings.records)

    def admits(self, event: Event) -> bool:
        if isinstance(event.source, DecisionChange):
            is_chosen = "decision" in self._words
        else:
            is_chosen = self._has_members and not self._words.isdisjoint(words_of(event.source))
        return is_chosen and (
            self._names is None or self._names.fullmatch(event.key.name) is not None
        )


def record_pattern(globs: Sequence[str]) -> re.Pattern[str]:
    """Matches the canonical names of records; globs may be in any case and end in a dot."""
    names = (glob.lower().removesuffix(".") for glob in globs)
    return re.compile("|".join(map(fnmatch.translate, names)))
