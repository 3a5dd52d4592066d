"""One store at work: its mirror, the orders that come and go through it, and its tidying."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dnslb_backend.core.instants import Instant
from dnslb_backend.errors import StoreError
from dnslb_backend.store.arrears import Arrears
from dnslb_backend.store.backlog import Backlog
from dnslb_backend.store.housekeeping import Housekeeper
from dnslb_backend.store.keybook import KeyBook, KeySync
from dnslb_backend.store.mirror import Mirror
from dnslb_backend.store.overrides import OverrideBook, OverrideSync
from dnslb_backend.store.pulse import Identity, Pulse
from dnslb_backend.store.source import Source
from dnslb_backend.store.store import Store
from dnslb_backend.store.sweeper import Sweeper

log = logging.getLogger(__name__)

SYNC_INTERVAL = 2.0
TIDY_INTERVAL = 60.0
FIRST_TIDY = 10.0


@dataclass(frozen=True, slots=True)
class Habits:
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


class Branch:
    """`desk` is asked while `store` writes; they may be one. `learned` is called when orders of
    other nodes have come in, `resigned` with the zones whose keys or metadata have.
    """

    def __init__(
        self,
        store: Store,
        desk: Store,
        source: Source,
        book: OverrideBook,
        keys: KeyBook,
        identity: Identity,
        habits: Habits,
        clocks: Clocks,
        *,
        learned: Callable[[], None],
        resigned: Callable[[frozenset[str]], None],
        delete_unknowns: bool,
        backlog: Backlog | None = None,
        arrears: Arrears | None = None,
    ) -> None:
        self.desk = desk
        self._store = store
        self._book = book
        self._now = clocks.now
        self._learned = learned
        self._keys = keys
        self._resigned = resigned
        self.sweeper = Sweeper(source, delete_unknowns)
        self.mirror = Mirror(
            store,
            source,
            Pulse(identity, clocks.now, clocks.uptime),
            self.sweeper,
            node=identity.node,
            instance=identity.instance,
            refresh=habits.refresh,
            gap=habits.gap,
            now=clocks.now,
            backlog=backlog,
            arrears=arrears,
        )
        self._sync = OverrideSync(book, desk)
        self._key_sync = KeySync(keys, desk)
        self._housekeeper = Housekeeper(
            desk, identity.node, habits.history_max_age, habits.history_max_rows
        )
        self._wake = asyncio.Event()
        self._told = set[str]()

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.mirror.run(), name=f"mirror {self._store.name}")
            group.create_task(self._keep_orders(), name=f"orders {self._store.name}")
            group.create_task(self._keep_tidy(), name=f"tidying {self._store.name}")

    async def exchange_orders(self) -> None:
        """Bring the book and the store to the same state now. Raises StoreError."""
        version = self._book.version
        await self._sync.sync(self._now().wall)
        if self._book.version != version:
            self._learned()

    async def exchange_keys(self) -> None:
        """The same for the keys and metadata of signed zones. Raises StoreError."""
        moved = await self._key_sync.sync(self._now().wall)
        if moved:
            self._resigned(moved)

    def spread(self) -> None:
        """An order was given or taken back, or a key was changed: pass it on at once."""
        self._wake.set()

    async def close(self) -> None:
        for store in (self._store, self.desk):
            with contextlib.suppress(StoreError):
                await store.close()

    async def _keep_orders(self) -> None:
        while True:
            self._wake.clear()
            await self._attempt(self.exchange_orders, "orders are not exchanged")
            await self._attempt(self.exchange_keys, "keys are not exchanged")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC_INTERVAL):
                    await self._wake.wait()

    async def _keep_tidy(self) -> None:
        await asyncio.sleep(FIRST_TIDY)
        while True:
            await self._attempt(self._tidy, "nothing is tidied up")
            await asyncio.sleep(TIDY_INTERVAL)

    async def _tidy(self) -> None:
        self._book.prune(self._now().wall)
        self._keys.prune(self._now().wall)
        await self._housekeeper.tidy()

    async def _attempt(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        try:
            await work()
            self._told.discard(what)
        except StoreError as error:
            if what not in self._told:
                self._told.add(what)
                log.warning("%s: %s: %s", self._store.name, what, error)
        except Exception:
            log.exception("%s: %s: a bug", self._store.name, what)
