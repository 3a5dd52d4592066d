"""Events as receivers choose and read them."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.notifications.decisions import DecisionChange
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


@dataclass(frozen=True, slots=True)
class Event:
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
            counts = f"{source.served} of {source.total} members served"
            return f"{source.key}: {source.before} -> {source.after}, {counts}{reason}"
        words = ", ".join(sorted(words_of(source))) or f"priority {source.to_priority}"
        return f"{source.key} {source.content}: {words}{reason}"


def _decision_fields(change: DecisionChange) -> dict[str, object]:
    return {
        "severity": change.severity,
        "from": change.before,
        "to": change.after,
        "served": change.served,
        "total": change.total,
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


class Selection:
    """Which events a receiver has chosen."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._words = frozenset(settings.events)
        self._names = record_pattern(settings.records)

    def admits(self, event: Event) -> bool:
        return (
            not self._words.isdisjoint(words_of(event.source))
            and self._names.fullmatch(event.key.name) is not None
        )


def record_pattern(globs: Sequence[str]) -> re.Pattern[str]:
    """Matches the canonical names of records; globs may be in any case and end in a dot."""
    names = (glob.lower().removesuffix(".") for glob in globs)
    return re.compile("|".join(map(fnmatch.translate, names)))
