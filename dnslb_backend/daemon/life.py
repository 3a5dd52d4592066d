"""The life of the daemon.

    load -> open listeners -> rounds -> ready -> ... reloads ... -> stop accepting -> drain -> end

Every change of health passes through `_publish_changes`: changed answers become a new snapshot,
which
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
from dnslb_backend.admin.http.event_stream import Hint
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.brake import parse_canary
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.clock import now
from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.saved_state import SavedState, restore
from dnslb_backend.daemon.admin_control import AdminControl
from dnslb_backend.daemon.listeners import Listeners
from dnslb_backend.daemon.snapshot_publisher import SnapshotPublisher
from dnslb_backend.daemon.transition_log import log_overflow, log_transition
from dnslb_backend.daemon.watchdog import feed_watchdog
from dnslb_backend.errors import (
    ConfigError,
    ConfigProblem,
    ConflictError,
    DnslbError,
    UnavailableError,
)
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.pdns.methods.geoip import GeoDatabase
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.store.persistence import Persistence
from dnslb_backend.systemd import Notifier

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


def serve(sources: ConfigPaths, loglevel: str | None = None) -> int:
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


async def _serve(sources: ConfigPaths, loglevel: str | None) -> int:
    stop = asyncio.Event()
    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    config = await _load_or_stop(sources, stop)
    if config is None:
        return 0
    logs.configure(loglevel or config.settings.loglevel)
    sys.setswitchinterval(SWITCH_INTERVAL)
    async with CheckResources() as resources, Resolver() as resolver:
        daemon = Daemon(sources, config, resources, resolver, stop, loglevel)
        await daemon.run()
    return 0


async def _load_or_stop(sources: ConfigPaths, stop: asyncio.Event) -> Config | None:
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
        sources: ConfigPaths,
        config: Config,
        resources: CheckResources,
        resolver: Resolver,
        stop: asyncio.Event,
        loglevel: str | None = None,
    ) -> None:
        self._sources = sources
        self._config = config
        self._loglevel = loglevel
        self._map = HealthMap()
        self._map.apply_plan(config.plan, now())
        self._persistence = Persistence(
            config.state,
            config.mysql,
            self._map,
            node=config.node,
            version=__version__,
            now=now,
            on_overrides=self._apply_overrides,
            resigned=self._on_keys_changed,
            delete_unknowns=config.settings.delete_unknowns,
            config_hash=config.fingerprint,
        )
        self._publisher: SnapshotPublisher
        self._scheduler = Scheduler(
            self._map,
            resolver,
            resources,
            slots=config.settings.max_record_checks,
            now=now,
            changed=self._changed,
        )
        self._scheduler.apply_plan(config.checks, (), config.settings.max_record_checks)
        self._set_brake(config)
        self._client_cache = ClientCache(time.monotonic, partial(getrandbits, 64))
        self._use_locator(config.geo_database)
        self._responder = Responder(
            self._snapshot,
            client_cache=self._client_cache,
            key_store=self._persistence.stored_keys,
            notifies=lambda: self._config.pdns.has_channel,
        )
        control = AdminControl(
            self._map,
            self._scheduler,
            self._persistence,
            self._client_cache,
            resources.push_reports,
            node=config.node,
            now=now,
            snapshot=self._snapshot,
            reload=self.reload,
            changed=self._changed,
            details=self._details(),
        )
        self._listeners = Listeners(
            self._responder, AdminServer(config.admin, config.access, control)
        )
        self._notifier = Notifier.from_environment()
        self._is_publishing = False
        self._settle_at = 0.0
        self._is_serving = False
        self._is_announced = False
        self._ready = asyncio.Event()
        self._stop = stop
        self._reload_asked = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._purging: asyncio.Task[None]

    def _snapshot(self) -> Snapshot:
        return self._publisher.snapshot

    def _details(self) -> Mapping[str, Detail]:
        return {
            "brake": self._brake_detail,
            "purge": self._purge_detail,
            "mirror": self._persistence.detail,
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
        self._purging = self._purge_with(self._publisher.purger)
        self._publisher.purge_all()
        parts = [
            asyncio.create_task(_supervise(name, part), name=name)
            for name, part in (
                ("scheduler", self._scheduler.run),
                ("persistence", self._persistence.run),
                ("announce", self._announce),
                ("reloads", self._obey_reloads),
                ("places", self._follow_geo_database),
                ("loop delay", metrics.measure_loop_delay),
                ("watchdog", lambda: feed_watchdog(self._notifier, self._idle)),
            )
        ]
        try:
            await self._stop.wait()
            self._notifier.stopping()
            log.info("stopping")
            await self._listeners.close()
            if not await self._persistence.flush(FLUSH_TIMEOUT):
                log.warning("not all that changed could be kept within %g s", FLUSH_TIMEOUT)
        finally:
            await self._listeners.close()
            for task in (*parts, self._purging):
                task.cancel()
            await asyncio.gather(*parts, self._purging, return_exceptions=True)
            await self._persistence.close()
        log.info("stopped")

    async def _restore(self) -> None:
        """Take up what an earlier run knew, and make the first answers of it."""
        await self._persistence.open()
        found = await self._persistence.restore()
        self._take_up(found.state)
        # Taken before: all that has changed so far is in the first answers already.
        changes = self._map.take_changes()
        self._publisher = SnapshotPublisher(
            self._map,
            self._config.plan,
            Purger(self._config.pdns),
            now().wall,
            found.state.serials,
        )
        self._is_serving = True
        self._persist(changes)

    def _take_up(self, memory: SavedState) -> None:
        """Nothing that was kept is a reason not to start."""
        try:
            restore(self._map, memory, now(), self._config.state.max_age)
        except Exception:
            log.exception("cannot restore the state of an earlier run; starting without it")
            plan = self._config.plan
            self._map.apply_plan(replace(plan, records={}), now())
            self._map.apply_plan(plan, now())
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
        return now().mono - self._scheduler.last_sweep

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
        if not self._is_publishing:
            self._is_publishing = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._settle_at, loop.time()), self._settle)

    def _settle(self) -> None:
        began = time.monotonic()
        self._is_publishing = False
        try:
            self._publish_changes()
        finally:
            ended = time.monotonic()
            self._settle_at = asyncio.get_running_loop().time() + BREATHER * (ended - began)

    def _publish_changes(self) -> None:
        changes = self._map.take_changes()
        if changes.answers:
            self._publisher.update(changes.answers, now().wall)
            if not self._ready.is_set() and not self._map.pending():
                self._ready.set()
        self._persist(changes)

    def _persist(self, changes: Changes) -> None:
        """Keep and tell what has changed, which is answered by now.

        Also when no record was touched: a reload may have changed zones and static rows alone.
        """
        self._persistence.record_changes(changes, self._publisher.snapshot)
        for transition in changes.transitions:
            metrics.TRANSITIONS.labels(transition.to_health).inc()
            log_transition(transition)
        for overflow in changes.overflows:
            log_overflow(overflow)
        if changes.transitions:
            self._listeners.publish(changes.transitions)

    def _apply_overrides(self, overrides: tuple[Override, ...]) -> None:
        """The orders that hold have changed."""
        self._map.set_overrides(overrides, now())
        self._changed()
        self._listeners.publish([Hint.OVERRIDES])

    def _on_keys_changed(self, zones: frozenset[str]) -> None:
        """Keys or metadata have changed, here or on another node; at the start nobody asked yet."""
        if self._is_serving:
            self._publisher.purge_zones(zones)

    async def _reload(self) -> ReloadReport:
        try:
            config = await run_blocking(partial(load, self._sources), LOAD_TIMEOUT)
        except TimeoutError as error:
            message = f"the configuration could not be read within {LOAD_TIMEOUT:g} s"
            raise UnavailableError(message) from error
        if self._stop.is_set():
            raise ConflictError("the daemon is stopping")
        retired = await self._listeners.move(config, str(self._sources.main))
        removed = len(self._map.records.keys() - config.plan.records.keys())
        changed = self._map.apply_plan(config.plan, now())
        self._publisher.apply_plan(config.plan, self._purge_by(config), now().wall)
        self._scheduler.apply_plan(config.checks, changed, config.settings.max_record_checks)
        self._set_brake(config)
        self._use_locator(config.geo_database)
        self._persistence.reconfigure(
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
        self._listeners.publish([Hint.RELOAD])
        for retire in retired:
            await retire()
        return ReloadReport(
            len(config.plan.records), len(changed), removed, tuple(map(str, warnings))
        )

    def _left_for_a_start(self, config: Config) -> list[ConfigProblem]:
        """The keys that have changed and that no reload can follow."""
        now_and_then = {
            "global.node": (self._config.node, config.node),
            "state.path": (self._config.state.path, config.state.path),
        }
        return [
            ConfigProblem(str(self._sources.main), key, f"is {old} until the next start")
            for key, (old, new) in now_and_then.items()
            if old != new
        ]

    def _purge_by(self, config: Config) -> Purger:
        """The purger for a configuration: the one at work, unless [pdns] has changed."""
        if config.pdns == self._config.pdns:
            return self._publisher.purger
        purger = Purger(config.pdns)
        self._purging.cancel()
        self._purging = self._purge_with(purger)
        return purger

    def _purge_with(self, purger: Purger) -> asyncio.Task[None]:
        return asyncio.create_task(_supervise("purging", purger.run), name="purging")

    def _use_locator(self, geo_database: GeoDatabase | None) -> None:
        self._client_cache.use_locator(geo_database.locate if geo_database else None)

    async def _follow_geo_database(self) -> None:
        """Read the location database again when its file changes."""
        while True:
            await asyncio.sleep(PLACES_INTERVAL)
            geo_database = self._config.geo_database
            if geo_database is None:
                continue
            try:
                is_new = await run_blocking(geo_database.refresh, PLACES_TIMEOUT)
            except TimeoutError:
                log.warning("%s could not be read within %g s", geo_database.path, PLACES_TIMEOUT)
                continue
            if is_new:
                self._use_locator(geo_database)

    def _set_brake(self, config: Config) -> None:
        brake = self._scheduler.brake
        metrics.BRAKE_ENGAGED.set_function(lambda: brake.status().since is not None)
        metrics.BRAKE_HELD.set_function(lambda: brake.status().held)
        canaries = [parse_canary(text) for text in config.brake.canaries]
        self._scheduler.brake.configure(canaries, config.brake.hold)

    def _purge_detail(self) -> object:
        return self._publisher.purger.detail()

    def _brake_detail(self) -> object:
        if not self._config.brake.canaries:
            return {"canaries": 0}
        status = self._scheduler.brake.status()
        if status.since is None:
            return None
        return {
            "held": status.held,
            "silent_for": round(now().mono - status.since, 1),
            "spent": status.is_spent,
        }

    def _warn(self, warnings: Iterable[ConfigProblem]) -> None:
        for warning in warnings:
            log.warning("%s", warning)


async def _supervise(name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part of the daemon; a bug in it is told, and it begins again."""
    while True:
        try:
            await part()
            return
        except Exception:
            log.exception("a bug in %s; it begins again in %g s", name, RESTART_PAUSE)
        await asyncio.sleep(RESTART_PAUSE)
