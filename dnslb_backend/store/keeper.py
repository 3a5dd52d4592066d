"""Everything the daemon keeps: one object in front of the local file and the database.

    open -> recall -> offer, offer, .. (run meanwhile) -> flush -> close

The local file is always written. With [mysql] the database is as well, over two connections:
one for the mirror, and one for orders, history and tidying, so that neither waits for the other.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from dnslb_backend.blocking import run_blocking
from dnslb_backend.core.changes import Changes
from dnslb_backend.core.events import Event, HistoryQuery
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.memory import NOTHING, Memory
from dnslb_backend.core.orders import Order
from dnslb_backend.core.overrides import Override, next_expiry
from dnslb_backend.core.snapshot import Snapshot
from dnslb_backend.errors import StoreError
from dnslb_backend.files import read_file
from dnslb_backend.store.arrears import Arrears
from dnslb_backend.store.backlog import Backlog
from dnslb_backend.store.branch import Branch, Clocks, Habits
from dnslb_backend.store.history import read_history
from dnslb_backend.store.meter import Meter
from dnslb_backend.store.mirror import MirrorFigures
from dnslb_backend.store.orders import give, take_back
from dnslb_backend.store.overrides import OverrideBook
from dnslb_backend.store.pulse import Identity
from dnslb_backend.store.restore import load_memory
from dnslb_backend.store.settings import DAY, MysqlSettings, StateSettings
from dnslb_backend.store.source import Source, unit_of
from dnslb_backend.store.sqlite import SqliteStore
from dnslb_backend.store.store import Store
from dnslb_backend.store.vault import Vault

log = logging.getLogger(__name__)

T = TypeVar("T")

LOCAL_LIMIT, REMOTE_LIMIT = 5.0, 0.9
"""Seconds that restoring may take from the local file and from the database. Without what the
file remembers answers would wait for the first checks: a slow disk is worth some seconds.
"""

HISTORY_LIMIT = 2.0
"""Seconds after which the local file is asked instead of the database, or nothing any more."""

MARK_LIMIT = 0.5
"""Seconds for the last note of how far the database was told; without it some is sent twice."""

CLOSE_LIMIT = 1.0
"""Seconds for a store to close: a disk that hangs must not keep the process from ending."""

GIVE_LIMIT = 1.0
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

MARK_INTERVAL = 2.0
"""Seconds after which it is noted how far the database has been told of transitions."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Recollection:
    """What was restored, and from where: "local", "mariadb", or "nothing"."""

    memory: Memory
    source: str


@dataclass(frozen=True, slots=True)
class KeeperFigures:
    """How all that is kept is doing. `is_volatile`: the local file cannot be used for now."""

    restored: str
    is_volatile: bool
    mirrors: tuple[MirrorFigures, ...]


class Keeper:
    """The stores of one daemon. `obey` is called, on the event loop, with all orders that hold on
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
        obey: Callable[[tuple[Override, ...]], None],
        resigned: Callable[[frozenset[str]], None] = lambda _: None,
        delete_unknowns: bool = True,
        config_hash: str = "",
    ) -> None:
        self._mysql = mysql
        self._health = health
        self._clocks = Clocks(now, uptime)
        self._obey = obey
        self._delete_unknowns = delete_unknowns
        self._source = Source(health)
        self._book = OverrideBook(node)
        self._obeyed: tuple[Override, ...] = ()
        instance = secrets.token_hex(8)
        self._identity = Identity(node, instance, version, now().wall, "", config_hash)
        self._file = SqliteStore(state.path)
        self.vault = Vault(self._file, now, spread=self._spread_keys, resigned=resigned)
        self._arrears = Arrears(self._file)
        self._meter = Meter()
        self._orders_moved = asyncio.Event()
        self._database_moved = asyncio.Event()
        self._local = self._branch(self._file, self._file, self._local_habits())
        self._remote = self._remote_branch()

    # -- before the first answer -----------------------------------------------------------

    async def open(self) -> None:
        """Make ready. A store that cannot be used is told of, and tried again by `run`."""
        with contextlib.suppress(OSError):
            boot = await run_blocking(partial(read_file, BOOT_ID), LOCAL_LIMIT)
            self._identity.boot = boot.decode(errors="replace").strip()
        await self._within(LOCAL_LIMIT, self._file.open(), "the local file")

    async def recall(self) -> Recollection:
        """What an earlier run knew, local file first.

        The database is asked for its rows where the file has none of this node, and for orders
        in any case.
        """
        source = "local"
        memory = await self._within(LOCAL_LIMIT, self._load_local(), "the local file")
        await self._within(LOCAL_LIMIT, self._local.exchange_keys(), "the local file")
        if self._remote is not None:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + REMOTE_LIMIT
            asked = self._load(self._remote, with_rows=memory is None)
            found = await self._within(deadline - loop.time(), asked, "the database")
            keys = self._remote.exchange_keys()
            await self._within(deadline - loop.time(), keys, "the database")
            if memory is None and found is not None:
                memory, source = found, "mariadb"
        if memory is None:
            memory, source = NOTHING, "nothing"
        self._identity.restored = source
        log.info("restored the state of %d records from: %s", len(memory.records), source)
        self._obeyed = self._book.live(self._clocks.now().wall)
        return Recollection(replace(memory, overrides=self._obeyed), source)

    # -- at work -----------------------------------------------------------------------------

    def offer(self, changes: Changes, snapshot: Snapshot) -> None:
        """Note what happened; costs a moment for each record that was touched."""
        changed, is_new = self._source.follow(snapshot)
        moved = {transition.key for transition in changes.transitions}
        changed |= self._source.changed(changes.touched | changes.answers | moved)
        touched = [unit_of(key) for key in changes.touched]
        for branch in self._branches:
            if is_new:
                branch.mirror.adopt()
            branch.mirror.offer(changed, touched, changes.transitions)

    async def run(self) -> None:
        """Write, exchange orders and tidy up until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._local.run())
            group.create_task(self._run_remote())
            group.create_task(self._watch_orders())
            group.create_task(self._keep_mark())
            group.create_task(self._measure())

    async def flush(self, limit: float) -> bool:
        """Write all that is not yet written, in `limit` seconds; whether that was enough.

        `run` has to go on meanwhile.
        """
        done = await asyncio.gather(*(branch.mirror.flush(limit) for branch in self._branches))
        await self._within(MARK_LIMIT, self._arrears.note(), "the local file")
        return all(done)

    async def close(self) -> None:
        """Let go of the stores. Storage that hangs is left to its thread, and holds up nothing."""
        for branch in self._branches:
            await self._within(CLOSE_LIMIT, branch.close(), "closing a store")

    def reconfigure(
        self, mysql: MysqlSettings | None, *, delete_unknowns: bool, config_hash: str
    ) -> None:
        """Follow a reload. Node and path of the local file stay what they were at the start."""
        self._identity.config_hash = config_hash
        self._delete_unknowns = delete_unknowns
        for branch in self._branches:
            branch.sweeper.delete_unknowns = delete_unknowns
        if mysql != self._mysql:
            self._mysql = mysql
            self._database_moved.set()

    @property
    def figures(self) -> KeeperFigures:
        mirrors = tuple(branch.mirror.figures for branch in self._branches)
        return KeeperFigures(self._identity.restored, self._file.is_in_memory, mirrors)

    def detail(self) -> object:
        """The figures as JSON values, for the detail of /readyz."""
        return asdict(self.figures)

    # -- orders and history --------------------------------------------------------------------

    def overrides(self) -> list[Override]:
        """What holds now on any node, oldest first."""
        return self._book.everywhere(self._clocks.now().wall)

    async def order(self, order: Order) -> Override:
        """Give an order: it holds at once, here and soon on every node it is for.

        Raises RefusedError, in words for the operator.
        """
        given = give(self._book, self._health, order, self._identity.node, self._clocks.now())
        await self._spread()
        return given

    async def clear(
        self, target: str, *, name: str | None = None, author: str = "", force: bool = False
    ) -> list[Override]:
        """Take back what was ordered for a target, an id or a glob over targets; those orders.

        Raises RefusedError, in words for the operator.
        """
        at = self._clocks.now()
        taken = take_back(
            self._book, self._health, target, at, name=name, author=author, force=force
        )
        await self._spread()
        return taken

    async def history(self, query: HistoryQuery) -> tuple[list[Event], str]:
        """Transitions, newest first, and the store they came from.

        The database knows those of all nodes; the local file answers where it cannot be asked.
        Raises StoreError where that fails as well.
        """
        if self._remote is not None and self._remote.mirror.figures.is_connected:
            asked = read_history(self._remote.desk, query)
            found = await self._within(HISTORY_LIMIT, asked, "the history in the database")
            if found is not None:
                return found, self._remote.desk.name
        try:
            async with asyncio.timeout(HISTORY_LIMIT):
                return await read_history(self._file, query), self._file.name
        except TimeoutError:
            raise StoreError(f"{self._file.name}: no answer within {HISTORY_LIMIT:g} s") from None

    # -- inside --------------------------------------------------------------------------------

    @property
    def _branches(self) -> list[Branch]:
        return [self._local] if self._remote is None else [self._local, self._remote]

    def _local_habits(self) -> Habits:
        if self._mysql is None:
            return Habits(REFRESH, LOCAL_GAP, HISTORY_MAX_AGE, HISTORY_MAX_ROWS)
        refresh = max(LOCAL_REFRESH, self._mysql.refresh)
        rows = min(COPY_MAX_ROWS, self._mysql.history_max_rows)
        return Habits(refresh, LOCAL_GAP, self._mysql.history_max_age, rows)

    def _remote_branch(self, backlog: Backlog | None = None) -> Branch | None:
        mysql = self._mysql
        if mysql is None:
            return None
        # Where there is no database, nor is its library read in before the first answer.
        from dnslb_backend.store.mariadb_store import MariaStore  # noqa: PLC0415 -- see above

        habits = Habits(mysql.refresh, REMOTE_GAP, mysql.history_max_age, mysql.history_max_rows)
        return self._branch(MariaStore(mysql), MariaStore(mysql), habits, backlog, self._arrears)

    def _branch(
        self,
        store: Store,
        desk: Store,
        habits: Habits,
        backlog: Backlog | None = None,
        arrears: Arrears | None = None,
    ) -> Branch:
        return Branch(
            store,
            desk,
            self._source,
            self._book,
            self.vault.book,
            self._identity,
            habits,
            self._clocks,
            learned=self._orders_moved.set,
            resigned=self.vault.resigned,
            delete_unknowns=self._delete_unknowns,
            backlog=backlog,
            arrears=arrears,
        )

    async def _load_local(self) -> Memory | None:
        try:
            return await self._load(self._local)
        except StoreError as error:
            # Damage that shows only now: the file that follows has what can still be read.
            log.warning("%s; trying again", error)
            return await self._load(self._local)

    async def _load(self, branch: Branch, *, with_rows: bool = True) -> Memory | None:
        await branch.exchange_orders()
        if not with_rows:
            return None
        who = self._identity
        return await load_memory(branch.desk, who.node, who.boot, self._clocks.uptime)

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
            log.exception("unexpected error while using %s", what)
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
            backlog = Backlog(start=self._local.mirror.backlog.count)
            if old is not None:
                backlog = old.mirror.backlog
                await old.close()
            self._remote = self._remote_branch(backlog)
            if self._remote is not None:
                self._remote.mirror.adopt()
                # What was before is told from the local file.
                await self._local.mirror.flush(GIVE_LIMIT)

    async def _serve(self, branch: Branch) -> None:
        opened = self._arrears.open(self._clocks.now().mono)
        await self._within(LOCAL_LIMIT, opened, "the local file")
        await branch.run()

    async def _watch_orders(self) -> None:
        """See to it that what holds is obeyed: at once, and punctually when an order expires."""
        while True:
            self._orders_moved.clear()
            wall = self._clocks.now().wall
            live = self._book.live(wall)
            if live != self._obeyed:
                self._obeyed = live
                self._obey(live)
            end = next_expiry(live, wall)
            # The wall clock may be set meanwhile: it is asked again after a while.
            wait = CLOCK_CHECK if end is None else min(end - wall, CLOCK_CHECK)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._orders_moved.wait()

    async def _spread(self) -> None:
        self._orders_moved.set()
        if self._remote is not None:
            self._remote.spread()
        # Where the file is stuck, the order holds all the same, and is written later.
        self._local.spread()
        await self._within(GIVE_LIMIT, self._local.exchange_orders(), "the local file")
        if self._file.is_in_memory:
            log.warning("the local file cannot be used: a restart may forget this order")

    def _spread_keys(self) -> None:
        if self._remote is not None:
            self._remote.spread()

    async def _keep_mark(self) -> None:
        while True:
            await asyncio.sleep(MARK_INTERVAL)
            with contextlib.suppress(StoreError):
                await self._arrears.note()

    async def _measure(self) -> None:
        while True:
            main = self._remote or self._local
            self._meter.read(main.mirror, [branch.mirror for branch in self._branches])
            await asyncio.sleep(METER_INTERVAL)


def uptime() -> float:
    """Seconds since the machine's boot, asleep or not; setting its clock changes nothing."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
