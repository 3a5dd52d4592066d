"""What is sent: events of one moment as a JSON document, and its signature."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from dnslb_backend.notifications.events import Event

SUMMARY_LIMIT = 500
"""Characters of the line for people."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Events rendered for one delivery. `id` stays the same when the same events are retried."""

    id: str
    node: str
    count: int
    summary: str
    body: str


def render(events: Sequence[Event], node: str, dropped: int) -> Payload:
    """The document of these events, of which there is at least one.

    `dropped` events were lost before them.
    """
    summary = _summary(events)
    document = {
        "node": node,
        "summary": summary,
        "dropped": dropped,
        "events": [event.document() for event in events],
    }
    return Payload(events[0].id, node, len(events), summary, json.dumps(document))


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature header: HMAC-SHA256 over the Unix time, a dot, and the body."""
    signed = b"%d.%s" % (timestamp, body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def _summary(events: Sequence[Event]) -> str:
    more = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
    line = "".join(c if c.isprintable() else " " for c in events[0].summary())
    room = SUMMARY_LIMIT - len(more)
    return (line if len(line) <= room else f"{line[: room - 1]}…") + more
