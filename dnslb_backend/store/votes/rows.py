"""Votes and voters as rows, both ways. What other nodes wrote may be anything: it is checked."""

from collections.abc import Mapping
from typing import Any

from dnslb_backend.core.health.quorum import PROTOCOL, Declaration, Vote, Voter
from dnslb_backend.core.health.results import TEXT_LIMIT
from dnslb_backend.core.health.target import Health
from dnslb_backend.store.database.tables import TableRow
from dnslb_backend.store.database.values import (
    clamp_int64,
    parse_sql_datetime,
    printable,
    sql_datetime,
)
from dnslb_backend.store.mirror.reading import integer, integer_or_none, text

WITHDRAWN = "NONE"
"""What a vote says that is given no more."""

NAME_LIMIT, REASON_LIMIT, HASH_LENGTH = 255, 64, 16


def vote_row(node: str, key: str, seq: int, vote: Vote | None, wall: float) -> TableRow:
    """The row of a vote that was given or withdrawn at `wall`."""
    if vote is None:
        return (node, key, seq, "", "", WITHDRAWN, 0, "", None, None, sql_datetime(wall))
    return (
        node,
        key,
        seq,
        printable(vote.address, NAME_LIMIT),
        printable(vote.asked, NAME_LIMIT),
        str(vote.says),
        clamp_int64(vote.code),
        printable(vote.text, TEXT_LIMIT),
        clamp_int64(vote.priority),
        clamp_int64(vote.weight),
        sql_datetime(vote.since),
    )


def read_vote(columns: Mapping[str, Any]) -> tuple[str, Vote | None]:
    """The key of a vote, and what it is. Raises ValueError."""
    key, says = text(columns["row_key"]), columns["says"]
    if says == WITHDRAWN:
        return key, None
    if says not in (Health.UP, Health.DOWN):
        raise ValueError("says neither UP nor DOWN")
    since = parse_sql_datetime(columns["since"])
    if since is None:
        raise ValueError("since when is missing")
    return key, Vote(
        Health(says),
        integer(columns["code"]),
        printable(text(columns["text"]), TEXT_LIMIT),
        integer_or_none(columns["priority"]),
        integer_or_none(columns["weight"], 0),
        since,
        printable(text(columns["address"]), NAME_LIMIT),
        printable(text(columns["asked"]), NAME_LIMIT),
    )


def voter_row(node: str, instance: str, beat: int, seq: int, says: Declaration) -> TableRow:
    return (
        node,
        instance,
        printable(says.site, NAME_LIMIT),
        beat,
        seq,
        printable(says.abstains, REASON_LIMIT),
        says.ballot[:HASH_LENGTH],
        PROTOCOL,
    )


def read_voter(columns: Mapping[str, Any]) -> Voter:
    """Raises ValueError."""
    node = text(columns["node"])
    if not node.isprintable():
        raise ValueError("a name that cannot be printed")
    return Voter(
        node,
        text(columns["instance"]),
        printable(text(columns["site"]), NAME_LIMIT),
        integer(columns["beat"]),
        integer(columns["seq"], 0),
        printable(text(columns["abstains"]), REASON_LIMIT),
        text(columns["ballot"]),
        integer(columns["protocol"]),
    )
