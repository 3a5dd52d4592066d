"""One store at work: its mirror, the orders that come and go through it, and its tidying."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Store
from dnslb_backend.store.mirror.heartbeat import Heartbeat, Identity
from dnslb_backend.store.mirror.mirror import Mirror
from dnslb_backend.store.mirror.replay import TransitionReplay
from dnslb_backend.store.mirror.retention import Retention
from dnslb_backend.store.mirror.source import MirrorSource
from dnslb_backend.store.mirror.sweeper import Sweeper
from dnslb_backend.store.mirror.transition_queue import TransitionQueue
from dnslb_backend.store.shared.keys import DnssecSync, DnssecTable
from dnslb_backend.store.shared.overrides import OverrideSync, OverrideTable

log = ComponentLog(__name__, "mirror")

SYNC_INTERVAL = 2.0
RETENTION_INTERVAL = 60.0
FIRST_RETENTION = 10.0


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """How a store is treated. `refresh` and `gap` in seconds; history by age (s) and count."""

    refresh: float
    gap: float
    history_max_age: float
    history_max_rows: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """`uptime` is a clock of the machine that never jumps, in seconds since its boot."""

    now: Callable[[], Instant]
    uptime: Callable[[], float]


class Replica:
    """`reader` is asked while `store` writes; they may be one. `learned` is called when orders of
    other nodes have come in, `resigned` with the zones whose keys or metadata have.
    """

    def __init__(
        self,
        store: Store,
        reader: Store,
        source: MirrorSource,
        override_table: OverrideTable,
        keys: DnssecTable,
        identity: Identity,
        write_policy: WritePolicy,
        clocks: Clocks,
        *,
        on_overrides_changed: Callable[[], None],
        on_keys_changed: Callable[[frozenset[str]], None],
        delete_unknowns: bool,
        backlog: TransitionQueue | None = None,
        replay: TransitionReplay | None = None,
    ) -> None:
        self.reader = reader
        self._store = store
        self._override_table = override_table
        self._now = clocks.now
        self._on_overrides_changed = on_overrides_changed
        self._keys = keys
        self._on_keys_changed = on_keys_changed
        self.sweeper = Sweeper(source, delete_unknowns)
        self.mirror = Mirror(
            store,
            source,
            Heartbeat(identity, clocks.now, clocks.uptime),
            self.sweeper,
            node=identity.node,
            instance=identity.instance,
            refresh=write_policy.refresh,
            gap=write_policy.gap,
            now=clocks.now,
            backlog=backlog,
            replay=replay,
        )
        self._sync = OverrideSync(override_table, reader)
        self._key_sync = DnssecSync(keys, reader)
        self._retention = Retention(
            reader, identity.node, write_policy.history_max_age, write_policy.history_max_rows
        )
        self._wake = asyncio.Event()
        self._reported = set[str]()

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.mirror.run(), name=f"mirror {self._store.name}")
            group.create_task(self._sync_loop(), name=f"orders {self._store.name}")
            group.create_task(self._retention_loop(), name=f"tidying {self._store.name}")

    async def sync_overrides(self) -> None:
        """Bring the table and the store to the same state now. Raises StoreError."""
        version = self._override_table.version
        await self._sync.sync(self._now().wall)
        if self._override_table.version != version:
            self._on_overrides_changed()

    async def sync_keys(self) -> None:
        """The same for the keys and metadata of signed zones. Raises StoreError."""
        moved = await self._key_sync.sync(self._now().wall)
        if moved:
            self._on_keys_changed(moved)

    def notify(self) -> None:
        """An order was given or taken back, or a key was changed: pass it on at once."""
        self._wake.set()

    async def close(self) -> None:
        for store in (self._store, self.reader):
            with contextlib.suppress(StoreError):
                await store.close()

    async def _sync_loop(self) -> None:
        while True:
            self._wake.clear()
            await self._attempt(self.sync_overrides, "orders are not exchanged")
            await self._attempt(self.sync_keys, "keys are not exchanged")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC_INTERVAL):
                    await self._wake.wait()

    async def _retention_loop(self) -> None:
        await asyncio.sleep(FIRST_RETENTION)
        while True:
            await self._attempt(self._apply_retention, "nothing is tidied up")
            await asyncio.sleep(RETENTION_INTERVAL)

    async def _apply_retention(self) -> None:
        self._override_table.prune(self._now().wall)
        self._keys.prune(self._now().wall)
        await self._retention.delete_expired()

    async def _attempt(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        try:
            await work()
            self._reported.discard(what)
        except StoreError as error:
            if what not in self._reported:
                self._reported.add(what)
                log.warning("%s: %s: %s", self._store.name, what, error)
        except Exception:
            log.exception("%s: %s: unhandled exception", self._store.name, what)
