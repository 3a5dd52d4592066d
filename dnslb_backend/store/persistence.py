"""Everything the daemon keeps: one object in front of the local file and the database.

    open -> recall -> offer, offer, .. (run meanwhile) -> flush -> close

The local file is always written. With [mysql] the database is as well, over two connections:
one for the mirror, and one for orders, history and tidying, so that neither waits for the other.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from dnslb_backend.blocking import run_blocking
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredTransition
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override, next_expiry
from dnslb_backend.core.health.saved_state import EMPTY, SavedState
from dnslb_backend.errors import StoreError
from dnslb_backend.files import read_file
from dnslb_backend.store.database.interface import Store
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.mirror.heartbeat import Identity
from dnslb_backend.store.mirror.history import read_history
from dnslb_backend.store.mirror.meter import Meter
from dnslb_backend.store.mirror.mirror import MirrorStatus
from dnslb_backend.store.mirror.replay import TransitionReplay
from dnslb_backend.store.mirror.restore import load_saved_state
from dnslb_backend.store.mirror.source import MirrorSource, group_of
from dnslb_backend.store.mirror.transition_queue import TransitionQueue
from dnslb_backend.store.replica import Clocks, Replica, WritePolicy
from dnslb_backend.store.settings import DAY, MysqlSettings, StateSettings
from dnslb_backend.store.shared.key_store import StoredKeys
from dnslb_backend.store.shared.override_commands import clear, create
from dnslb_backend.store.shared.overrides import OverrideTable

log = ComponentLog(__name__, "mirror")

T = TypeVar("T")

LOCAL_LIMIT, REMOTE_LIMIT = 5.0, 0.9
"""Seconds that restoring may take from the local file and from the database. Without what the
file remembers answers would wait for the first checks: a slow disk is worth some seconds.
"""

HISTORY_LIMIT = 2.0
"""Seconds after which the local file is asked instead of the database, or nothing any more."""

CHECKPOINT_LIMIT = 0.5
"""Seconds for the last note of how far the database was told; without it some is sent twice."""

CLOSE_LIMIT = 1.0
"""Seconds for a store to close: a disk that hangs must not keep the process from ending."""

OVERRIDE_WRITE_LIMIT = 1.0
"""Seconds that an operator waits for an order to be on the disk."""

REFRESH = 5.0
LOCAL_REFRESH = 15.0
"""Seconds after which unchanged rows are written again, where the file is but a second copy."""

LOCAL_GAP, REMOTE_GAP = 0.02, 0.2
"""Seconds between transactions: a file takes them as they come, a database has other work."""

HISTORY_MAX_AGE = 30 * DAY
HISTORY_MAX_ROWS = 1_000_000
COPY_MAX_ROWS = 100_000
"""What the local file keeps of history, without a database and with one."""

CLOCK_CHECK = 5.0
"""After so many seconds at most, the wall clock is asked again whether an order has expired."""

METER_INTERVAL = 2.0

CHECKPOINT_INTERVAL = 2.0
"""Seconds after which it is noted how far the database has been told of transitions."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and from where: "local", "mariadb", or "nothing"."""

    state: SavedState
    source: str


@dataclass(frozen=True, slots=True)
class PersistenceStats:
    """How all that is kept is doing. `is_volatile`: the local file cannot be used for now."""

    restored: str
    is_volatile: bool
    mirrors: tuple[MirrorStatus, ...]


class Persistence:
    """The stores of one daemon. `on_overrides` is called, on the event loop, with all orders
    that hold on
    this node whenever those change: given, taken back, come in from other nodes, or expired.
    `resigned` is called with the zones whose keys or metadata have changed.
    """

    def __init__(
        self,
        state: StateSettings,
        mysql: MysqlSettings | None,
        health: HealthMap,
        *,
        node: str,
        version: str,
        now: Callable[[], Instant],
        on_overrides: Callable[[tuple[Override, ...]], None],
        resigned: Callable[[frozenset[str]], None] = lambda _: None,
        delete_unknowns: bool = True,
        config_hash: str = "",
    ) -> None:
        self._mysql = mysql
        self._health = health
        self._clocks = Clocks(now, uptime)
        self._on_overrides = on_overrides
        self._delete_unknowns = delete_unknowns
        self._source = MirrorSource(health)
        self._override_table = OverrideTable(node)
        self._applied_overrides: tuple[Override, ...] = ()
        instance = secrets.token_hex(8)
        self._identity = Identity(node, instance, version, now().wall, "", config_hash)
        self._file = SqliteStore(state.path)
        self.stored_keys = StoredKeys(
            self._file, now, spread=self._spread_keys, on_keys_changed=resigned
        )
        self._replay = TransitionReplay(self._file)
        self._meter = Meter()
        self._overrides_changed = asyncio.Event()
        self._database_moved = asyncio.Event()
        self._local = self._replica(self._file, self._file, self._local_write_policy())
        self._remote = self._remote_replica()

    # -- before the first answer -----------------------------------------------------------

    async def open(self) -> None:
        """Make ready. A store that cannot be used is told of, and tried again by `run`."""
        with contextlib.suppress(OSError):
            boot = await run_blocking(partial(read_file, BOOT_ID), LOCAL_LIMIT)
            self._identity.boot = boot.decode(errors="replace").strip()
        await self._within(LOCAL_LIMIT, self._file.open(), "the local file")

    async def restore(self) -> Restored:
        """What an earlier run knew, local file first.

        The database is asked for its rows where the file has none of this node, and for orders
        in any case.
        """
        source = "local"
        memory = await self._within(LOCAL_LIMIT, self._load_local(), "the local file")
        await self._within(LOCAL_LIMIT, self._local.sync_keys(), "the local file")
        if self._remote is not None:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + REMOTE_LIMIT
            asked = self._load(self._remote, with_rows=memory is None)
            found = await self._within(deadline - loop.time(), asked, "the database")
            keys = self._remote.sync_keys()
            await self._within(deadline - loop.time(), keys, "the database")
            if memory is None and found is not None:
                memory, source = found, "mariadb"
        if memory is None:
            memory, source = EMPTY, "nothing"
        self._identity.restored = source
        log.info("restored the state of %d records from: %s", len(memory.records), source)
        self._applied_overrides = self._override_table.live(self._clocks.now().wall)
        return Restored(replace(memory, overrides=self._applied_overrides), source)

    # -- at work -----------------------------------------------------------------------------

    def record_changes(self, changes: Changes, snapshot: Snapshot) -> None:
        """Note what happened; costs a moment for each record that was touched."""
        changed, is_new = self._source.apply_snapshot(snapshot)
        moved = {transition.key for transition in changes.transitions}
        changed |= self._source.changed_groups(changes.touched | changes.answers | moved)
        touched = [group_of(key) for key in changes.touched]
        for branch in self._replicas:
            if is_new:
                branch.mirror.apply_snapshot()
            branch.mirror.record_changes(changed, touched, changes.transitions)

    async def run(self) -> None:
        """Write, exchange orders and tidy up until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._local.run())
            group.create_task(self._run_remote())
            group.create_task(self._watch_overrides())
            group.create_task(self._save_checkpoint())
            group.create_task(self._measure())

    async def flush(self, limit: float) -> bool:
        """Write all that is not yet written, in `limit` seconds; whether that was enough.

        `run` has to go on meanwhile.
        """
        done = await asyncio.gather(*(branch.mirror.flush(limit) for branch in self._replicas))
        await self._within(CHECKPOINT_LIMIT, self._replay.note(), "the local file")
        return all(done)

    async def close(self) -> None:
        """Let go of the stores. Storage that hangs is left to its thread, and holds up nothing."""
        for branch in self._replicas:
            await self._within(CLOSE_LIMIT, branch.close(), "closing a store")

    def reconfigure(
        self, mysql: MysqlSettings | None, *, delete_unknowns: bool, config_hash: str
    ) -> None:
        """Follow a reload. Node and path of the local file stay what they were at the start."""
        self._identity.config_hash = config_hash
        self._delete_unknowns = delete_unknowns
        for branch in self._replicas:
            branch.sweeper.delete_unknowns = delete_unknowns
        if mysql != self._mysql:
            self._mysql = mysql
            self._database_moved.set()

    @property
    def stats(self) -> PersistenceStats:
        mirrors = tuple(branch.mirror.status for branch in self._replicas)
        return PersistenceStats(self._identity.restored, self._file.is_in_memory, mirrors)

    def detail(self) -> object:
        """The figures as JSON values, for the detail of /readyz."""
        return asdict(self.stats)

    # -- orders and history --------------------------------------------------------------------

    def overrides(self) -> list[Override]:
        """What holds now on any node, oldest first."""
        return self._override_table.everywhere(self._clocks.now().wall)

    async def override(self, override: OverrideRequest) -> Override:
        """Give an order: it holds at once, here and soon on every node it is for.

        Raises ConflictError, in words for the operator.
        """
        given = create(
            self._override_table, self._health, override, self._identity.node, self._clocks.now()
        )
        await self._spread()
        return given

    async def clear(
        self, target: str, *, name: str | None = None, author: str = "", force: bool = False
    ) -> list[Override]:
        """Take back what was ordered for a target, an id or a glob over targets; those orders.

        Raises ConflictError, in words for the operator.
        """
        at = self._clocks.now()
        taken = clear(
            self._override_table, self._health, target, at, name=name, author=author, force=force
        )
        await self._spread()
        return taken

    async def history(self, query: HistoryQuery) -> tuple[list[StoredTransition], str]:
        """Transitions, newest first, and the store they came from.

        The database knows those of all nodes; the local file answers where it cannot be asked.
        Raises StoreError where that fails as well.
        """
        if self._remote is not None and self._remote.mirror.status.is_connected:
            asked = read_history(self._remote.reader, query)
            found = await self._within(HISTORY_LIMIT, asked, "the history in the database")
            if found is not None:
                return found, self._remote.reader.name
        try:
            async with asyncio.timeout(HISTORY_LIMIT):
                return await read_history(self._file, query), self._file.name
        except TimeoutError:
            raise StoreError(f"{self._file.name}: no answer within {HISTORY_LIMIT:g} s") from None

    # -- inside --------------------------------------------------------------------------------

    @property
    def _replicas(self) -> list[Replica]:
        return [self._local] if self._remote is None else [self._local, self._remote]

    def _local_write_policy(self) -> WritePolicy:
        if self._mysql is None:
            return WritePolicy(REFRESH, LOCAL_GAP, HISTORY_MAX_AGE, HISTORY_MAX_ROWS)
        refresh = max(LOCAL_REFRESH, self._mysql.refresh)
        rows = min(COPY_MAX_ROWS, self._mysql.history_max_rows)
        return WritePolicy(refresh, LOCAL_GAP, self._mysql.history_max_age, rows)

    def _remote_replica(self, backlog: TransitionQueue | None = None) -> Replica | None:
        mysql = self._mysql
        if mysql is None:
            return None
        # Where there is no database, nor is its library read in before the first answer.
        from dnslb_backend.store.database.mariadb import MariaStore  # noqa: PLC0415 -- see above

        write_policy = WritePolicy(
            mysql.refresh, REMOTE_GAP, mysql.history_max_age, mysql.history_max_rows
        )
        return self._replica(
            MariaStore(mysql), MariaStore(mysql), write_policy, backlog, self._replay
        )

    def _replica(
        self,
        store: Store,
        reader: Store,
        write_policy: WritePolicy,
        backlog: TransitionQueue | None = None,
        replay: TransitionReplay | None = None,
    ) -> Replica:
        return Replica(
            store,
            reader,
            self._source,
            self._override_table,
            self.stored_keys.table,
            self._identity,
            write_policy,
            self._clocks,
            on_overrides_changed=self._overrides_changed.set,
            on_keys_changed=self.stored_keys.on_keys_changed,
            delete_unknowns=self._delete_unknowns,
            backlog=backlog,
            replay=replay,
        )

    async def _load_local(self) -> SavedState | None:
        try:
            return await self._load(self._local)
        except StoreError as error:
            # Damage that shows only now: the file that follows has what can still be read.
            log.warning("%s; trying again", error)
            return await self._load(self._local)

    async def _load(self, branch: Replica, *, with_rows: bool = True) -> SavedState | None:
        await branch.sync_overrides()
        if not with_rows:
            return None
        who = self._identity
        return await load_saved_state(branch.reader, who.node, who.boot, self._clocks.uptime)

    async def _within(self, limit: float, work: Awaitable[T], what: str) -> T | None:
        """What `work` gives, None where it fails or takes too long, which is told."""
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError:
            log.warning("%s did not answer within %.1f s", what, max(limit, 0.0))
        except StoreError as error:
            log.warning("%s cannot be used: %s", what, error)
        except Exception:
            log.exception("unhandled exception while using %s", what)
        return None

    async def _run_remote(self) -> None:
        """Run the database's branch, and another one whenever the configuration changes."""
        while True:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self._serve(self._remote)) if self._remote else None
                await self._database_moved.wait()
                self._database_moved.clear()
                if running is not None:
                    running.cancel()
            old = self._remote
            # The same numbers in both stores: they name the transitions of this run.
            backlog = TransitionQueue(start=self._local.mirror.backlog.count)
            if old is not None:
                backlog = old.mirror.backlog
                await old.close()
            self._remote = self._remote_replica(backlog)
            if self._remote is not None:
                self._remote.mirror.apply_snapshot()
                # What was before is told from the local file.
                await self._local.mirror.flush(OVERRIDE_WRITE_LIMIT)

    async def _serve(self, branch: Replica) -> None:
        opened = self._replay.open(self._clocks.now().mono)
        await self._within(LOCAL_LIMIT, opened, "the local file")
        await branch.run()

    async def _watch_overrides(self) -> None:
        """See to it that what holds is obeyed: at once, and punctually when an order expires."""
        while True:
            self._overrides_changed.clear()
            wall = self._clocks.now().wall
            live = self._override_table.live(wall)
            if live != self._applied_overrides:
                self._applied_overrides = live
                self._on_overrides(live)
            end = next_expiry(live, wall)
            # The wall clock may be set meanwhile: it is asked again after a while.
            wait = CLOCK_CHECK if end is None else min(end - wall, CLOCK_CHECK)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._overrides_changed.wait()

    async def _spread(self) -> None:
        self._overrides_changed.set()
        if self._remote is not None:
            self._remote.notify()
        # Where the file is stuck, the order holds all the same, and is written later.
        self._local.notify()
        await self._within(OVERRIDE_WRITE_LIMIT, self._local.sync_overrides(), "the local file")
        if self._file.is_in_memory:
            log.warning("the local file cannot be used: a restart may forget this order")

    def _spread_keys(self) -> None:
        if self._remote is not None:
            self._remote.notify()

    async def _save_checkpoint(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_INTERVAL)
            with contextlib.suppress(StoreError):
                await self._replay.note()

    async def _measure(self) -> None:
        while True:
            main = self._remote or self._local
            self._meter.read(main.mirror, [branch.mirror for branch in self._replicas])
            await asyncio.sleep(METER_INTERVAL)


def uptime() -> float:
    """Seconds since the machine's boot, asleep or not; setting its clock changes nothing."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
