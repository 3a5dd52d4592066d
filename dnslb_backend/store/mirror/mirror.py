"""The write-behind copy of the health map in one store.

    record_changes -> write queue, outboxes -> a batch -> one transaction -> the next batch

No caller waits for the store: what changed is only noted, and rows are built from the map as it is
when they are written, so that a row that changed ten times is written once. Rows are built a few
at a time, so that the event loop is never held for long.

A session is one connection. It begins with everything, and sweeps away the rows of earlier
sessions, so that after any fault and any change by others the store converges to the map.
"""

import asyncio
import contextlib
import math
import random
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.history import Change
from dnslb_backend.errors import StoreError
from dnslb_backend.slices import in_slices
from dnslb_backend.store.database.interface import Delete, Store, Upsert, WriteOp
from dnslb_backend.store.database.tables import NODE_TABLES, Table, TableRow
from dnslb_backend.store.mirror.heartbeat import Heartbeat
from dnslb_backend.store.mirror.node import LocalNode, WritePolicy
from dnslb_backend.store.mirror.outbox import Outboxes
from dnslb_backend.store.mirror.rows import Stamp
from dnslb_backend.store.mirror.source import RowGroup
from dnslb_backend.store.mirror.sweeper import sweep
from dnslb_backend.store.mirror.write_queue import WriteQueue
from dnslb_backend.store.mirror.writer import BatchWriter

log = ComponentLog(__name__, "mirror")

BATCH_ROWS = 2500
SMALLEST_BATCH = 100
BATCH_CHANGES = 1000
"""A transaction ends when it has so many rows; after a failure it ends earlier, for a while."""

ROWS_PER_TURN = 20
"""So many rows are built before others get their turn on the event loop."""

TICK = 0.5
"""Seconds that groups whose refresh is due wait for one another."""

SWEEP_INTERVAL = 60.0
FIRST_PAUSE = 0.05

MIN_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How a mirror is doing. `backlog` groups of rows wait, and `history` rows of history; `lag` is
    the age in seconds of the oldest change not yet stored.
    """

    store: str
    is_connected: bool
    backlog: int
    history: int
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
    """What one transaction is to do; `keys` are those of the rows that each group has now."""

    rows: dict[Table, list[TableRow]] = field(default_factory=dict)
    gone: dict[Table, list[TableRow]] = field(default_factory=dict)
    keys: dict[RowGroup, tuple[tuple[Table, TableRow], ...]] = field(default_factory=dict)
    size: int = 0

    def works(self) -> list[WriteOp]:
        found: list[WriteOp] = [
            Upsert(table, self.rows[table]) for table in NODE_TABLES if table in self.rows
        ]
        found += (Delete(table, self.gone[table]) for table in NODE_TABLES if table in self.gone)
        return found


class Mirror:
    """Keeps one store like the map of `node`, and sends it what is in the outboxes."""

    def __init__(
        self, store: Store, node: LocalNode, policy: WritePolicy, outboxes: Outboxes
    ) -> None:
        self._store = store
        self._source = node.source
        self._policy = policy
        self._now = node.clocks.now
        self._heartbeat = Heartbeat(node)
        self._stamp = Stamp(node.name, "")
        self._write_queue = WriteQueue(
            lambda group: max(policy.refresh, node.source.interval(group))
        )
        self.outboxes = outboxes
        self._writer = BatchWriter(store)
        self._touched: set[RowGroup] = set()
        self._keys: dict[RowGroup, tuple[tuple[Table, TableRow], ...]] = {}
        self._unwritten: set[RowGroup] = set()
        self._is_outdated = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_connected = False
        self._failures = 0
        self._batch_rows = BATCH_ROWS
        self._next_beat = self._next_sweep = 0.0
        self._written = -math.inf
        self._transactions = 0
        self._last_write: float | None = None
        self._reported_error = ""

    # -- what is to be written ----------------------------------------------------------

    def record_changes(
        self,
        changed: Iterable[RowGroup],
        touched: Iterable[RowGroup] = (),
        history: Sequence[Iterable[Change]] = ((), ()),
    ) -> None:
        """Note what happened. `touched` groups wait for their refresh, the others do not;
        `history` has the new changes for each history table.
        """
        now = self._now().mono
        self._write_queue.mark_dirty(changed, now)
        self._touched.update(touched)
        self.outboxes.put(history, now)
        if self._has_changes:
            self._idle.clear()
            self._wake.set()

    def apply_snapshot(self) -> None:
        """Follow a new configuration, which has other groups of rows."""
        self._is_outdated = True
        self._idle.clear()
        self._wake.set()

    @property
    def status(self) -> MirrorStatus:
        since = [t for t in (self._write_queue.oldest, self.outboxes.oldest) if t is not None]
        return MirrorStatus(
            store=self._store.name,
            is_connected=self._is_connected,
            backlog=self._write_queue.backlog + self._is_outdated,
            history=len(self.outboxes),
            lag=max(0.0, self._now().mono - min(since)) if since else 0.0,
            rows=self._writer.rows,
            transactions=self._transactions,
            errors=self._writer.errors,
            dropped=self.outboxes.dropped,
            refused=self._writer.refused,
            last_write=self._last_write,
            last_error=self._writer.last_error,
            duplicate_instance=self._heartbeat.duplicate_instance,
        )

    # -- writing --------------------------------------------------------------------------

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

        `run` has to go on meanwhile.
        """
        touched, self._touched = self._touched, set()
        try:
            async with asyncio.timeout(limit):
                await self._mark_dirty(touched)
                self._wake.set()
                while self._is_outdated or self._write_queue.backlog or self.outboxes:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _session(self) -> None:
        await self._store.open()
        losses = self._store.losses
        self._stamp = self._stamp._replace(session=secrets.token_hex(8))
        self._keys.clear()
        await self._follow_groups()
        self._unwritten = self._write_queue.groups()
        await self._mark_dirty(self._unwritten)
        self._next_beat = self._next_sweep = 0.0
        while True:
            now = self._now().mono
            if now >= self._next_beat:
                await self._heartbeat.beat(self._store, self._stamp.session)
                self._next_beat = now + self._policy.beat
            await self._follow_groups()
            await self._write(await self._gather())
            if self._store.losses != losses:
                raise StoreError("rows were lost; writing all of them again")
            self._connected()
            if not self._has_changes:
                self._idle.set()
                await self._sweep()
            await self._rest()

    async def _mark_dirty(self, groups: Iterable[RowGroup]) -> None:
        now = self._now().mono
        async for group in in_slices(tuple(groups)):
            self._write_queue.mark_dirty([group], now)

    async def _follow_groups(self) -> None:
        """Learn which groups there are after a new configuration, in slices: there may be many."""
        while self._is_outdated:
            self._is_outdated = False
            now, found = self._now().mono, set[RowGroup]()
            async for group in in_slices(self._source.groups()):
                self._write_queue.keep(group, now)
                found.add(group)
            async for group in in_slices(self._write_queue.groups()):
                if group not in found:
                    self._write_queue.remove([group], now)

    async def _gather(self) -> _Batch:
        """The groups that come next, and their rows as they are at this moment."""
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
        keys = tuple((table, table.key_of(row)) for table, row in rows)
        for table, key in set(self._keys.get(group, ())).difference(keys):
            batch.gone.setdefault(table, []).append(key)
        batch.keys[group] = keys
        batch.size += len(rows) + 1
        self._touched.discard(group)

    async def _write(self, batch: _Batch) -> None:
        works = batch.works()
        works += await self.outboxes.first(BATCH_CHANGES)
        if works:
            await self._writer.write(works)
            self._transactions += 1
            self._last_write = self._now().wall
            self._written = self._now().mono
            self._failures = 0
            self._batch_rows = min(BATCH_ROWS, 2 * self._batch_rows)
        for group, keys in batch.keys.items():
            if keys:
                self._keys[group] = keys
            else:
                self._keys.pop(group, None)
            self._unwritten.discard(group)
        self.outboxes.done()
        self._write_queue.done()

    async def _sweep(self) -> None:
        """Once all rows of this session are stored, delete those of earlier ones."""
        now = self._now().mono
        if self._unwritten or now < self._next_sweep or self._heartbeat.duplicate_instance:
            return
        if not self._source.is_complete:
            return
        self._next_sweep = now + SWEEP_INTERVAL
        await sweep(self._store, self._source, self._stamp)

    async def _rest(self) -> None:
        """Wait until something is to be written; changes wait for nothing but the gap."""
        while (left := self._next_write() - self._now().mono) > 0:
            if self._has_changes:
                await asyncio.sleep(left)
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()

    def _next_write(self) -> float:
        if self._has_changes:
            return self._written + self._policy.gap
        return min(max(self._write_queue.next_due, self._written + TICK), self._next_beat)

    @property
    def _has_changes(self) -> bool:
        return self._is_outdated or self._write_queue.has_dirty or bool(self.outboxes)

    # -- failures -------------------------------------------------------------------------

    def _connected(self) -> None:
        if not self._is_connected:
            self._is_connected = True
            self._reported_error = ""
            log.info("%s: connected, mirroring", self._store.name)

    def _fail(self, text: str) -> None:
        self._failures += 1
        self._writer.count_error(text)
        self._batch_rows = max(SMALLEST_BATCH, self._batch_rows // 2)
        self._write_queue.requeue()
        if text != self._reported_error:
            self._reported_error = text
            log.error("%s: %s", self._store.name, text)

    def _pause(self) -> float:
        """Longer with each failure, with jitter, so that nodes do not reconnect all at once."""
        longest = max(MIN_LONGEST_PAUSE, self._policy.beat / 2)
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 20), longest)
        return pause * random.uniform(0.5, 1.0)
