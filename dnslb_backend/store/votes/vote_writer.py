"""Writes the votes of this node, and its sign of life.

Each change of a vote gets the next number (`seq`) of this node, and the row of the voter has the
last one, in the same transaction. The rows have one writer and one connection: who has read up to
a number has missed none before it.

What this node believes to have written may be gone: a backup was restored, the connection leads to
another server, a second daemon has this node's name. The row of the voter shows it, and then all
votes are written again; until that is done this node abstains. So do the number of rows and the sum
of their numbers, which are looked at now and then: rows may have been deleted, or replaced by older
ones just before this node wrote its own row again.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import Declaration, Electorate, Vote, Voter
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, Where, WriteOp
from dnslb_backend.store.database.tables import VOTE, VOTER, TableRow, Value
from dnslb_backend.store.database.values import parse_sql_datetime
from dnslb_backend.store.mirror.reading import read_rows
from dnslb_backend.store.mirror.writer import BatchWriter
from dnslb_backend.store.votes.rows import WITHDRAWN, read_voter, vote_row, voter_row

log = ComponentLog(__name__, "quorum")

BATCH_VOTES = 2500
"""A transaction ends when it has so many votes."""

ROWS_PER_TURN = 100
"""So many rows are built before others get their turn on the event loop."""

BEAT_INTERVAL = 1.0

STARTING = "starting"
"""Why a node abstains whose votes are not all written yet."""

WITHDRAWN_AGE = 86400.0
"""Seconds after which the row of a withdrawn vote is deleted: every node has read it long ago."""

DELETE_BATCH = 500

COUNT_INTERVAL = 60.0
"""Seconds between two looks at how many rows of votes there are."""

HIGHEST_SEQ = 2**62
"""Rows with a higher number are not of this program: it does not go on from them."""


class VoteWriter:
    """Of one run (`instance`) of this node. Where another daemon uses its name, it waits until that
    has been silent for `quiet` seconds before it writes its votes again.
    """

    def __init__(self, node: str, instance: str, electorate: Electorate, quiet: float) -> None:
        self._node = node
        self._instance = instance
        self._electorate = electorate
        self.quiet = quiet
        self._beat = self._seq = self._stored = 0
        self._pending: dict[str, Vote | None] = {}
        self._withdrawn: dict[str, float] = {}
        self._stored_seqs: dict[str, int] = {}
        """The number of each row of a vote, as it was written last."""
        self._is_lost = True
        self._is_whole = False
        self._quiet_until = self._next_beat = -math.inf
        self._next_count = math.inf
        self._last_vote = -math.inf
        self._written: deque[tuple[float, int, int]] = deque()
        self._declared: Declaration | None = None

    @property
    def next_beat(self) -> float:
        """When it writes at the latest, monotonic."""
        return self._next_beat

    @property
    def has_pending(self) -> bool:
        """Whether it has more to write at once."""
        return bool(self._pending) and not self._is_lost

    async def begin(self, store: Store) -> None:
        """Look what there is of the last session. Raises StoreError."""
        self._next_beat = -math.inf
        rows = await store.read(Select(VOTER, VOTER.columns, (Where("node", "=", self._node),)))
        found = read_rows(VOTER, rows, read_voter, key="node")
        # A write that had no answer may have been done all the same.
        if found and found[0].instance == self._instance and found[0].seq == self._seq:
            self._stored = self._seq
        self._written.clear()
        mine_now = (self._instance, self._stored)
        if not found or (found[0].instance, found[0].seq) != mine_now:
            self._lose()

    def check(self, voter: Voter | None, at: Instant) -> None:
        """Compare this node's row, as it was read just now, with what was written last.

        What was written a moment ago is not lost: a proxy may send reads to a server that follows
        the one that is written to.
        """
        if not self._written:
            return
        while self._written[0][0] < at.mono - self.quiet and len(self._written) > 1:
            self._written.popleft()
        if voter is not None and voter.instance != self._instance:
            self._quiet_until = at.mono + self.quiet
        elif voter and any(each[1:] == (voter.beat, voter.seq) for each in self._written):
            return
        self._lose()

    async def count(self, store: Store, at: Instant) -> None:
        """Where it is due, look whether all rows of votes are still those that were written.

        Raises StoreError.
        """
        if self._is_lost or self._pending or at.mono < self._next_count:
            return
        self._next_count = at.mono + COUNT_INTERVAL
        mine = (Where("node", "=", self._node),)
        # As text: a sum is a DECIMAL, which has more digits than a float.
        figures = ("COUNT(*)", "CAST(SUM(seq) AS CHAR)")
        ((rows, seqs),) = await store.read(Select(VOTE, figures, mine))
        written = len(self._stored_seqs)
        if rows != written:
            log.warning(
                "votes: %s rows of lb_vote are of this node, not %d: all are written again",
                *(rows, written),
            )
            self._lose()
        elif at.mono - self._last_vote < self.quiet:
            # This read may have come from a server that lags: count again once that is past.
            self._next_count = self._last_vote + self.quiet
        elif int(str(seqs or 0)) != sum(self._stored_seqs.values()):
            log.warning("votes: rows of lb_vote are not those written last: all are written again")
            self._lose()

    async def write(self, store: Store, writer: BatchWriter, at: Instant) -> None:
        """Write what has changed, a batch at most; the sign of life alone if it is due.

        Raises StoreError.
        """
        declared = self._electorate.declaration()
        if self._is_lost and not declared.abstains and at.mono >= self._quiet_until:
            await self._rewrite_all(store)
        batch = {} if self._is_lost else self._next_batch()
        if batch or declared != self._declared or at.mono >= self._next_beat:
            await self._write(writer, batch, declared, at)

    def _lose(self) -> None:
        self._is_lost = True
        self._is_whole = False

    async def _rewrite_all(self, store: Store) -> None:
        """All votes are pending; what is stored and given no more is to be withdrawn."""
        columns = ("row_key", "says", "seq", "since")
        mine = (Where("node", "=", self._node),)
        rows = await store.read(Select(VOTE, columns, mine, order="seq"))
        while self._electorate.take_changed(BATCH_VOTES):
            pass
        self._pending = dict(self._electorate.own_votes())
        self._withdrawn = {}
        self._stored_seqs = {}
        for number, (key, says, seq, since) in enumerate(rows):
            if number % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
            if isinstance(seq, int):
                self._stored_seqs[str(key)] = seq
                if seq < HIGHEST_SEQ:
                    self._seq = max(self._seq, seq)
            if says != WITHDRAWN:
                self._pending.setdefault(str(key), None)
            elif key not in self._pending:
                self._withdrawn[str(key)] = _wall(since)
        self._is_lost = False

    def _next_batch(self) -> Mapping[str, Vote | None]:
        room = BATCH_VOTES - len(self._pending)
        if room > 0:
            self._pending.update(self._electorate.take_changed(room))
        return dict(islice(self._pending.items(), BATCH_VOTES))

    async def _write(
        self,
        writer: BatchWriter,
        batch: Mapping[str, Vote | None],
        declared: Declaration,
        at: Instant,
    ) -> None:
        is_whole = not self._is_lost and len(batch) == len(self._pending)
        rows: list[TableRow] = []
        seqs: dict[str, int] = {}
        for key, vote in batch.items():
            self._seq += 1
            seqs[key] = self._seq
            rows.append(vote_row(self._node, key, self._seq, vote, at.wall))
            if len(rows) % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
        said = declared
        if not declared.abstains and not (self._is_whole or is_whole):
            said = replace(declared, abstains=STARTING)
        self._beat += 1
        voter = voter_row(self._node, self._instance, self._beat, self._seq, said)
        expired = self._expired(at)
        works: list[WriteOp] = [Upsert(VOTE, rows)] if rows else []
        works += [Delete(VOTE, [(self._node, key) for key in expired])] if expired else []
        await writer.write([*works, Upsert(VOTER, [voter])])
        metrics.VOTES_WRITTEN.inc(len(rows))
        self._written.append((at.mono, self._beat, self._seq))
        self._stored = self._seq
        self._is_whole = self._is_whole or is_whole
        self._declared, self._next_beat = declared, at.mono + BEAT_INTERVAL
        if seqs:
            self._stored_seqs.update(seqs)
            self._last_vote = at.mono
        self._forget(batch, expired, at)

    def _forget(self, batch: Mapping[str, Vote | None], expired: list[str], at: Instant) -> None:
        """These are stored, and those rows are deleted."""
        if math.isinf(self._next_count):
            self._next_count = at.mono + COUNT_INTERVAL
        for key in expired:
            del self._withdrawn[key]
            self._stored_seqs.pop(key, None)
        for key, vote in batch.items():
            del self._pending[key]
            self._withdrawn.pop(key, None)
            if vote is None:
                self._withdrawn[key] = at.wall

    def _expired(self, at: Instant) -> list[str]:
        """Rows to delete, the oldest first."""
        if self._is_lost:
            return []
        oldest = islice(self._withdrawn.items(), DELETE_BATCH)
        return [
            key
            for key, wall in oldest
            if at.wall - wall > WITHDRAWN_AGE and key not in self._pending
        ]


def _wall(since: Value) -> float:
    try:
        return parse_sql_datetime(since) or 0.0
    except ValueError:
        return 0.0
