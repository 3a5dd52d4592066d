"""Keeps PowerDNS's caches coherent: wrong answers are purged until PowerDNS confirms it.

Then PowerDNS is asked to notify the secondaries of the zones that changed.

Each PowerDNS has a worker of its own, so that one that is down delays no other. The worker has a
task for each lane of its queue: the first purge after a change waits for no follow-up.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dnslb_backend import metrics
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.core.model.zones import PdnsVersion
from dnslb_backend.pdns.cache.channels import (
    ApiChannel,
    Channel,
    ChannelError,
    ControlChannel,
    NobodyListensError,
    NotifyError,
)
from dnslb_backend.pdns.cache.notify_queue import NotifyQueue
from dnslb_backend.pdns.cache.purge_queue import Lane, PurgeQueue
from dnslb_backend.pdns.cache.versions import Versions
from dnslb_backend.pdns.settings import PdnsSettings

log = ComponentLog(__name__, "purge")

PURGE_TIMEOUT = 2.0
"""Seconds that one batch may take."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two attempts at a PowerDNS that cannot be purged."""

START_LIMIT = 10.0
"""Seconds that a PowerDNS may take to start after this daemon, which it needs to be there."""

ADVICE = (
    "PowerDNS's cache-ttl, query-cache-ttl and negquery-cache-ttl must be 0, "
    "or what it answers does not follow health"
)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How one PowerDNS is doing; `waiting_since` is on the clock of the event loop.

    `backlog` changes are not purged yet, the oldest since `waiting_since`. `error` is why,
    empty while all is well.
    """

    name: str
    purges: int
    failures: int
    backlog: int
    waiting_since: float | None
    error: str


class Purger:
    """Purges the caches of every PowerDNS of `settings`, of which there may be none.

    One that `is_needed` warns where there is none: a PowerDNS asks, and may cache.
    """

    def __init__(self, settings: PdnsSettings, *, is_needed: bool = True) -> None:
        self._is_needed = is_needed
        channels: list[Channel] = [ControlChannel(path) for path in settings.control_socket]
        if settings.api_key_file is not None:
            channels += [ApiChannel(url, settings.api_key_file) for url in settings.api]
        self._workers = [_Worker(channel) for channel in channels]
        self._versions = Versions(channels, settings.assumed_version)

    def purge(self, stale: Iterable[PurgeItem], notify: Iterable[str] = ()) -> None:
        """These answers are wrong from now on: the snapshot without them is live already.

        The secondaries of the zones `notify` are notified once that is purged.
        """
        items, zones = tuple(stale), tuple(notify)
        for worker in self._workers:
            worker.add(items, zones)

    @property
    def has_channel(self) -> bool:
        """Whether there is any PowerDNS to purge."""
        return bool(self._workers)

    @property
    def version(self) -> PdnsVersion:
        """The version of PowerDNS to write for."""
        return self._versions.oldest

    def status(self) -> list[ChannelStatus]:
        return [worker.figures() for worker in self._workers]

    def detail(self) -> object:
        """What /readyz shows of it; None while all is well."""
        if not self._workers:
            return {"channels": 0, "advice": ADVICE} if self._is_needed else None
        failing = [status for status in self.status() if status.error]
        if not failing:
            return None
        now = asyncio.get_running_loop().time()
        return [
            {
                "channel": status.name,
                "error": status.error,
                "unpurged": status.backlog,
                "oldest": round(now - (status.waiting_since or now), 1),
                "advice": ADVICE,
            }
            for status in failing
        ]

    async def ask_versions(self) -> None:
        """Ask every PowerDNS for its version, for a bounded time."""
        await self._versions.ask()

    async def run(self, on_version: Callable[[], None]) -> None:
        """Run until cancelled. `on_version` is called when a PowerDNS reports another version."""
        if not self._workers and self._is_needed:
            log.info("no [pdns] channel is configured: %s", ADVICE)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._versions.follow(on_version), name="versions of PowerDNS")
            for worker in self._workers:
                group.create_task(worker.run(), name=f"purges of {worker.channel.name}")


class _Worker:
    """One PowerDNS: its queue, and the tasks that empty it, one a lane."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._queue = PurgeQueue(channel.limit, channel.calm)
        self._notify_queue = NotifyQueue()
        self._wake = asyncio.Event()
        self._purges = 0
        self._failures = 0
        self._errors = dict.fromkeys(Lane, "")
        self._may_start_until = float("inf")
        self._is_failure_logged = False
        self._is_refusal_logged = False

    def add(self, stale: Sequence[PurgeItem], zones: Sequence[str]) -> None:
        if stale or zones:
            now = _now()
            self._queue.add(stale, now)
            self._notify_queue.add(zones, now)
            self._wake.set()

    @property
    def error(self) -> str:
        """Why PowerDNS cannot be purged, empty if it can be."""
        return next(filter(None, self._errors.values()), "")

    def figures(self) -> ChannelStatus:
        unpurged = self._queue.unpurged
        return ChannelStatus(
            self.channel.name,
            self._purges,
            self._failures,
            len(unpurged),
            min(unpurged, default=None),
            self.error,
        )

    async def run(self) -> None:
        self._may_start_until = _now() + START_LIMIT
        async with asyncio.TaskGroup() as group:
            for lane in Lane:
                group.create_task(self._run(lane), name=f"{lane.name} of {self.channel.name}")

    async def _run(self, lane: Lane) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._wait(lane)
            if await self._work(lane):
                pause = FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _wait(self, lane: Lane) -> None:
        """Until something is due."""
        while (due := self._due(lane)) is None or due > _now():
            self._wake.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _due(self, lane: Lane) -> float | None:
        dues = [self._queue.due(lane)]
        if lane is Lane.CALM:
            dues.append(self._notify_queue.due(self._oldest_unpurged()))
        return min((due for due in dues if due is not None), default=None)

    def _oldest_unpurged(self) -> float:
        return min(self._queue.unpurged, default=float("inf"))

    async def _work(self, lane: Lane) -> bool:
        """Purge what is due, then notify secondaries; whether that succeeded."""
        return await self._purge(lane) and (lane is Lane.URGENT or await self._notify())

    async def _notify(self) -> bool:
        for zone in self._notify_queue.take(_now(), self._oldest_unpurged()):
            try:
                async with asyncio.timeout(PURGE_TIMEOUT):
                    await self.channel.notify(zone)
            except (TimeoutError, ChannelError):
                return False
            except NotifyError as error:
                if not self._is_refusal_logged:
                    self._is_refusal_logged = True
                    log.error("cannot notify the secondaries of %s: %s", zone, error)
            else:
                self._is_refusal_logged = False
            self._notify_queue.done(zone, _now())
        return True

    async def _purge(self, lane: Lane) -> bool:
        began = _now()
        batch = self._queue.take(began, lane)
        if not batch:
            return True
        try:
            async with asyncio.timeout(PURGE_TIMEOUT):
                await self.channel.purge(batch)
        except TimeoutError:
            why = f"{self.channel.name}: no answer within {PURGE_TIMEOUT:g} s"
        except NobodyListensError as error:
            self._fail(lane, batch, str(error), may_start=not self._purges)
            return False
        except ChannelError as error:
            why = str(error)
        except Exception as error:
            log.exception("unhandled exception while purging %s", self.channel.name)
            why = f"{self.channel.name}: {error!r}"
        else:
            self._succeed(lane, batch, began)
            return True
        self._fail(lane, batch, why)
        return False

    def _succeed(self, lane: Lane, batch: Sequence[PurgeItem], began: float) -> None:
        self._queue.done(batch, began, lane)
        self._wake.set()  # what follows is the other lane's
        self._purges += len(batch)
        metrics.PURGES.inc(len(batch))
        metrics.PURGE_DURATION.observe(_now() - began)
        if self.error:
            self._errors[lane] = ""
            if self._is_failure_logged and not self.error:
                self._is_failure_logged = False
                log.warning("PowerDNS at %s can be purged again", self.channel.name)

    def _fail(
        self, lane: Lane, batch: Sequence[PurgeItem], why: str, *, may_start: bool = False
    ) -> None:
        """`may_start`: this PowerDNS was never there, and may be about to start."""
        self._queue.failed(batch, lane)
        self._failures += 1
        metrics.PURGE_FAILURES.inc()
        if may_start and _now() < self._may_start_until:
            if not self.error:
                log.info("cannot purge PowerDNS's caches yet: %s; it may be starting", why)
        elif not self._is_failure_logged:
            self._is_failure_logged = True
            log.error("cannot purge PowerDNS's caches, retrying: %s (%s)", why, ADVICE)
        self._errors[lane] = why


def _now() -> float:
    return asyncio.get_running_loop().time()
