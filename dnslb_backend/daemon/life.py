"""The life of the daemon.

    load -> open listeners -> rounds -> ready -> ... reloads ... -> stop accepting -> drain -> end

Every change of health passes through `_settle`: changed answers become a new snapshot, which
is live from that moment; then it is purged from PowerDNS's caches, kept, and told.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import partial
from random import getrandbits
from typing import Any

import uvloop

from dnslb_backend import __version__, blocking, logs, metrics
from dnslb_backend.admin.control import Detail, ReloadReport
from dnslb_backend.admin.events import Notice
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.brake import parse_canary
from dnslb_backend.checkers.resolver import Resolver
from dnslb_backend.checkers.rounds import Rounds
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.clock import now
from dnslb_backend.config import Config, Sources, load
from dnslb_backend.core.changes import Changes
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.memory import Memory, recall
from dnslb_backend.core.overrides import Override
from dnslb_backend.core.snapshot import Snapshot
from dnslb_backend.daemon.answers import Answers
from dnslb_backend.daemon.desk import Desk
from dnslb_backend.daemon.listeners import Listeners
from dnslb_backend.daemon.told import tell, tell_overflow
from dnslb_backend.daemon.watchdog import feed_watchdog
from dnslb_backend.errors import (
    ConfigError,
    DnslbError,
    Problem,
    RefusedError,
    UnavailableError,
)
from dnslb_backend.notify import Notifier
from dnslb_backend.pdns.askers import Askers
from dnslb_backend.pdns.places import Places
from dnslb_backend.pdns.purger import Purger
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.store.keeper import Keeper

log = logging.getLogger(__name__)

FLUSH_TIMEOUT = 2.0
"""Seconds that the stores have to write what is not yet written at the stop."""

RESTART_PAUSE = 1.0
"""Seconds before a part that died of a bug is started again."""

LOAD_TIMEOUT = 60.0
"""Seconds in which a configuration must be loaded: storage may hang."""

PLACES_INTERVAL = 5.0
"""Seconds between two looks at the file of the location database."""

PLACES_TIMEOUT = 30.0
"""Seconds that the location database has to be read in."""

COLLECT = (500, 10_000, 2)
"""Often among what is new, which takes a millisecond or two, and seldom among the rest: probes
leave next to no cycles behind, and looking for some among thousands that are under way would stop
the event loop for a fifth of a second."""

SWITCH_INTERVAL = 0.0005
"""Seconds that a lookup may have to wait for a thread that computes, as that which writes out
metrics; Python's own 5 ms would be the slowest part of an answer."""

STOPS, RELOADS = (signal.SIGTERM, signal.SIGINT), (signal.SIGHUP, signal.SIGUSR1)
HEEDED = (*STOPS, *RELOADS)

BREATHER = 4.0
"""Lookups get so many times as long as the last changes took to publish before the next are: a
record of ten thousand members that move one by one must not keep the event loop to itself."""

START_EXTENSION = 30.0
"""Seconds of start-up that systemd is asked for while first rounds make progress."""


def serve(sources: Sources, loglevel: str | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigError before anything was started, StartError where a listener cannot open.
    """
    # What comes from now on waits until there is somebody to heed it.
    signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    try:
        code = uvloop.run(_serve(sources, loglevel))
    finally:
        logs.close()
    if blocking.is_under_way():
        os._exit(code)
    return code


async def _serve(sources: Sources, loglevel: str | None) -> int:
    stop = asyncio.Event()
    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    config = await _load_or_stop(sources, stop)
    if config is None:
        return 0
    logs.configure(loglevel or config.settings.loglevel)
    sys.setswitchinterval(SWITCH_INTERVAL)
    async with Tools() as tools, Resolver() as resolver:
        daemon = Daemon(sources, config, tools, resolver, stop, loglevel)
        await daemon.run()
    return 0


async def _load_or_stop(sources: Sources, stop: asyncio.Event) -> Config | None:
    """The configuration, or None where `stop` was set while it was loaded.

    Files on storage that hangs must not make a process that only SIGKILL ends.
    """
    loading = asyncio.ensure_future(run_blocking(partial(load, sources), None))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if loading.done():
        return loading.result()
    loading.cancel()
    return None


class Daemon:
    """One running node."""

    def __init__(
        self,
        sources: Sources,
        config: Config,
        tools: Tools,
        resolver: Resolver,
        stop: asyncio.Event,
        loglevel: str | None = None,
    ) -> None:
        self._sources = sources
        self._config = config
        self._loglevel = loglevel
        self._map = HealthMap()
        self._map.adopt(config.plan, now())
        self._keeper = Keeper(
            config.state,
            config.mysql,
            self._map,
            node=config.node,
            version=__version__,
            now=now,
            obey=self._obey,
            resigned=self._resigned,
            delete_unknowns=config.settings.delete_unknowns,
            config_hash=config.fingerprint,
        )
        self._answers: Answers
        self._rounds = Rounds(
            self._map,
            resolver,
            tools,
            slots=config.settings.max_record_checks,
            now=now,
            changed=self._changed,
        )
        self._rounds.adopt(config.checks, (), config.settings.max_record_checks)
        self._set_brake(config)
        self._askers = Askers(time.monotonic, partial(getrandbits, 64))
        self._locate_with(config.places)
        self._responder = Responder(
            self._snapshot,
            askers=self._askers,
            vault=self._keeper.vault,
            notifies=lambda: self._config.pdns.has_channel,
        )
        desk = Desk(
            self._map,
            self._rounds,
            self._keeper,
            self._askers,
            tools.board,
            node=config.node,
            now=now,
            snapshot=self._snapshot,
            reload=self.reload,
            changed=self._changed,
            details=self._details(),
        )
        self._listeners = Listeners(self._responder, AdminServer(config.admin, config.access, desk))
        self._notifier = Notifier.from_environment()
        self._is_settling = False
        self._settle_at = 0.0
        self._is_serving = False
        self._is_announced = False
        self._ready = asyncio.Event()
        self._stop = stop
        self._reload_asked = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._purging: asyncio.Task[None]

    def _snapshot(self) -> Snapshot:
        return self._answers.snapshot

    def _details(self) -> Mapping[str, Detail]:
        return {
            "brake": self._brake_detail,
            "purge": self._purge_detail,
            "mirror": self._keeper.detail,
        }

    async def reload(self) -> ReloadReport:
        """Read the configuration anew and swap to it; raises ConfigError and changes nothing."""
        async with self._one_reload():
            self._notifier.reloading()
            try:
                report = await self._reload()
            except Exception as error:
                reasons = error.problems if isinstance(error, ConfigError) else [error]
                for reason in reasons if isinstance(error, DnslbError) else ():
                    log.error("reload refused: %s", reason)
                self._go_on("Reload failed, the old configuration runs on")
                metrics.count_reload(is_ok=False)
                raise
            metrics.count_reload(is_ok=True)
            log.info(
                "reloaded: %d records, %d new or changed, %d removed",
                report.records,
                report.changed,
                report.removed,
            )
            self._go_on("Running, reloaded")
            return report

    @contextlib.asynccontextmanager
    async def _one_reload(self) -> AsyncIterator[None]:
        """One reload at a time. Raises UnavailableError where the one before hangs."""
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                await self._reloading.acquire()
        except TimeoutError as error:
            raise UnavailableError("another reload is under way") from error
        try:
            yield
        finally:
            self._reloading.release()

    # -- life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until a signal says stop; returns when everything has ended."""
        self._listen_to_signals()
        self._warn(self._config.warnings)
        await self._restore()
        # What is there now stays. Looking through all of it for garbage again and again would
        # stop the event loop for tens of milliseconds with ten thousand members.
        gc.freeze()
        gc.set_threshold(*COLLECT)
        await self._listeners.open(self._config)
        self._purging = self._purge_with(self._answers.purger)
        self._answers.announce()
        parts = [
            asyncio.create_task(_kept_alive(name, part), name=name)
            for name, part in (
                ("rounds", self._rounds.run),
                ("keeper", self._keeper.run),
                ("announce", self._announce),
                ("reloads", self._obey_reloads),
                ("places", self._follow_places),
                ("loop delay", metrics.measure_loop_delay),
                ("watchdog", lambda: feed_watchdog(self._notifier, self._idle)),
            )
        ]
        try:
            await self._stop.wait()
            self._notifier.stopping()
            log.info("stopping")
            await self._listeners.close()
            if not await self._keeper.flush(FLUSH_TIMEOUT):
                log.warning("not all that changed could be kept within %g s", FLUSH_TIMEOUT)
        finally:
            await self._listeners.close()
            for task in (*parts, self._purging):
                task.cancel()
            await asyncio.gather(*parts, self._purging, return_exceptions=True)
            await self._keeper.close()
        log.info("stopped")

    async def _restore(self) -> None:
        """Take up what an earlier run knew, and make the first answers of it."""
        await self._keeper.open()
        found = await self._keeper.recall()
        self._take_up(found.memory)
        # Taken before: all that has changed so far is in the first answers already.
        changes = self._map.take_changes()
        self._answers = Answers(
            self._map,
            self._config.plan,
            Purger(self._config.pdns),
            now().wall,
            found.memory.serials,
        )
        self._is_serving = True
        self._keep(changes)

    def _take_up(self, memory: Memory) -> None:
        """Nothing that was kept is a reason not to start."""
        try:
            recall(self._map, memory, now(), self._config.state.max_age)
        except Exception:
            log.exception("cannot restore the state of an earlier run; starting without it")
            plan = self._config.plan
            self._map.adopt(replace(plan, records={}), now())
            self._map.adopt(plan, now())
            self._map.set_overrides(memory.overrides, now())

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in RELOADS:
            loop.add_signal_handler(number, self._reload_asked.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, RELOADS)

    async def _announce(self) -> None:
        """Tell systemd of the first rounds' progress, and when every one of them has ended."""
        left = -1
        while pending := len(self._map.pending()):
            # A reload may have brought more in the moment when all had ended.
            self._ready.clear()
            if pending != left:
                left = pending
                self._notifier.extend_timeout(START_EXTENSION)
                self._notifier.status(f"{pending} first rounds to go")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._ready.wait()
        log.info("ready: every first round has ended")
        self._is_announced = True
        self._notifier.ready("Running")

    def _idle(self) -> float:
        """Seconds since the rounds made their last progress."""
        return now().mono - self._rounds.swept

    def _go_on(self, status: str) -> None:
        """The reload is over. A node that was not ready before is not ready by it."""
        if self._is_announced:
            self._notifier.ready(status)
        else:
            self._notifier.status(status)

    async def _obey_reloads(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            try:
                await self.reload()
            except DnslbError:
                continue
            except Exception:
                log.exception("a bug in reloading; the old configuration runs on")

    # -- changes ---------------------------------------------------------------------------

    def _changed(self) -> None:
        """The map was told something: publish what follows, once for all that came with it."""
        if not self._is_settling:
            self._is_settling = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._settle_at, loop.time()), self._settle)

    def _settle(self) -> None:
        began = time.monotonic()
        self._is_settling = False
        try:
            self._publish_changes()
        finally:
            ended = time.monotonic()
            self._settle_at = asyncio.get_running_loop().time() + BREATHER * (ended - began)

    def _publish_changes(self) -> None:
        changes = self._map.take_changes()
        if changes.answers:
            self._answers.renew(changes.answers, now().wall)
            if not self._ready.is_set() and not self._map.pending():
                self._ready.set()
        self._keep(changes)

    def _keep(self, changes: Changes) -> None:
        """Keep and tell what has changed, which is answered by now.

        Also when no record was touched: a reload may have changed zones and static rows alone.
        """
        self._keeper.offer(changes, self._answers.snapshot)
        for transition in changes.transitions:
            metrics.TRANSITIONS.labels(transition.to_health).inc()
            tell(transition)
        for overflow in changes.overflows:
            tell_overflow(overflow)
        if changes.transitions:
            self._listeners.publish(changes.transitions)

    def _obey(self, orders: tuple[Override, ...]) -> None:
        """The orders that hold have changed."""
        self._map.set_overrides(orders, now())
        self._changed()
        self._listeners.publish([Notice.ORDERS])

    def _resigned(self, zones: frozenset[str]) -> None:
        """Keys or metadata have changed, here or on another node; at the start nobody asked yet."""
        if self._is_serving:
            self._answers.resigned(zones)

    async def _reload(self) -> ReloadReport:
        try:
            config = await run_blocking(partial(load, self._sources), LOAD_TIMEOUT)
        except TimeoutError as error:
            message = f"the configuration could not be read within {LOAD_TIMEOUT:g} s"
            raise UnavailableError(message) from error
        if self._stop.is_set():
            raise RefusedError("the daemon is stopping")
        retired = await self._listeners.move(config, str(self._sources.main))
        removed = len(self._map.records.keys() - config.plan.records.keys())
        changed = self._map.adopt(config.plan, now())
        self._answers.adopt(config.plan, self._purge_by(config), now().wall)
        self._rounds.adopt(config.checks, changed, config.settings.max_record_checks)
        self._set_brake(config)
        self._locate_with(config.places)
        self._keeper.reconfigure(
            config.mysql,
            delete_unknowns=config.settings.delete_unknowns,
            config_hash=config.fingerprint,
        )
        if self._loglevel is None and config.settings.loglevel != self._config.settings.loglevel:
            logs.configure(config.settings.loglevel)
        warnings = (*config.warnings, *self._left_for_a_start(config))
        self._config = config
        self._warn(warnings)
        self._changed()
        self._listeners.publish([Notice.RELOAD])
        for retire in retired:
            await retire()
        return ReloadReport(
            len(config.plan.records), len(changed), removed, tuple(map(str, warnings))
        )

    def _left_for_a_start(self, config: Config) -> list[Problem]:
        """The keys that have changed and that no reload can follow."""
        now_and_then = {
            "global.node": (self._config.node, config.node),
            "state.path": (self._config.state.path, config.state.path),
        }
        return [
            Problem(str(self._sources.main), key, f"is {old} until the next start")
            for key, (old, new) in now_and_then.items()
            if old != new
        ]

    def _purge_by(self, config: Config) -> Purger:
        """The purger for a configuration: the one at work, unless [pdns] has changed."""
        if config.pdns == self._config.pdns:
            return self._answers.purger
        purger = Purger(config.pdns)
        self._purging.cancel()
        self._purging = self._purge_with(purger)
        return purger

    def _purge_with(self, purger: Purger) -> asyncio.Task[None]:
        return asyncio.create_task(_kept_alive("purging", purger.run), name="purging")

    def _locate_with(self, places: Places | None) -> None:
        self._askers.locate_with(places.locate if places else None)

    async def _follow_places(self) -> None:
        """Read the location database again when its file changes."""
        while True:
            await asyncio.sleep(PLACES_INTERVAL)
            places = self._config.places
            if places is None:
                continue
            try:
                is_new = await run_blocking(places.refresh, PLACES_TIMEOUT)
            except TimeoutError:
                log.warning("%s could not be read within %g s", places.path, PLACES_TIMEOUT)
                continue
            if is_new:
                self._locate_with(places)

    def _set_brake(self, config: Config) -> None:
        brake = self._rounds.brake
        metrics.BRAKE_ENGAGED.set_function(lambda: brake.figures().since is not None)
        metrics.BRAKE_HELD.set_function(lambda: brake.figures().held)
        canaries = [parse_canary(text) for text in config.brake.canaries]
        self._rounds.brake.configure(canaries, config.brake.hold)

    def _purge_detail(self) -> object:
        return self._answers.purger.detail()

    def _brake_detail(self) -> object:
        figures = self._rounds.brake.figures()
        if figures.since is None:
            return None
        return {
            "held": figures.held,
            "silent_for": round(now().mono - figures.since, 1),
            "spent": figures.is_spent,
        }

    def _warn(self, warnings: Iterable[Problem]) -> None:
        for warning in warnings:
            log.warning("%s", warning)


async def _kept_alive(name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part of the daemon; a bug in it is told, and it begins again."""
    while True:
        try:
            await part()
            return
        except Exception:
            log.exception("a bug in %s; it begins again in %g s", name, RESTART_PAUSE)
        await asyncio.sleep(RESTART_PAUSE)
