"""A reload: prepare -> commit -> retire.

prepare   loads the configuration and opens files and sockets; where that fails, it closes them
          again, and nothing has changed
commit    makes the new configuration the one that runs, in one turn of the event loop
retire    closes what the old configuration needed and the new one does not
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from dnslb_backend import logs, metrics
from dnslb_backend.admin.control import ReloadPreview, ReloadReport
from dnslb_backend.admin.http.event_stream import Hint
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.clock import now
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.health.overrides import ActiveOverrides
from dnslb_backend.core.health.plan_preview import RecordPreview, preview_record, preview_zones
from dnslb_backend.core.model.records import Record
from dnslb_backend.core.model.views import View
from dnslb_backend.daemon.listeners import CannotListenError, ListenerChange, Listeners, Retire
from dnslb_backend.daemon.parts import Parts
from dnslb_backend.daemon.purging import purger_of
from dnslb_backend.daemon.snapshot_publisher import PlannedNames
from dnslb_backend.daemon.startup import storage_config
from dnslb_backend.errors import ConfigError, ConfigProblem, DnslbError, UnavailableError
from dnslb_backend.network import AddressPort, parse_address_port
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.slices import in_slices

log = ComponentLog(__name__, "reload")

LOAD_TIMEOUT = 60.0
"""Seconds in which a configuration must be loaded: storage may hang."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration and all that it needs besides what runs; `purger` None: that at work."""

    config: Config
    listeners: ListenerChange
    canaries: list[AddressPort]
    names: PlannedNames
    purger: Purger | None


class Reloader:
    """Replaces `config`, which runs, by what the files say. `loglevel` overrides that of files."""

    def __init__(
        self,
        paths: ConfigPaths,
        config: Config,
        parts: Parts,
        listeners: Listeners,
        loglevel: str | None,
    ) -> None:
        self._paths = paths
        self._config = config
        self._parts = parts
        self._listeners = listeners
        self._loglevel = loglevel

    async def reload(self) -> ReloadReport:
        """Reload, and log and count how that ended. Raises ConfigError and changes nothing."""
        self._parts.readiness.reloading()
        try:
            prepared = await self._prepare()
            report, retired = self._commit(prepared)
        except DnslbError as error:
            for problem in error.problems if isinstance(error, ConfigError) else [error]:
                log.error("reload refused: %s", problem)
            self._refused()
            raise
        except Exception:
            log.exception("unhandled exception in a reload")
            self._refused()
            raise
        await self._listeners.retire(retired)
        metrics.count_reload(is_ok=True)
        log.info(
            "reloaded: %d records, %d new or changed, %d removed",
            *(report.records, report.changed, report.removed),
        )
        self._parts.readiness.reloaded("Running, reloaded")
        return report

    async def preview(self) -> ReloadPreview:
        """What a reload would change. Raises ConfigError; listeners are not tried."""
        config, before = await self._load(), self._config
        overrides = ActiveOverrides(self._parts.health.overrides)
        found: list[RecordPreview] = []
        every = {**before.plan.records, **config.plan.records}
        async for key in in_slices(sorted(every)):
            old, new = before.plan.records.get(key), config.plan.records.get(key)
            change = preview_record(
                self._parts.health,
                key,
                new,
                overrides,
                is_check_changed=_checks(old, before) != _checks(new, config),
            )
            found += [change] if change else []
        views = _differing(before.plan.views, config.plan.views)
        zones = preview_zones(before.plan.zones, config.plan.zones)
        warnings = (*config.warnings, *self._needs_restart(config))
        return ReloadPreview(
            len(config.plan.records), tuple(found), tuple(zones), views, tuple(map(str, warnings))
        )

    def _refused(self) -> None:
        metrics.count_reload(is_ok=False)
        self._parts.readiness.reloaded("Reload failed, the old configuration runs on")

    async def _load(self) -> Config:
        try:
            return await run_blocking(partial(load, self._paths, self._config), LOAD_TIMEOUT)
        except TimeoutError as error:
            message = f"the configuration could not be read within {LOAD_TIMEOUT:g} s"
            raise UnavailableError(message) from error

    async def _prepare(self) -> Prepared:
        config = await self._load()
        canaries = [parse_address_port(text) for text in config.brake.canaries]
        purger = None
        if (config.pdns, config.server.is_off) != (self._config.pdns, self._config.server.is_off):
            # Its TLS reads the system's certificate authorities.
            purger = await run_blocking(partial(purger_of, config), LOAD_TIMEOUT)
            await purger.ask_versions()
        version = (purger or self._parts.purging).version
        find_names = partial(self._parts.snapshots.prepare, config.plan, version)
        names = await run_blocking(find_names, LOAD_TIMEOUT)
        try:
            listeners = await self._listeners.prepare(config)
        except CannotListenError as error:
            problem = ConfigProblem(str(self._paths.main), error.key, error.why)
            raise ConfigError([problem]) from error
        return Prepared(config, listeners, canaries, names, purger)

    def _commit(self, prepared: Prepared) -> tuple[ReloadReport, list[Retire]]:
        """Nothing here waits, opens a file or a socket, or depends on anything outside."""
        config, parts, change = prepared.config, self._parts, prepared.names.change
        retired = self._listeners.commit(prepared.listeners)
        parts.health.apply_plan(config.plan, now(), change)
        parts.snapshots.apply_plan(prepared.names, now().wall, purger=prepared.purger)
        parts.scheduler.apply_plan(config.checks, change, config.settings.max_record_checks)
        parts.scheduler.configure_brake(prepared.canaries, config.brake.hold)
        if parts.voting is not None:
            parts.voting.apply_plan(config.checks)
            if config.quorum is not None and config.mysql is not None:
                parts.voting.configure(config.quorum, config.mysql)
        parts.locations.use(config.geo_database)
        parts.persistence.reconfigure(storage_config(config))
        parts.notifications.reconfigure(config.notify)
        if self._loglevel is None:
            logs.set_level(config.settings.loglevel)
        warnings = (*config.warnings, *self._needs_restart(config))
        self._config = config
        log_warnings(warnings)
        parts.changes.notify()
        parts.events([Hint.RELOAD])
        report = ReloadReport(
            len(config.plan.records),
            len(change.changed),
            len(change.removed),
            tuple(map(str, warnings)),
        )
        return report, retired

    def _needs_restart(self, config: Config) -> list[ConfigProblem]:
        """The keys that have changed and that only a restart can apply."""
        changes = {
            "global.node": (self._config.node, config.node),
            "state.path": (self._config.state.path, config.state.path),
            "quorum": (_presence(self._config.quorum), _presence(config.quorum)),
        }
        if self._config.quorum is not None and config.quorum is not None:
            changes["quorum.site"] = (self._config.quorum.site, config.quorum.site)
        return [
            ConfigProblem(str(self._paths.main), key, f"is {old} until the next start")
            for key, (old, new) in changes.items()
            if old != new
        ]


def _checks(record: Record | None, config: Config) -> list[Check]:
    return [] if record is None else [config.checks[each] for each in record.checks]


def _presence(table: object) -> str:
    return "absent" if table is None else "present"


def _differing(before: Mapping[str, View], after: Mapping[str, View]) -> tuple[str, ...]:
    every = sorted(before.keys() | after.keys())
    return tuple(name for name in every if before.get(name) != after.get(name))


def log_warnings(warnings: Iterable[ConfigProblem]) -> None:
    """Log what a configuration that is used should be looked at for."""
    for warning in warnings:
        log.warning("%s", warning)
