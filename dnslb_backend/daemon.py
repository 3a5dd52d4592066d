"""The daemon: the one place that wires core and edges together, and its life from start to end.

    load -> open listeners -> rounds -> ready -> ... reloads ... -> stop accepting -> drain -> end

Every change of health passes through `_settle`: changed answers become a new snapshot, which
is live from that moment; then the transitions are told.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Mapping
from random import getrandbits

import uvloop

from dnslb_backend import __version__, logs
from dnslb_backend.admin.control import Detail, ReloadReport
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.checkers.brake import parse_canary
from dnslb_backend.checkers.resolver import Resolver
from dnslb_backend.checkers.rounds import Rounds
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.clock import now
from dnslb_backend.config import Config, Sources, load
from dnslb_backend.core.decision import Decision
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.layout import lay_out
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.transitions import Transition
from dnslb_backend.errors import ConfigError, DnslbError, Problem
from dnslb_backend.notify import Notifier
from dnslb_backend.pdns.askers import Askers
from dnslb_backend.pdns.http import HttpConnector
from dnslb_backend.pdns.listeners import listen_tcp
from dnslb_backend.pdns.places import Places
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.rows import render_rows

log = logging.getLogger(__name__)

DRAIN_TIMEOUT = 3.0
"""Seconds that PowerDNS's connections have to take their last answers at the stop."""

PLACES_INTERVAL = 5.0
"""Seconds between two looks at the file of the location database."""

START_EXTENSION = 30.0
"""Seconds of start-up that systemd is asked for while first rounds make progress."""


class StartError(DnslbError):
    """A listener could not be opened; nothing was started."""


def serve(sources: Sources, loglevel: str | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigError before anything was started, StartError where a listener cannot open.
    """
    config = load(sources)
    logs.configure(loglevel or config.settings.loglevel)
    try:
        return uvloop.run(_serve(sources, config, loglevel))
    finally:
        logs.close()


async def _serve(sources: Sources, config: Config, loglevel: str | None) -> int:
    async with Tools() as tools, Resolver() as resolver:
        daemon = Daemon(sources, config, tools, resolver, loglevel)
        await daemon.run()
    return 0


class Daemon:
    """One running node; what operators may see and steer of it is `admin.control.Control`."""

    def __init__(
        self,
        sources: Sources,
        config: Config,
        tools: Tools,
        resolver: Resolver,
        loglevel: str | None = None,
    ) -> None:
        self._sources = sources
        self._config = config
        self._loglevel = loglevel
        self._map = HealthMap()
        self._map.adopt(config.plan, now())
        self._snapshot, _ = build_snapshot(
            lay_out(config.plan), self._decision, render_rows, now().wall
        )
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
        self._askers = Askers(time.monotonic, lambda: getrandbits(64))
        self._locate_with(config.places)
        self._responder = Responder(self.snapshot, askers=self._askers)
        self._http: HttpConnector | None = None
        self._started = time.time()
        self._admin = AdminServer(config.admin, config.access, self)
        self._notifier = Notifier.from_environment()
        self._is_settling = False
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._reloading = asyncio.Lock()

    # -- what operators see and steer ----------------------------------------------------

    @property
    def node(self) -> str:
        return self._config.node

    @property
    def version(self) -> str:
        return __version__

    @property
    def started(self) -> float:
        return self._started

    @property
    def map(self) -> HealthMap:
        return self._map

    @property
    def details(self) -> Mapping[str, Detail]:
        return {"brake": self._brake_detail}

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def now(self) -> Instant:
        return now()

    async def reload(self) -> ReloadReport:
        """Read the configuration anew and swap to it; raises ConfigError and changes nothing."""
        async with self._reloading:
            self._notifier.reloading()
            try:
                report = await self._reload()
            except ConfigError as error:
                for problem in error.problems:
                    log.error("reload refused: %s", problem)
                self._notifier.ready("Reload failed, the old configuration runs on")
                raise
            log.info(
                "reloaded: %d records, %d new or changed, %d removed",
                report.records,
                report.changed,
                report.removed,
            )
            self._notifier.ready("Running, reloaded")
            return report

    # -- life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until a signal says stop; returns when everything has ended."""
        self._warn(self._config)
        await self._open_listeners()
        try:
            async with asyncio.TaskGroup() as group:
                self._listen_to_signals()
                work = [
                    group.create_task(self._rounds.run(), name="rounds"),
                    group.create_task(self._announce(), name="announce"),
                    group.create_task(self._obey_reloads(), name="reloads"),
                    group.create_task(self._follow_places(), name="places"),
                ]
                await self._stop.wait()
                self._notifier.stopping()
                log.info("stopping")
                await self._close_listeners()
                for task in work:
                    task.cancel()
        finally:
            await self._close_listeners()
        log.info("stopped")

    async def _open_listeners(self) -> None:
        """Open all of them, or none. Raises StartError, which names the one that failed."""
        for listen, start in (
            (f"admin.listen = {self._config.admin.listen}", self._admin.start),
            (f"server.http = {self._config.server.http}", self._start_http),
        ):
            try:
                await start()
            except OSError as error:
                await self._close_listeners()
                why = error.strerror or error
                raise StartError(f"cannot listen at {listen}: {why}") from error

    async def _start_http(self) -> None:
        if self._config.server.endpoint is not None:
            await self._serve_http(listen_tcp(self._config.server.endpoint), self._config)

    async def _serve_http(self, listener: socket.socket, config: Config) -> None:
        host, port = listener.getsockname()[:2]
        self._http = HttpConnector(self._responder, config.server.networks)
        await self._http.start([listener])
        log.info("serving PowerDNS", extra=logs.fields(address=host, port=port))

    async def _close_listeners(self) -> None:
        if self._http is not None:
            http, self._http = self._http, None
            await http.stop(DRAIN_TIMEOUT)
        await self._admin.stop()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            loop.add_signal_handler(number, self._reload_asked.set)

    async def _announce(self) -> None:
        """Tell systemd of the first rounds' progress, and when every one of them has ended."""
        left = -1
        while pending := len(self._map.pending()):
            if pending != left:
                left = pending
                self._notifier.extend_timeout(START_EXTENSION)
                self._notifier.status(f"{pending} first rounds to go")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._ready.wait()
        log.info("ready: every first round has ended")
        self._notifier.ready("Running")

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
                self._notifier.ready("Reload failed, the old configuration runs on")

    # -- changes ---------------------------------------------------------------------------

    def _changed(self) -> None:
        """Something was told to the map: settle it once, after all that came in with it."""
        if not self._is_settling:
            self._is_settling = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._is_settling = False
        changes = self._map.take_changes()
        if changes.answers:
            names = {key.name for key in changes.answers}
            self._snapshot, _ = self._snapshot.with_answers(names, self._decision, now().wall)
            if not self._ready.is_set() and not self._map.pending():
                self._ready.set()
        for transition in changes.transitions:
            _tell(transition)

    def _decision(self, key: RecordKey) -> Decision:
        return self._map.records[key].decision

    async def _reload(self) -> ReloadReport:
        config = await asyncio.to_thread(load, self._sources)
        layout = lay_out(config.plan)
        listener = await self._open_anew(config)
        removed = len(self._map.records.keys() - config.plan.records.keys())
        changed = self._map.adopt(config.plan, now())
        self._snapshot, _ = build_snapshot(
            layout, self._decision, render_rows, now().wall, self._snapshot
        )
        self._rounds.adopt(config.checks, changed, config.settings.max_record_checks)
        self._set_brake(config)
        self._locate_with(config.places)
        moved = await self._move_http(listener, config)
        self._config = config
        logs.configure(self._loglevel or config.settings.loglevel)
        self._warn(config)
        self._changed()
        if moved is not None:
            await moved.stop(DRAIN_TIMEOUT)
        return ReloadReport(
            len(config.plan.records), len(changed), removed, tuple(map(str, config.warnings))
        )

    async def _open_anew(self, config: Config) -> socket.socket | None:
        """Have operators served by `config`, and open the listener that PowerDNS needs anew.

        None where that stays as it is. Raises ConfigError, and then nothing has changed.
        """
        listener, key = None, "server.http"
        endpoint = config.server.endpoint
        try:
            if endpoint is not None and endpoint != self._config.server.endpoint:
                listener = listen_tcp(endpoint)
            key = "admin.listen"
            await self._admin.reconfigure(config.admin, config.access)
        except OSError as error:
            if listener is not None:
                listener.close()
            why = f"cannot listen there: {error.strerror or error}"
            raise ConfigError([Problem(str(self._sources.main), key, why)]) from error
        return listener

    async def _move_http(
        self, listener: socket.socket | None, config: Config
    ) -> HttpConnector | None:
        """Serve PowerDNS by `config`; return the connector that is not needed any more."""
        if config.server.endpoint == self._config.server.endpoint:
            if self._http is not None:
                self._http.allow(config.server.networks)
            return None
        before, self._http = self._http, None
        if listener is not None:
            await self._serve_http(listener, config)
        return before

    def _locate_with(self, places: Places | None) -> None:
        self._askers.locate_with(places.locate if places else None)

    async def _follow_places(self) -> None:
        """Read the location database again when its file changes."""
        while True:
            await asyncio.sleep(PLACES_INTERVAL)
            places = self._config.places
            if places is not None and await asyncio.to_thread(places.refresh):
                self._locate_with(places)

    def _set_brake(self, config: Config) -> None:
        canaries = [parse_canary(text) for text in config.brake.canaries]
        self._rounds.brake.configure(canaries, config.brake.hold)

    def _brake_detail(self) -> object:
        figures = self._rounds.brake.figures()
        if figures.since is None:
            return None
        return {
            "held": figures.held,
            "silent_for": round(now().mono - figures.since, 1),
            "spent": figures.is_spent,
        }

    def _warn(self, config: Config) -> None:
        for warning in config.warnings:
            log.warning("%s", warning)


def _tell(moved: Transition) -> None:
    """One log line a transition: what changed, and why."""
    parts = []
    if moved.from_health != moved.to_health:
        parts.append(f"{moved.from_health} -> {moved.to_health}")
    if moved.from_served != moved.to_served:
        parts.append("now served" if moved.to_served else "no longer served")
    if moved.from_priority != moved.to_priority and not parts:
        parts.append(f"priority {moved.from_priority} -> {moved.to_priority}")
    log.info(
        "%s %s: %s%s",
        moved.key,
        moved.content,
        ", ".join(parts),
        f" ({moved.reason})" if moved.reason else "",
        extra=logs.fields(
            zone=moved.key.zone, name=moved.key.name, type=moved.key.type, address=moved.address
        ),
    )
