"""Stored transitions, and queries for them."""

from dataclasses import dataclass

from dnslb_backend.core.health.transitions import Transition

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which transitions: of one canonical name, since and until a Unix time, on one node,
    of members with one label.

    At most `limit` of them, with ids below `before`, to page backwards.
    """

    name: str | None = None
    since: float | None = None
    until: float | None = None
    node: str | None = None
    before: int | None = None
    limit: int = DEFAULT_LIMIT
    label: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTransition:
    """A transition, the node it happened on, and its id in the store it was read from."""

    id: int
    node: str
    transition: Transition
