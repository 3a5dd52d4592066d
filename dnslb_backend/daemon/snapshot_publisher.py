"""What PowerDNS is told: the snapshot, renewed with every change, and its caches purged."""

from collections.abc import Iterable, Mapping

from dnslb_backend.core.answers.invalidation import PurgeItem, find_references, purge_after_reload
from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.metrics import snapshot_swapped
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.wire.rows import render_rows


class SnapshotPublisher:
    """Keeps the snapshot of a health map. A new one is live before anything is purged."""

    def __init__(
        self,
        health: HealthMap,
        plan: Plan,
        purger: Purger,
        wall: float,
        serials: Mapping[str, int],
    ) -> None:
        self._health = health
        self._earlier = frozenset(serials)
        self.purger = purger
        layout = build_name_index(plan)
        self._references = find_references(plan, layout)
        self.snapshot: Snapshot
        self.snapshot, _ = build_snapshot(
            layout, self._decision, render_rows, wall, serials=serials
        )

    def update(self, keys: Iterable[RecordKey], wall: float) -> None:
        """These records were decided anew."""
        names = {key.name for key in keys}
        self.snapshot, changed = self.snapshot.with_answers(names, self._decision, wall)
        if changed:
            snapshot_swapped()
            self.purger.purge(self._references.names_to_purge(changed), self._notified(changed))

    def purge_zones(self, zones: Iterable[str]) -> None:
        """Keys or metadata of these zones have changed, and with them whatever was signed."""
        known = self.snapshot.name_index.zones
        self.purger.purge(_whole(zone for zone in zones if zone in known))

    def apply_plan(self, plan: Plan, purger: Purger, wall: float) -> None:
        """The health map has adopted a new plan."""
        layout = build_name_index(plan)
        dependents = find_references(plan, layout)
        before = self.snapshot
        self.snapshot, changed = build_snapshot(layout, self._decision, render_rows, wall, before)
        snapshot_swapped()
        known = (self._references, dependents)
        self._references = dependents
        stale: Iterable[PurgeItem] = purge_after_reload(before.name_index, layout, changed, known)
        if purger is not self.purger:
            # What the other one had still to purge is not known to this one.
            stale = _whole(before.name_index.zones.keys() | layout.zones.keys())
        self.purger = purger
        purger.purge(stale, self._notified(changed))

    def purge_all(self) -> None:
        """Purge all, and tell all secondaries: what was answered before this run, nobody knows."""
        zones = self.snapshot.name_index.zones
        self.purger.purge(_whole(zones.keys() | self._earlier), self._notified(zones))

    def _notified(self, changed: Iterable[str]) -> list[str]:
        """Those of the names that are zones with secondaries."""
        zones = self.snapshot.name_index.zones
        return [name for name in changed if name in zones and zones[name].also_notify]

    def _decision(self, key: RecordKey) -> Decision:
        return self._health.records[key].decision


def _whole(zones: Iterable[str]) -> list[PurgeItem]:
    return [PurgeItem(zone, below=True) for zone in zones]
