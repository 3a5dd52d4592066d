"""One store of this node: its mirror, the tables it shares with other nodes, and its retention."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Store
from dnslb_backend.store.database.schema import VERSION
from dnslb_backend.store.mirror.mirror import Mirror
from dnslb_backend.store.mirror.node import LocalNode, WritePolicy
from dnslb_backend.store.mirror.outbox import Outboxes
from dnslb_backend.store.mirror.retention import Retention
from dnslb_backend.store.shared.replicated_table import ReplicatedTable, TableSync
from dnslb_backend.store.shared.unsupported import UnsupportedRows

log = ComponentLog(__name__, "mirror")

T = TypeVar("T")

SYNC_INTERVAL = 2.0
RETENTION_INTERVAL = 60.0
FIRST_RETENTION = 10.0

CLOSE_LIMIT = 1.0
"""Seconds for a store to close: a disk that hangs must not keep the process from ending."""


async def within(limit: float, work: Awaitable[T], what: str) -> T | None:
    """The result of `work`, None where it fails or takes more than `limit` seconds; logged."""
    try:
        async with asyncio.timeout(limit):
            return await work
    except TimeoutError:
        log.warning("%s: no answer within %.1f s", what, max(limit, 0.0))
    except StoreError as error:
        log.warning("%s: %s", what, error)
    except Exception:  # the caller goes on without the store
        log.exception("%s: unhandled exception", what)
    return None


@dataclass(frozen=True, slots=True)
class SharedStatus:
    """What this program is too old for in a store: its schema, if it is newer, and the rows of
    shared tables that are not in force here.
    """

    store: str
    newer_schema: int | None
    unsupported: tuple[UnsupportedRows, ...]


def measure_shared(found: Sequence[SharedStatus]) -> None:
    """Set the metrics of what this program is too old for."""
    metrics.UNSUPPORTED_ROWS.clear()
    metrics.NEWER_SCHEMA.clear()
    for status in found:
        metrics.NEWER_SCHEMA.labels(status.store).set(status.newer_schema or 0)
        for rows in status.unsupported:
            metrics.UNSUPPORTED_ROWS.labels(status.store, rows.table).set(rows.rows)


class Replica:
    """`reader` is read, and written by what is not the mirror, while the mirror writes to `store`;
    they may be one.
    """

    def __init__(
        self,
        store: Store,
        reader: Store,
        node: LocalNode,
        policy: WritePolicy,
        outboxes: Outboxes,
        tables: Sequence[ReplicatedTable[Any]],
    ) -> None:
        self.reader = reader
        self.mirror = Mirror(store, node, policy, outboxes)
        self._store = store
        self._now = node.clocks.now
        self._tables = tables
        self.is_read_only = policy.is_read_only
        self._syncs = [
            TableSync(table, reader, is_read_only=policy.is_read_only) for table in tables
        ]
        self._retention = Retention(
            reader, node.name, policy.history_max_age, policy.history_max_rows
        )
        self._wake = asyncio.Event()
        self._reported = set[str]()
        self._reported_schema: int | None = None

    @property
    def shared_status(self) -> SharedStatus:
        rows = tuple(found for sync in self._syncs for found in sync.unsupported.summary())
        return SharedStatus(self.reader.name, self.reader.newer_schema, rows)

    async def run(self) -> None:
        """Write, exchange and delete until cancelled; read alone where it is read-only."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sync_loop(), name=f"sync {self._store.name}")
            if self.is_read_only:
                return
            group.create_task(self.mirror.run(), name=f"mirror {self._store.name}")
            group.create_task(self._retention_loop(), name=f"retention {self._store.name}")

    async def sync(self) -> bool:
        """Exchange the shared tables with the store now; whether all of them could be."""
        wall = self._now().wall
        done = [
            await self._attempt(partial(s.sync, wall), f"sync of {s.name}") for s in self._syncs
        ]
        self._report_schema()
        return all(done)

    def notify(self) -> None:
        """A shared table has changed: exchange it at once."""
        self._wake.set()

    async def close(self) -> None:
        """Storage that hangs is left to its thread."""
        for store in (self._store, self.reader):
            await within(CLOSE_LIMIT, store.close(), f"closing {store.name}")

    def _report_schema(self) -> None:
        newer = self.reader.newer_schema
        if newer is not None and newer != self._reported_schema:
            log.warning(
                "%s: the schema is version %d, this program knows %d: upgrade it",
                *(self.reader.name, newer, VERSION),
            )
        self._reported_schema = newer

    async def _sync_loop(self) -> None:
        while True:
            self._wake.clear()
            await self.sync()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC_INTERVAL):
                    await self._wake.wait()

    async def _retention_loop(self) -> None:
        await asyncio.sleep(FIRST_RETENTION)
        while True:
            for table in self._tables:
                table.prune(self._now().wall)
            await self._attempt(self._retention.delete_expired, "retention")
            await asyncio.sleep(RETENTION_INTERVAL)

    async def _attempt(self, work: Callable[[], Awaitable[None]], what: str) -> bool:
        """Whether it was done; an error is logged once, until it is done again."""
        try:
            await work()
            self._reported.discard(what)
            return True
        except StoreError as error:
            if what not in self._reported:
                self._reported.add(what)
                log.warning("%s: %s: %s", self._store.name, what, error)
        except Exception:
            log.exception("%s: %s: unhandled exception", self._store.name, what)
        return False
