"""Transitions as they are remembered, and how to ask for them."""

from dataclasses import dataclass

from dnslb_backend.core.health.transitions import Transition

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which transitions: of one canonical name, since and until some Unix time, on one node.

    At most `limit` of them, older than the one whose id is `before`: so one pages backwards.
    """

    name: str | None = None
    since: float | None = None
    until: float | None = None
    node: str | None = None
    before: int | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class StoredTransition:
    """A transition, the node it happened on, and its number in the store that was asked."""

    id: int
    node: str
    transition: Transition
