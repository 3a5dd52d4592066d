"""Stored changes of members and of decisions, and queries for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge
from itertools import islice
from typing import NamedTuple

from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.transitions import Transition

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
LARGEST_ID = 2**63 - 1

Change = Transition | DecisionChange


class ChangeKind(StrEnum):
    """Of what a change is: of a member, or of what a record decides."""

    TRANSITION = "transition"
    DECISION = "decision"


class Position(NamedTuple):
    """Where a page of history ends: the next one has transitions and decisions with lower ids."""

    transition: int = LARGEST_ID
    decision: int = LARGEST_ID


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which changes: of one canonical name, since and until a Unix time, on one node,
    of members with one label, of one kind.

    At most `limit` of them, from `before` on, to page backwards.
    """

    name: str | None = None
    since: float | None = None
    until: float | None = None
    node: str | None = None
    before: Position = Position()  # noqa: RUF009 -- it is immutable
    limit: int = DEFAULT_LIMIT
    label: str | None = None
    kind: ChangeKind | None = None

    def includes(self, kind: ChangeKind) -> bool:
        """Whether changes of this kind are asked for; a decision has no labels."""
        if kind is ChangeKind.DECISION and self.label is not None:
            return False
        return self.kind in (None, kind)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change, the node it happened on, and its id among those of its kind in its store."""

    id: int
    node: str
    change: Change

    @property
    def kind(self) -> ChangeKind:
        is_decision = isinstance(self.change, DecisionChange)
        return ChangeKind.DECISION if is_decision else ChangeKind.TRANSITION


def newest(found: Sequence[Iterable[StoredChange]], limit: int) -> list[StoredChange]:
    """The first `limit` of all, each of which is newest first and keeps its order; of the same
    time, those of an earlier one come first.
    """
    merged = merge(*found, key=lambda stored: stored.change.at, reverse=True)
    return list(islice(merged, limit))


def position_after(page: Sequence[StoredChange], before: Position) -> Position:
    """Where the page that began at `before` ends."""
    last = {stored.kind.value: stored.id for stored in page}
    return before._replace(**last)
