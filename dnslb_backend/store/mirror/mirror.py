"""The write-behind copy of the map in one store.

    offer -> agenda, backlog -> a batch -> one transaction -> the next batch

Nobody waits for the store: what changed is only noted, and rows are built from the map as it is
when they are written, so that a row that changed ten times is written once. Rows are built a few
at a time, so that the event loop is never held for long.

A session is one connection. It begins with everything, and with rows of an earlier session being
swept away, so that after any fault and any change by others the store converges to the truth.
"""

import asyncio
import contextlib
import math
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.errors import BadRowError, RetryableError, StoreError
from dnslb_backend.store.database.interface import Delete, Store, Upsert, WriteOp
from dnslb_backend.store.database.tables import NODE_TABLES, TRANSITION, Table, TableRow
from dnslb_backend.store.mirror.heartbeat import Heartbeat
from dnslb_backend.store.mirror.outbox import Outbox
from dnslb_backend.store.mirror.replay import TransitionReplay
from dnslb_backend.store.mirror.rows import Stamp
from dnslb_backend.store.mirror.source import MirrorSource, RowGroup
from dnslb_backend.store.mirror.sweeper import Sweeper
from dnslb_backend.store.mirror.transition_queue import TransitionQueue
from dnslb_backend.store.mirror.write_queue import WriteQueue

log = ComponentLog(__name__, "mirror")

BATCH_ROWS = 2500
SMALLEST_BATCH = 100
BATCH_TRANSITIONS = 1000
"""A transaction ends when it has so many rows; after a failure it ends earlier, for a while."""

ROWS_PER_TURN = 20
"""So many rows are built before others get their turn on the event loop."""

TICK = 0.5
"""Seconds that units whose refresh is due wait for one another."""

SWEEP_INTERVAL = 60.0
BUSY_TRIES = 6
FIRST_PAUSE = 0.05
MIN_LONGEST_PAUSE = 0.5
MAX_REPORTED = 100


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How a mirror is doing. `lag` is the age in seconds of the oldest change not yet stored."""

    store: str
    is_connected: bool
    backlog: int
    transitions: int
    lag: float
    rows: int
    transactions: int
    errors: int
    dropped: int
    refused: int
    last_write: float | None
    last_error: str
    duplicate_instance: str | None


@dataclass(slots=True)
class _Batch:
    """What one transaction is to do."""

    rows: dict[Table, list[TableRow]] = field(default_factory=dict)
    gone: dict[Table, list[TableRow]] = field(default_factory=dict)
    kept: dict[RowGroup, frozenset[tuple[Table, TableRow]]] = field(default_factory=dict)
    size: int = 0

    def works(self) -> list[WriteOp]:
        found: list[WriteOp] = [
            Upsert(table, self.rows[table]) for table in NODE_TABLES if table in self.rows
        ]
        found += (Delete(table, self.gone[table]) for table in NODE_TABLES if table in self.gone)
        return found


class Mirror:
    """Keeps one store like the map.

    `gap` is the shortest time in seconds between transactions. `backlog` is what another mirror
    of the same daemon has not written, `replay` what earlier daemons have not.
    """

    def __init__(
        self,
        store: Store,
        source: MirrorSource,
        heartbeat: Heartbeat,
        sweeper: Sweeper,
        *,
        node: str,
        instance: str,
        refresh: float,
        gap: float,
        now: Callable[[], Instant],
        backlog: TransitionQueue | None = None,
        replay: TransitionReplay | None = None,
    ) -> None:
        self._store = store
        self._source = source
        self._heartbeat = heartbeat
        self._sweeper = sweeper
        self._stamp = Stamp(node, "")
        self._refresh = refresh
        self._gap = gap
        self._now = now
        self._write_queue = WriteQueue(lambda group: max(refresh, source.interval(group)))
        self.backlog = TransitionQueue() if backlog is None else backlog
        self._outbox = Outbox(self.backlog, replay, node, instance)
        self._touched: set[RowGroup] = set()
        self._kept: dict[RowGroup, frozenset[tuple[Table, TableRow]]] = {}
        self._unwritten: set[RowGroup] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_connected = False
        self._failures = 0
        self._batch_rows = BATCH_ROWS
        self._next_beat = self._next_sweep = 0.0
        self._written = -math.inf
        self._rows = self._transactions = self._errors = self._refused = 0
        self._last_write: float | None = None
        self._last_error = ""
        self._reported_error = ""
        self._reported_rows: set[str] = set()

    # -- told ---------------------------------------------------------------------------

    def record_changes(
        self,
        changed: Iterable[RowGroup],
        touched: Iterable[RowGroup] = (),
        transitions: Sequence[Transition] = (),
    ) -> None:
        """Note what happened. `touched` units wait for their refresh, the others do not."""
        now = self._now().mono
        self._write_queue.mark_dirty(changed, now)
        self._touched.update(touched)
        self.backlog.put(transitions, now)
        if self._is_pressed:
            self._idle.clear()
            self._wake.set()

    def apply_snapshot(self) -> None:
        """The units that there are have changed: a new configuration."""
        self._write_queue.apply_snapshot(self._source.groups(), self._now().mono)
        self._wake.set()

    @property
    def status(self) -> MirrorStatus:
        since = [t for t in (self._write_queue.oldest, self._outbox.oldest) if t is not None]
        return MirrorStatus(
            store=self._store.name,
            is_connected=self._is_connected,
            backlog=self._write_queue.backlog,
            transitions=len(self._outbox),
            lag=max(0.0, self._now().mono - min(since)) if since else 0.0,
            rows=self._rows,
            transactions=self._transactions,
            errors=self._errors,
            dropped=self._outbox.dropped,
            refused=self._refused,
            last_write=self._last_write,
            last_error=self._last_error,
            duplicate_instance=self._heartbeat.duplicate_instance,
        )

    # -- at work --------------------------------------------------------------------------

    async def run(self) -> None:
        """Write until cancelled, whatever becomes of the store."""
        while True:
            try:
                await self._session()
            except StoreError as error:
                self._fail(str(error))
            except Exception:
                log.exception("%s: unhandled exception; reconnecting", self._store.name)
                self._fail("an unhandled exception; the log has its traceback")
            finally:
                self._is_connected = False
            with contextlib.suppress(StoreError):
                await self._store.close()
            await asyncio.sleep(self._pause())

    async def flush(self, limit: float) -> bool:
        """Write all that was touched, for at most `limit` seconds; whether that was enough.

        Somebody has to `run` meanwhile.
        """
        self.record_changes(self._touched)
        self._touched = set()
        try:
            async with asyncio.timeout(limit):
                while self._write_queue.backlog or self._outbox:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _session(self) -> None:
        await self._store.open()
        losses = self._store.losses
        self._stamp = self._stamp._replace(session=secrets.token_hex(8))
        self._kept.clear()
        self._write_queue.mark_all_dirty(self._now().mono)
        self._unwritten = self._write_queue.units()
        self._next_beat = self._next_sweep = 0.0
        while True:
            now = self._now().mono
            if now >= self._next_beat:
                await self._heartbeat.beat(self._store)
                self._next_beat = now + self._refresh
            await self._write(await self._gather())
            if self._store.losses != losses:
                raise StoreError("rows were lost; writing all of them again")
            self._connected()
            if not self._is_pressed:
                self._idle.set()
                await self._sweep()
            await self._rest()

    async def _gather(self) -> _Batch:
        """The units that come next, and their rows as they are at this moment."""
        batch = _Batch()
        at = self._now()
        done = 0
        while (
            batch.size < self._batch_rows and (group := self._write_queue.take(at.mono)) is not None
        ):
            self._build(group, batch)
            if batch.size - done >= ROWS_PER_TURN:
                done = batch.size
                await asyncio.sleep(0)
        return batch

    def _build(self, group: RowGroup, batch: _Batch) -> None:
        rows = self._source.rows(group, self._stamp, self._now())
        for table, row in rows:
            batch.rows.setdefault(table, []).append(row)
        kept = frozenset((table, table.key_of(row)) for table, row in rows)
        for table, key in self._kept.get(group, frozenset()) - kept:
            batch.gone.setdefault(table, []).append(key)
        batch.kept[group] = kept
        batch.size += len(rows) + 1
        self._touched.discard(group)

    async def _write(self, batch: _Batch) -> None:
        works = batch.works()
        if told := await self._outbox.first(BATCH_TRANSITIONS):
            works.append(Upsert(TRANSITION, told))
        if works:
            await self._commit(works)
            self._transactions += 1
            self._last_write = self._now().wall
            self._written = self._now().mono
            self._failures = 0
            self._batch_rows = min(BATCH_ROWS, 2 * self._batch_rows)
        for group, kept in batch.kept.items():
            if kept:
                self._kept[group] = kept
            else:
                self._kept.pop(group, None)
            self._unwritten.discard(group)
        if told:
            self._outbox.done()
        self._write_queue.done()

    async def _commit(self, works: Sequence[WriteOp]) -> None:
        for attempt in range(BUSY_TRIES):
            try:
                await self._store.write(works)
            except RetryableError as error:
                self._errors += 1
                self._last_error = str(error)
                await asyncio.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))
            except BadRowError as error:
                await self._commit_apart(works, error)
                return
            else:
                self._rows += sum(len(w.rows) for w in works if isinstance(w, Upsert))
                return
        raise StoreError(f"{self._last_error}; {BUSY_TRIES} times in a row")

    async def _commit_apart(self, works: Sequence[WriteOp], error: BadRowError) -> None:
        """Halve the work until the row that spoils it stands alone, and leave that one out."""
        halves = _halves(works)
        if halves is None:
            self._refuse(str(error))
            return
        for half in halves:
            await self._commit(half)

    async def _sweep(self) -> None:
        """Once everything of this session is there, what is left of earlier ones goes."""
        now = self._now().mono
        if self._unwritten or now < self._next_sweep or self._heartbeat.duplicate_instance:
            return
        if not self._source.is_complete:
            return
        self._next_sweep = now + SWEEP_INTERVAL
        await self._sweeper.sweep(self._store, self._stamp)

    async def _rest(self) -> None:
        """Wait for the next thing to write; changes are written at once, but for the gap."""
        while (left := self._next_write() - self._now().mono) > 0:
            if self._is_pressed:
                await asyncio.sleep(left)
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()

    def _next_write(self) -> float:
        if self._is_pressed:
            return self._written + self._gap
        return min(max(self._write_queue.next_due, self._written + TICK), self._next_beat)

    @property
    def _is_pressed(self) -> bool:
        return self._write_queue.has_dirty or bool(self._outbox)

    # -- how it goes ----------------------------------------------------------------------

    def _connected(self) -> None:
        if not self._is_connected:
            self._is_connected = True
            self._reported_error = ""
            log.info("%s: mirroring", self._store.name)

    def _fail(self, text: str) -> None:
        self._failures += 1
        self._errors += 1
        self._last_error = text
        self._batch_rows = max(SMALLEST_BATCH, self._batch_rows // 2)
        self._write_queue.requeue()
        if text != self._reported_error:
            self._reported_error = text
            log.error("%s: %s", self._store.name, text)

    def _refuse(self, text: str) -> None:
        self._refused += 1
        self._last_error = text
        if text not in self._reported_rows and len(self._reported_rows) < MAX_REPORTED:
            self._reported_rows.add(text)
            log.error("%s: a row is refused and left out: %s", self._store.name, text)

    def _pause(self) -> float:
        """Longer from failure to failure, with jitter, so that nodes do not come all at once."""
        longest = max(MIN_LONGEST_PAUSE, self._refresh / 2)
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 20), longest)
        return pause * random.uniform(0.5, 1.0)


def _halves(works: Sequence[WriteOp]) -> tuple[list[WriteOp], list[WriteOp]] | None:
    """Two parts of about the same size; None for a single row."""
    if len(works) > 1:
        middle = len(works) // 2
        return list(works[:middle]), list(works[middle:])
    (work,) = works
    if isinstance(work, Upsert) and len(work.rows) > 1:
        middle = len(work.rows) // 2
        first, second = work.rows[:middle], work.rows[middle:]
        return [Upsert(work.table, first)], [Upsert(work.table, second)]
    if isinstance(work, Delete) and len(work.keys) > 1:
        middle = len(work.keys) // 2
        return [Delete(work.table, work.keys[:middle])], [Delete(work.table, work.keys[middle:])]
    return None
