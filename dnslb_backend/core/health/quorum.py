"""What the nodes of a fleet tell each other: votes on targets, and signs of life.

The same question has the same row key on every node. Secrets, and when in an interval a round
begins, are no part of it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dnslb_backend.core.health.target import Health

PROTOCOL = 1
"""Votes of a voter with a higher one are not read."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A node's own health of a target: `says` is UP or DOWN.

    `code` and `text` are those of its last result; `since` is Unix time by the voter's clock. The
    target's `address`, and what is `asked` of it in one line without secrets, are for people.
    """

    says: Health
    code: int
    text: str
    priority: int | None
    weight: int | None
    since: float
    address: str
    asked: str


@dataclass(frozen=True, slots=True)
class Voter:
    """One row of a node that votes: its sign of life.

    `instance` is new in every run; `beat` moves while it lives; `seq` is the number of its last
    vote. `abstains` is why none of its votes count, empty where they do. Nodes with the same
    `ballot` are configured with the same questions.
    """

    node: str
    instance: str
    site: str
    beat: int
    seq: int
    abstains: str = ""
    ballot: str = ""
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Declaration:
    """What this node says of itself in its own row; the exchange adds the rest."""

    site: str
    abstains: str
    ballot: str


class Electorate(Protocol):
    """The votes of this node and of others, as the exchange takes and gives them.

    A vote of None is withdrawn, or was never given. All are called on the event loop.
    """

    def declaration(self) -> Declaration:
        """What this node says of itself now."""

    def take_changed(self, limit: int) -> Mapping[str, Vote | None]:
        """Own votes, by row key, that changed since the last call: `limit` at most, newest value.

        What was taken and could not be written is for the exchange to write later.
        """

    def own_votes(self) -> Mapping[str, Vote]:
        """Every vote that this node gives now, by row key."""

    def voters_read(self, voters: Sequence[Voter]) -> None:
        """These are all rows of voters, this node's own among them, as they were read just now."""

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        """Votes of another node have changed; `is_whole`: it gives no others than these.

        They are counted later, in slices: this only notes them.
        """


def row_key(address: str, port: int | None, question: str) -> str:
    """Identifies a question put to a target; `question` is the text of the check and its rules."""
    asked = f"{address}\0{port or ''}\0{question}"
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
