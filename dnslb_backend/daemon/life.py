"""The life of the daemon.

load -> start -> listen -> check -> ready -> … reloads … -> stop accepting -> flush -> end
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import uvloop

from dnslb_backend import blocking, logs, metrics
from dnslb_backend.admin.control import ReloadReport
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.clock import now
from dnslb_backend.config import Config, ConfigPaths
from dnslb_backend.daemon.admin_control import AdminControl
from dnslb_backend.daemon.listeners import Listeners
from dnslb_backend.daemon.memory import (
    collect_garbage,
    configure_allocator,
    exempt_from_collection,
)
from dnslb_backend.daemon.parts import Parts
from dnslb_backend.daemon.reload_requests import ReloadRequests
from dnslb_backend.daemon.reloader import Reloader, log_warnings
from dnslb_backend.daemon.startup import load_or_stop, start
from dnslb_backend.daemon.supervisor import BackgroundService, supervise
from dnslb_backend.daemon.watchdog import feed_watchdog
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.systemd import Notifier

log = logging.getLogger(__name__)

FLUSH_TIMEOUT = 2.0
"""Seconds that stores and receivers of notifications have at the stop for what still waits."""

SWITCH_INTERVAL = 0.0005
"""Seconds that a lookup may have to wait for a thread that computes, as that which writes out
metrics; Python's own 5 ms would be the slowest part of an answer."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNALS = (signal.SIGHUP, signal.SIGUSR1)


def serve(paths: ConfigPaths, loglevel: str | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigError before anything was started, StartError where a listener cannot open.
    """
    # Signals that come from now on wait until their handlers are installed.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, *RELOAD_SIGNALS))
    try:
        uvloop.run(_run(paths, loglevel))
    finally:
        logs.close()
    if blocking.is_under_way():
        os._exit(0)
    return 0


async def _run(paths: ConfigPaths, loglevel: str | None) -> None:
    stop = asyncio.Event()
    _handle_signals(STOP_SIGNALS, stop.set)
    config = await load_or_stop(paths, stop)
    if config is None:
        return
    logs.configure(loglevel or config.settings.loglevel)
    sys.setswitchinterval(SWITCH_INTERVAL)
    configure_allocator()
    log_warnings(config.warnings)
    notifier, reloads = Notifier.from_environment(), ReloadRequests[ReloadReport]()
    _handle_signals(RELOAD_SIGNALS, reloads.submit)
    async with CheckResources() as resources, Resolver() as resolver:
        parts = await start(config, resources, resolver, notifier, reloads)
        try:
            daemon = Daemon(paths, config, parts, notifier, loglevel)
            await daemon.run(config, stop)
        finally:
            await parts.persistence.close()
    log.info("stopped")


class Daemon:
    """A daemon whose parts were started; `run` opens its listeners and serves."""

    def __init__(
        self,
        paths: ConfigPaths,
        config: Config,
        parts: Parts,
        notifier: Notifier,
        loglevel: str | None = None,
    ) -> None:
        self._parts = parts
        self._notifier = notifier
        responder = Responder(
            parts.snapshots.snapshot,
            client_cache=parts.client_cache,
            key_store=parts.persistence.stored_keys,
            notifies=lambda: parts.purging.has_channel,
        )
        admin = AdminServer(config.admin, config.access, AdminControl(parts))
        self._listeners = Listeners(responder, admin)
        self._reloader = Reloader(paths, config, parts, self._listeners, loglevel)
        parts.events.add(self._listeners.publish)

    async def run(self, config: Config, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; returns when everything has ended. Raises StartError."""
        exempt_from_collection()
        await self._listeners.open(config)
        self._parts.snapshots.purge_all()
        try:
            async with asyncio.TaskGroup() as group:
                reloads = [
                    group.create_task(supervise(service), name=service.name)
                    for service in self._reloads()
                ]
                services = [
                    group.create_task(supervise(service), name=service.name)
                    for service in self._services()
                ]
                await stop.wait()
                for task in reloads:
                    task.cancel()
                await self._stop()
                for task in services:
                    task.cancel()
        finally:
            await self._listeners.close()

    async def _stop(self) -> None:
        """Accept no more, answer what was asked, and write what has changed."""
        self._notifier.stopping()
        log.info("stopping")
        await self._listeners.close()
        is_written, _ = await asyncio.gather(
            self._parts.persistence.flush(FLUSH_TIMEOUT),
            self._parts.notifications.flush(FLUSH_TIMEOUT),
        )
        if not is_written:
            log.warning("could not write all changes to the stores within %g s", FLUSH_TIMEOUT)

    def _reloads(self) -> Sequence[BackgroundService]:
        parts, reloader = self._parts, self._reloader
        return (
            BackgroundService("reloads", "reload", lambda: parts.reloads.serve(reloader.reload)),
            BackgroundService("previews", "reload", lambda: parts.previews.serve(reloader.preview)),
        )

    def _services(self) -> Sequence[BackgroundService]:
        parts = self._parts
        return (
            BackgroundService("check scheduler", "scheduler", parts.scheduler.run),
            BackgroundService("change publisher", "publisher", parts.changes.run),
            BackgroundService("purger", "purge", lambda: parts.purging.run(self._follow_version)),
            BackgroundService("persistence", "mirror", parts.persistence.run),
            BackgroundService("notifications", "notify", parts.notifications.run),
            *self._voting_services(),
            BackgroundService("readiness", "daemon", parts.readiness.run),
            BackgroundService("location updates", "daemon", parts.locations.run),
            BackgroundService("garbage collection", "daemon", collect_garbage),
            BackgroundService("event loop delay", "daemon", metrics.measure_loop_delay),
            BackgroundService(
                "watchdog", "daemon", lambda: feed_watchdog(self._notifier, self._idle)
            ),
        )

    def _voting_services(self) -> Sequence[BackgroundService]:
        voting = self._parts.voting
        if voting is None:
            return ()
        return (
            BackgroundService("votes", "quorum", voting.run),
            BackgroundService("vote exchange", "quorum", voting.exchange.run),
        )

    def _follow_version(self) -> None:
        if self._parts.snapshots.follow_version(now().wall):
            log.warning("contents of static records are written for this PowerDNS from now on")
            self._parts.changes.notify()

    def _idle(self) -> float:
        """Seconds since the check scheduler made progress."""
        return now().mono - self._parts.scheduler.last_sweep


def _handle_signals(numbers: Sequence[signal.Signals], handler: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
