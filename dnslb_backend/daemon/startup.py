"""The start: from a configuration to the parts of a daemon, with what an earlier run knew."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import getrandbits
from typing import get_args

from dnslb_backend import __version__, metrics
from dnslb_backend.admin.control import ReloadReport
from dnslb_backend.admin.http.event_stream import Hint, StreamEvent
from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.clock import now
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.saved_state import SavedState, restore
from dnslb_backend.core.model.plan import PlanChange
from dnslb_backend.daemon.callbacks import Callbacks
from dnslb_backend.daemon.change_publisher import ChangePublisher, Stage
from dnslb_backend.daemon.location_updates import LocationUpdates
from dnslb_backend.daemon.notification_commands import NotificationCommands
from dnslb_backend.daemon.parts import Parts
from dnslb_backend.daemon.purging import Purging, purger_of
from dnslb_backend.daemon.readiness import Readiness
from dnslb_backend.daemon.reload_requests import ReloadRequests
from dnslb_backend.daemon.snapshot_publisher import SnapshotPublisher
from dnslb_backend.daemon.transition_log import report_changes
from dnslb_backend.daemon.voting import Voting
from dnslb_backend.network import parse_address_port
from dnslb_backend.notifications.dispatcher import Dispatcher
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.store.persistence import Persistence, StorageConfig
from dnslb_backend.store.votes.exchange import ExchangeSettings
from dnslb_backend.systemd import Notifier

log = ComponentLog(__name__, "mirror")


async def load_or_stop(paths: ConfigPaths, stop: asyncio.Event) -> Config | None:
    """The configuration, or None where `stop` was set while it was loaded. Raises ConfigError.

    Files on storage that hangs must not make a process that only SIGKILL ends.
    """
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(_outcome(paths))
        stopping = group.create_task(stop.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        loading.cancel()
        stopping.cancel()
    if loading.cancelled():
        return None
    loaded = loading.result()
    if isinstance(loaded, Exception):
        raise loaded
    return loaded


async def _outcome(paths: ConfigPaths) -> Config | Exception:
    try:
        return await run_blocking(partial(load, paths), None)
    except Exception as error:  # noqa: BLE001 - a TaskGroup would wrap it
        return error


async def start(
    config: Config,
    resources: CheckResources,
    resolver: Resolver,
    notifier: Notifier,
    reloads: ReloadRequests[ReloadReport],
) -> Parts:
    """Build every part, with the answers that an earlier run has left."""
    agreement = Agreement(config.node, config.quorum, now()) if config.quorum else None
    health = HealthMap(agreement)
    health.apply_plan(config.plan, now())
    overrides_changed, keys_changed = Callbacks[tuple[Override, ...]](), Callbacks[frozenset[str]]()
    persistence = _persistence(config, health, overrides_changed, keys_changed)
    await persistence.open()
    found = (await persistence.restore()).state
    restore_health(health, found, config)
    restored = health.take_changes()

    purger = await run_blocking(partial(purger_of, config), None)
    await purger.ask_versions()
    purging = Purging(purger)
    snapshots = SnapshotPublisher(health, config.plan, purging, now().wall, found.serials)
    readiness = Readiness(health, snapshots.unanswered, notifier)
    events = Callbacks[list[StreamEvent]]()
    notifications = Dispatcher(
        config.notify, config.node, NotificationCommands(resources.commands), now
    )
    changes = _change_publisher(
        health, snapshots, readiness, persistence, (_stream_to(events), notifications.publish)
    )
    # The first snapshot has these answers already.
    changes.publish(restored, skip=1)

    voting = _voting(config, health, agreement, persistence, changes, events)
    scheduler = Scheduler(
        health,
        resolver,
        resources,
        slots=config.settings.max_record_checks,
        changed=partial(_results_counted, changes, voting) if voting else changes.notify,
        # The rounds of nodes that vote are spread over the interval.
        seed=config.node if voting else "",
    )
    if voting is not None:
        voting.connect(scheduler)
        voting.apply_plan(config.checks)
    scheduler.apply_plan(config.checks, PlanChange(), config.settings.max_record_checks)
    scheduler.configure_brake(
        [parse_address_port(text) for text in config.brake.canaries], config.brake.hold
    )
    metrics.BRAKE_ENGAGED.set_function(lambda: scheduler.brake_status().since is not None)
    metrics.BRAKE_HELD.set_function(lambda: scheduler.brake_status().held)
    for kind in get_args(metrics.NotificationReceiver):
        waiting = partial(notifications.waiting, kind)
        metrics.NOTIFICATION_QUEUE.labels(kind).set_function(waiting)
    client_cache = ClientCache(time.monotonic, partial(getrandbits, 64))
    parts = Parts(
        node=config.node,
        health=health,
        persistence=persistence,
        scheduler=scheduler,
        push_reports=resources.push_reports,
        snapshots=snapshots,
        purging=purging,
        changes=changes,
        events=events,
        client_cache=client_cache,
        locations=LocationUpdates(client_cache, config.geo_database),
        readiness=readiness,
        reloads=reloads,
        previews=ReloadRequests(),
        notifications=notifications,
        voting=voting,
    )
    overrides_changed.add(partial(_apply_overrides, parts))
    keys_changed.add(snapshots.purge_zones)
    return parts


def _voting(
    config: Config,
    health: HealthMap,
    agreement: Agreement | None,
    persistence: Persistence,
    changes: ChangePublisher,
    events: Callbacks[list[StreamEvent]],
) -> Voting | None:
    if agreement is None or config.mysql is None:
        return None
    rules = agreement.rules
    settings = ExchangeSettings(
        config.mysql, config.node, persistence.instance, rules.fresh, rules.votes
    )
    return Voting(
        health,
        agreement,
        settings,
        is_rival=lambda: any(each.duplicate_instance for each in persistence.stats.mirrors),
        changed=changes.notify,
        voters_changed=partial(events, [Hint.VOTERS]),
    )


def _results_counted(changes: ChangePublisher, voting: Voting) -> None:
    changes.notify()
    voting.results_counted()


def _persistence(
    config: Config,
    health: HealthMap,
    overrides_changed: Callbacks[tuple[Override, ...]],
    keys_changed: Callbacks[frozenset[str]],
) -> Persistence:
    return Persistence(
        storage_config(config),
        health,
        node=config.node,
        version=__version__,
        now=now,
        on_overrides=overrides_changed,
        on_keys_changed=keys_changed,
    )


def storage_config(config: Config) -> StorageConfig:
    delete_unknowns = config.settings.delete_unknowns
    return StorageConfig(
        config.state,
        config.mysql,
        delete_unknowns,
        config.fingerprint,
        is_fleet=config.quorum is not None,
        follows=config.quorum is not None and not config.quorum.votes,
    )


def restore_health(health: HealthMap, saved: SavedState, config: Config) -> None:
    """Put into the map what an earlier run saved; nothing that it saved prevents the start."""
    try:
        restore(health, saved, now(), config.state.max_age)
    except Exception:
        log.exception("cannot restore the state of an earlier run; starting without it")
        health.apply_plan(replace(config.plan, records={}), now())
        health.apply_plan(config.plan, now())
        health.set_overrides(saved.overrides, now())


def _change_publisher(
    health: HealthMap,
    snapshots: SnapshotPublisher,
    readiness: Readiness,
    persistence: Persistence,
    reports: Sequence[Stage],
) -> ChangePublisher:
    def answer(changes: Changes) -> None:
        if changes.answers:
            snapshots.update(changes.answers, now().wall)
            readiness.update()

    def persist(changes: Changes) -> None:
        # Also without a change of health: a reload may have changed zones and static rows alone.
        persistence.record_changes(changes, snapshots.snapshot())

    return ChangePublisher(health.take_in_parts, (answer, persist, report_changes, *reports))


def _stream_to(events: Callbacks[list[StreamEvent]]) -> Stage:
    """Passes transitions on to the event stream."""

    def stream(changes: Changes) -> None:
        happened: list[StreamEvent] = [*changes.transitions, *changes.decisions]
        if happened:
            events(happened)

    return stream


def _apply_overrides(parts: Parts, overrides: Iterable[Override]) -> None:
    parts.health.set_overrides(overrides, now(), parts.persistence.cleared_by)
    parts.changes.notify()
    parts.events([Hint.OVERRIDES])
