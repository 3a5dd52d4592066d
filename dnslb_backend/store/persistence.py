"""Everything that the daemon keeps: one object in front of the local file and the database.

    open -> restore -> record_changes, … (run meanwhile) -> flush -> close

The local file is always written. With [mysql] the database is as well, over two connections: one
for the mirror, and one for shared tables, history and retention, so that neither waits for the
other.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from dnslb_backend.blocking import run_blocking
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.differences import FleetAnswers
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredChange
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.saved_state import EMPTY, SavedState
from dnslb_backend.errors import ConflictError, StoreError
from dnslb_backend.files import read_file
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.mirror.differences import read_differences
from dnslb_backend.store.mirror.history import read_history
from dnslb_backend.store.mirror.meter import Meter
from dnslb_backend.store.mirror.mirror import Mirror, MirrorStatus
from dnslb_backend.store.mirror.node import Clocks, Identity, LocalNode, WritePolicy
from dnslb_backend.store.mirror.outbox import Outboxes
from dnslb_backend.store.mirror.restore import load_saved_state
from dnslb_backend.store.mirror.source import MirrorSource, group_of
from dnslb_backend.store.replica.remote import REFRESH, RemoteConfig, RemoteReplica
from dnslb_backend.store.replica.replica import Replica, SharedStatus, measure_shared, within
from dnslb_backend.store.settings import DAY, MysqlSettings, StateSettings
from dnslb_backend.store.shared.key_store import StoredKeys
from dnslb_backend.store.shared.override_applier import OverrideApplier
from dnslb_backend.store.shared.override_commands import clear, create

log = ComponentLog(__name__, "mirror")

LOCAL_LIMIT, REMOTE_LIMIT = 5.0, 0.9
"""Seconds that a restore may take from the local file and from the database. Without the rows of
the file, answers would wait for the first checks: a slow disk is worth some seconds.
"""

HISTORY_LIMIT = 2.0
"""Seconds after which the local file is asked instead of the database, or no store any more."""

OVERRIDE_WRITE_LIMIT = 1.0
"""Seconds that an operator waits for an override, which is in force already, to be on the disk."""

LOCAL_REFRESH = 300.0
"""Seconds after which unchanged rows are written again; until then the heartbeat says that they
still hold."""

LOCAL_GAP = 0.02

HISTORY_MAX_AGE = 30 * DAY
HISTORY_MAX_ROWS = 1_000_000
COPY_MAX_ROWS = 100_000
"""What the local file keeps of history, without a database and with one."""

METER_INTERVAL = 2.0

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """What the configuration says of storage. A reload can change all but `state`.

    `is_fleet`: this node decides together with others; `follows`: it does what they decide, and
    writes nothing into the database.
    """

    state: StateSettings
    mysql: MysqlSettings | None = None
    delete_unknowns: bool = True
    fingerprint: str = ""
    is_fleet: bool = False
    follows: bool = False

    @property
    def remote(self) -> RemoteConfig:
        return RemoteConfig(self.mysql, self.is_fleet, self.follows)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and from where: "local", "mariadb", or "nothing"."""

    state: SavedState
    source: str


@dataclass(frozen=True, slots=True)
class PersistenceStats:
    """How the stores are doing. `is_volatile`: the local file cannot be used for now."""

    restored: str
    is_volatile: bool
    mirrors: tuple[MirrorStatus, ...]
    shared: tuple[SharedStatus, ...]


class Persistence:
    """The stores of one daemon. Both callbacks run on the event loop.

    `on_overrides` is called with all overrides in force on this node after they have changed: set,
    cleared or expired, here or on another node. `on_keys_changed` is called with the zones whose
    keys or metadata have changed.
    """

    def __init__(
        self,
        config: StorageConfig,
        health: HealthMap,
        *,
        node: str,
        version: str,
        now: Callable[[], Instant],
        on_overrides: Callable[[tuple[Override, ...]], None],
        on_keys_changed: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        self._health = health
        self._source = MirrorSource(health, delete_unknowns=config.delete_unknowns)
        self._identity = Identity(
            node, secrets.token_hex(8), version, now().wall, config_hash=config.fingerprint
        )
        self._clocks = Clocks(now, uptime)
        self._file = SqliteStore(config.state.path)
        self._overrides = OverrideApplier(node, now, on_overrides)
        self._commands = asyncio.Lock()
        self.stored_keys = StoredKeys(
            self._file, now, on_written=self._notify, on_keys_changed=on_keys_changed
        )
        tables = (self._overrides.table, self.stored_keys.table)
        local_node = LocalNode(self._identity, self._source, self._clocks)
        self._local = Replica(
            self._file,
            self._file,
            local_node,
            _local_policy(config.mysql),
            Outboxes(self._identity),
            tables,
        )
        self._remote = RemoteReplica(config.remote, local_node, tables, self._local, self._file)
        self._meter = Meter()

    # -- before the first answer -----------------------------------------------------------

    async def open(self) -> None:
        """Open the local file. Where that fails, it is logged, and `run` retries."""
        with contextlib.suppress(OSError):
            boot = await run_blocking(partial(read_file, BOOT_ID), LOCAL_LIMIT)
            self._identity.boot = boot.decode(errors="replace").strip()
        await within(LOCAL_LIMIT, self._file.open(), "local file")

    async def restore(self) -> Restored:
        """The state of an earlier run, from the local file if it has any.

        The database is read for shared tables in any case, and for rows of this node where the file
        has none.
        """
        source = "local"
        state = await within(LOCAL_LIMIT, self._restore_local(), "restore from the local file")
        if (remote := self._remote.replica) is not None:
            restored = self._restore_remote(remote, with_rows=state is None)
            found = await within(REMOTE_LIMIT, restored, "restore from the database")
            if state is None and found is not None:
                state, source = found, "mariadb"
        if state is None:
            state, source = EMPTY, "nothing"
        self._identity.restored = source
        log.info("restored the state of %d records from: %s", len(state.records), source)
        return Restored(replace(state, overrides=self._overrides.restore()), source)

    async def _restore_local(self) -> SavedState | None:
        """A file that turns out to be damaged is replaced by one with what can still be read of it:
        so where it fails, it is tried once more.
        """
        if not await self._local.sync():
            await self._local.sync()
        try:
            return await self._load_rows(self._local)
        except StoreError as error:
            log.warning("%s; trying again", error)
            return await self._load_rows(self._local)

    async def _restore_remote(self, remote: Replica, *, with_rows: bool) -> SavedState | None:
        await remote.sync()
        return await self._load_rows(remote) if with_rows else None

    async def _load_rows(self, replica: Replica) -> SavedState | None:
        node, boot = self._identity.node, self._identity.boot
        return await load_saved_state(replica.reader, node, boot, self._clocks.uptime)

    # -- at work -----------------------------------------------------------------------------

    def record_changes(self, changes: Changes, snapshot: Snapshot) -> None:
        """Note what has changed; costs a moment for each record that was touched."""
        changed, is_new = self._source.apply_snapshot(snapshot)
        moved = {transition.key for transition in changes.transitions}
        changed |= self._source.changed_groups(changes.touched | changes.answers | moved)
        touched = [group_of(key) for key in changes.touched]
        history = (changes.transitions, changes.decisions)
        for mirror in self._mirrors:
            if is_new:
                mirror.apply_snapshot()
            mirror.record_changes(changed, touched, history)

    async def run(self) -> None:
        """Write the stores, and exchange what nodes share, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._local.run(), name="local file")
            group.create_task(self._remote.run(), name="database")
            group.create_task(self._overrides.watch(), name="overrides")
            group.create_task(self._measure(), name="store metrics")

    async def flush(self, limit: float) -> bool:
        """Write all that is not yet stored, in `limit` seconds; whether that was enough.

        `run` has to go on meanwhile.
        """
        done = await asyncio.gather(*(mirror.flush(limit) for mirror in self._mirrors))
        await self._remote.save_checkpoints()
        return all(done)

    async def close(self) -> None:
        """Close the stores; one that hangs is left behind."""
        for replica in self._replicas:
            await replica.close()

    def reconfigure(self, config: StorageConfig) -> None:
        """Follow a reload. Node and path of the local file stay what they were at the start."""
        self._identity.config_hash = config.fingerprint
        self._source.delete_unknowns = config.delete_unknowns
        self._remote.reconfigure(config.remote)

    @property
    def instance(self) -> str:
        """Random for each run."""
        return self._identity.instance

    @property
    def stats(self) -> PersistenceStats:
        mirrors = tuple(mirror.status for mirror in self._mirrors)
        shared = tuple(replica.shared_status for replica in self._replicas)
        return PersistenceStats(self._identity.restored, self._file.is_in_memory, mirrors, shared)

    def detail(self) -> object:
        """The stats as JSON values, for the details of /readyz."""
        return asdict(self.stats)

    # -- overrides and history -----------------------------------------------------------------

    def overrides(self) -> list[Override]:
        """Those in force on any node, oldest first."""
        return self._overrides.table.everywhere(self._clocks.now().wall)

    def cleared_by(self, number: str) -> str:
        """Who cleared the override of this id; "" where it was not cleared."""
        return self._overrides.table.cleared_by(number)

    async def override(self, request: OverrideRequest) -> Override:
        """Set an override: in force here before it is written, soon on every node it is for.

        Raises ConflictError, in words for the operator.
        """
        table, at = self._overrides.table, self._clocks.now()
        async with self._commands:
            override = await create(table, self._health, request, self._identity.node, at)
            self._overrides.apply()
        await self._write_overrides()
        return override

    async def clear(
        self, target: str, *, name: str | None = None, author: str = "", force: bool = False
    ) -> list[Override]:
        """Clear the overrides for a target, an id or a glob over targets; returns them.

        They are no longer in force here before that is written. Raises ConflictError, in words for
        the operator.
        """
        table, at = self._overrides.table, self._clocks.now()
        async with self._commands:
            cleared = await clear(
                table, self._health, target, at, name=name, author=author, force=force
            )
            self._overrides.apply()
        await self._write_overrides()
        return cleared

    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        """Changes, newest first, and the store they came from.

        The database has those of all nodes; the local file is read where it cannot answer. Raises
        StoreError where that fails as well.
        """
        remote = self._remote.replica
        if remote is not None and (remote.is_read_only or remote.mirror.status.is_connected):
            read = read_history(remote.reader, query)
            found = await within(HISTORY_LIMIT, read, "history in the database")
            if found is not None:
                return found, remote.reader.name
        try:
            async with asyncio.timeout(HISTORY_LIMIT):
                return await read_history(self._file, query), self._file.name
        except TimeoutError:
            raise StoreError(f"{self._file.name}: no answer within {HISTORY_LIMIT:g} s") from None

    async def differences(self) -> FleetAnswers:
        """What nodes answer differently, as the database has it.

        Raises ConflictError without one, StoreError where it does not answer.
        """
        remote = self._remote.replica
        if remote is None:
            raise ConflictError("nodes are compared in the database: this one has no [mysql]")
        try:
            async with asyncio.timeout(HISTORY_LIMIT):
                return await read_differences(remote.reader)
        except TimeoutError:
            reader = remote.reader.name
            raise StoreError(f"{reader}: no answer within {HISTORY_LIMIT:g} s") from None

    # -- inside --------------------------------------------------------------------------------

    @property
    def _replicas(self) -> list[Replica]:
        remote = self._remote.replica
        return [self._local] if remote is None else [self._local, remote]

    @property
    def _mirrors(self) -> list[Mirror]:
        return [replica.mirror for replica in self._replicas if not replica.is_read_only]

    async def _write_overrides(self) -> None:
        self._notify()
        # Where the file is stuck, it is written later.
        await within(OVERRIDE_WRITE_LIMIT, self._local.sync(), "override in the local file")
        if any(replica.is_read_only for replica in self._replicas):
            log.warning("this node writes nothing into the database: the override holds here alone")
        if self._file.is_in_memory:
            log.warning("the local file cannot be used: a restart may lose this override")

    def _notify(self) -> None:
        for replica in self._replicas:
            replica.notify()

    async def _measure(self) -> None:
        while True:
            self._meter.update(self._mirrors)
            measure_shared([replica.shared_status for replica in self._replicas])
            await asyncio.sleep(METER_INTERVAL)


def _local_policy(mysql: MysqlSettings | None) -> WritePolicy:
    age, rows = HISTORY_MAX_AGE, HISTORY_MAX_ROWS
    if mysql is not None:
        age, rows = mysql.history_max_age, min(COPY_MAX_ROWS, mysql.history_max_rows)
    return WritePolicy(LOCAL_REFRESH, REFRESH, LOCAL_GAP, age, rows)


def uptime() -> float:
    """Seconds since the machine's boot, asleep or not; setting its clock changes nothing."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
