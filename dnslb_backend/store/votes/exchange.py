"""The exchange of votes between nodes, over a connection of its own to the database.

    changes of own votes, sign of life -> lb_vote, lb_voter -> votes and signs of life of others

It gives and takes every half second, and gives at once what has changed. A node that does not vote
only reads, less often: hundreds of them may follow a handful of others. Nothing waits for it; what
could not be exchanged is exchanged once the database answers again.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import Electorate
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Store
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.mirror.writer import BatchWriter
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.votes.vote_reader import VoteReader
from dnslb_backend.store.votes.vote_writer import VoteWriter

log = ComponentLog(__name__, "quorum")

INTERVAL = 0.5
FOLLOWER_INTERVAL = 1.0
"""Seconds between two readings, of a node that votes, and of one that does not."""

GATHER = 0.05
"""Seconds in which changes are written together."""

CONNECT_SHARE = 1 / 3
"""Part of `fresh` that connecting to one server may take: a few can be tried before votes age."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before connecting again, doubled with every failure."""


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """Where votes are, and as whom this node takes part.

    `instance` is new in every run. Votes are old after `fresh` seconds: no statement may take
    longer. Without `votes` nothing is written.
    """

    mysql: MysqlSettings
    node: str
    instance: str
    fresh: float
    votes: bool = True


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """`age`: seconds since the last exchange, or since the start where there was none."""

    is_connected: bool
    age: float
    last_error: str


class VoteExchange:
    """Between `electorate`, which is called on the event loop, and the tables of votes."""

    def __init__(
        self, settings: ExchangeSettings, electorate: Electorate, now: Callable[[], Instant]
    ) -> None:
        self._settings = settings
        self._now = now
        self._writer = VoteWriter(settings.node, settings.instance, electorate, settings.fresh)
        self._reader = VoteReader(settings.node, electorate, settings.fresh)
        self._changed = asyncio.Event()
        self._last = now().mono
        self._next_take = 0.0
        self._failures = 0
        self._is_connected = False
        self._last_error = ""

    @property
    def status(self) -> ExchangeStatus:
        return ExchangeStatus(self._is_connected, self._age(), self._last_error)

    def notify(self) -> None:
        """Own votes, or what this node says of itself, have changed: write it at once."""
        self._changed.set()

    def reconfigure(self, settings: ExchangeSettings) -> None:
        """Follow a reload; node and instance stay what they are."""
        if settings != self._settings:
            self._settings = settings
            self._writer.quiet = self._reader.fresh = settings.fresh
            self._changed.set()

    async def run(self) -> None:
        """Exchange until cancelled, whatever becomes of the database."""
        metrics.EXCHANGE_AGE.set_function(self._age)
        try:
            while True:
                if not await self._attempt(self._settings):
                    longest = min(FIRST_PAUSE * 2.0 ** min(self._failures, 20), LONGEST_PAUSE)
                    await asyncio.sleep(longest * random.uniform(0.5, 1.0))
        finally:
            metrics.EXCHANGE_AGE.set_function(lambda: 0.0)

    async def _attempt(self, settings: ExchangeSettings) -> bool:
        """One session; whether it ended because there are other settings."""
        limit = min(settings.mysql.connect_timeout, settings.fresh * CONNECT_SHARE)
        mysql = settings.mysql.model_copy(update={"connect_timeout": limit})
        store = MariaStore(mysql, answer_limit=settings.fresh)
        try:
            await self._session(store, settings)
            return True
        except StoreError as error:
            self._fail(str(error))
        except Exception:
            log.exception("votes: unhandled exception; reconnecting")
            self._fail("an unhandled exception; the log has its traceback")
        finally:
            self._is_connected = False
            await store.close()
        return False

    async def _session(self, store: Store, settings: ExchangeSettings) -> None:
        await store.open()
        writer = BatchWriter(store)
        self._reader.begin(self._now())
        if settings.votes:
            await self._writer.begin(store)
        self._next_take = 0.0
        while settings is self._settings:
            self._changed.clear()
            # It takes first: its own row, if changed by others, is read before it is written over.
            if (at := self._now()).mono >= self._next_take:
                self._next_take = at.mono + (INTERVAL if settings.votes else FOLLOWER_INTERVAL)
                voter = await self._reader.read(store, at)
                if settings.votes:
                    self._writer.check(voter, self._now())
                    await self._writer.count(store, self._now())
            if settings.votes:
                await self._writer.write(store, writer, self._now())
            self._exchanged()
            await self._rest(settings.votes)

    async def _rest(self, votes: bool) -> None:
        """Until something is to be given or taken."""
        due = self._next_take
        if votes:
            due = min(due, self._writer.next_beat)
            if self._writer.has_pending:
                return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - self._now().mono)):
                await self._changed.wait()
                await asyncio.sleep(GATHER)

    def _exchanged(self) -> None:
        self._last = self._now().mono
        self._failures = 0
        if not self._is_connected:
            self._is_connected = True
            log.info("votes: exchanged with the database%s", " again" if self._last_error else "")
            self._last_error = ""

    def _fail(self, text: str) -> None:
        if not self._last_error:
            log.error("votes: not exchanged: %s", text)
        self._failures += 1
        self._last_error = text

    def _age(self) -> float:
        return max(0.0, self._now().mono - self._last)
