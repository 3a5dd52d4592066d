"""The parts of one daemon that have no sockets of their own, all of them complete."""

from dataclasses import dataclass

from dnslb_backend.admin.control import ReloadPreview, ReloadReport
from dnslb_backend.admin.http.event_stream import StreamEvent
from dnslb_backend.checkers.resources.push_reports import PushReports
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.daemon.callbacks import Callbacks
from dnslb_backend.daemon.change_publisher import ChangePublisher
from dnslb_backend.daemon.location_updates import LocationUpdates
from dnslb_backend.daemon.purging import Purging
from dnslb_backend.daemon.readiness import Readiness
from dnslb_backend.daemon.reload_requests import ReloadRequests
from dnslb_backend.daemon.snapshot_publisher import SnapshotPublisher
from dnslb_backend.daemon.voting import Voting
from dnslb_backend.notifications.dispatcher import Dispatcher
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.store.persistence import Persistence


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon consists of, besides its listeners. `node` is the name of this node."""

    node: str
    health: HealthMap
    persistence: Persistence
    scheduler: Scheduler
    push_reports: PushReports
    snapshots: SnapshotPublisher
    purging: Purging
    changes: ChangePublisher
    events: Callbacks[list[StreamEvent]]
    """Called with what happens, for the event stream of operators."""
    client_cache: ClientCache
    locations: LocationUpdates
    readiness: Readiness
    reloads: ReloadRequests[ReloadReport]
    previews: ReloadRequests[ReloadPreview]
    notifications: Dispatcher
    voting: Voting | None
    """None without [quorum]."""
