"""Reads the votes of other nodes: all of a node once, then those with a number not read yet.

Numbers that went back mean another history of the store, and votes of long ago: those that were
read before go on, and everything of that node is read again once it has written more, or after a
while. So it is for a new run of it, but only once its votes count, and, where runs change faster
than they can count (two daemons of one name), once one of them has lasted.
"""

import asyncio
import math
from dataclasses import dataclass

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import PROTOCOL, Electorate, Vote, Voter
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import VOTE, VOTER
from dnslb_backend.store.mirror.reading import read_rows
from dnslb_backend.store.votes.rows import read_vote, read_voter

log = ComponentLog(__name__, "quorum")

ROWS_PER_TURN = 100
"""So many rows are read before others get their turn on the event loop."""

MOST_VOTERS = 1000
"""The rows of so many nodes are looked at."""

FORGET_AFTER = 3600.0
"""Seconds without an exchange after which everything is read again: rows of votes that were
withdrawn meanwhile may be deleted one day.
"""


@dataclass(slots=True)
class _Read:
    """What was read of one run of a node: up to `seq`, None for nothing yet. It appeared at
    `since` and is not read before `reads_from`; its numbers went back at `back`; all monotonic.
    """

    instance: str
    since: float
    reads_from: float
    seq: int | None = None
    back: float | None = None


class VoteReader:
    """`fresh`: seconds that a run of a node must last after one that did not."""

    def __init__(self, node: str, electorate: Electorate, fresh: float) -> None:
        self._node = node
        self._electorate = electorate
        self.fresh = fresh
        self._read: dict[str, _Read] = {}
        self._too_new: set[str] = set()
        self._last = -math.inf

    def begin(self, at: Instant) -> None:
        """A new connection."""
        if at.mono - self._last > FORGET_AFTER:
            self._read.clear()

    async def read(self, store: Store, at: Instant) -> Voter | None:
        """Read what is new, and report it; this node's own row. Raises StoreError.

        Signs of life are reported after the votes, so that no node counts whose votes could not be
        read.
        """
        rows = await store.read(Select(VOTER, VOTER.columns, order="node", limit=MOST_VOTERS))
        voters = read_rows(VOTER, rows, read_voter, key="node")
        for voter in voters:
            if voter.node != self._node and self._is_understood(voter):
                await self._follow(store, voter, at)
        found = {voter.node: voter for voter in voters}
        self._read = {node: read for node, read in self._read.items() if node in found}
        self._electorate.voters_read(voters)
        self._last = at.mono
        return found.get(self._node)

    async def _follow(self, store: Store, voter: Voter, at: Instant) -> None:
        read = self._last_read(voter, at)
        if read.seq is not None and voter.seq < read.seq:
            read.back = at.mono if read.back is None else read.back
            if at.mono - read.back < self.fresh:
                return
        if (voter.seq == read.seq and read.back is None) or at.mono < read.reads_from:
            return
        is_whole = read.seq is None or read.back is not None
        if read.seq is None and voter.abstains:
            return
        votes = await self._votes(store, voter.node, 0 if is_whole else read.seq or 0)
        read.seq, read.back = voter.seq, None
        self._electorate.votes_read(voter.node, voter.instance, votes, is_whole=is_whole)

    def _last_read(self, voter: Voter, at: Instant) -> _Read:
        read = self._read.get(voter.node)
        if read is not None and read.instance == voter.instance:
            return read
        waits = self.fresh if read and at.mono - read.since < self.fresh else 0.0
        self._read[voter.node] = found = _Read(voter.instance, at.mono, at.mono + waits)
        return found

    async def _votes(self, store: Store, node: str, after: int) -> dict[str, Vote | None]:
        where = (Where("node", "=", node), Where("seq", ">", after))
        rows = await store.read(Select(VOTE, VOTE.columns, where))
        votes: dict[str, Vote | None] = {}
        for start in range(0, len(rows), ROWS_PER_TURN):
            part = rows[start : start + ROWS_PER_TURN]
            votes.update(read_rows(VOTE, part, read_vote, key="row_key"))
            await asyncio.sleep(0)
        metrics.VOTES_READ.inc(len(rows))
        return votes

    def _is_understood(self, voter: Voter) -> bool:
        """Whether this program knows how votes are written there; reported once."""
        if voter.protocol <= PROTOCOL:
            self._too_new.discard(voter.node)
            return True
        if voter.node not in self._too_new:
            self._too_new.add(voter.node)
            log.warning(
                "votes of %s are not read: it writes them in form %d, this program knows %d:"
                " upgrade this node",
                *(voter.node, voter.protocol, PROTOCOL),
            )
        return False
