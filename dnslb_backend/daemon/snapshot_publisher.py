"""What PowerDNS is answered: the snapshot, replaced with every change, and its caches purged."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dnslb_backend.core.answers.invalidation import (
    PurgeItem,
    References,
    find_references,
    purge_after_reload,
)
from dnslb_backend.core.answers.name_index import NameIndex, build_name_index, differing_names
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.model.plan import Plan, PlanChange, compare_records
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import PdnsVersion
from dnslb_backend.daemon.purging import Purging
from dnslb_backend.metrics import snapshot_swapped
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.wire.rows import render_rows


@dataclass(frozen=True, slots=True)
class PlannedNames:
    """The names of a plan, and those of them that differ from the names `before`.

    `plan` is the `configured` one as a PowerDNS of this version reads it; `change` is what is
    different in it.
    """

    configured: Plan
    change: PlanChange
    version: PdnsVersion
    plan: Plan
    index: NameIndex
    references: References
    differing: Collection[str]
    before: NameIndex


class SnapshotPublisher:
    """Keeps the snapshot of a health map. A new one is live before anything is purged."""

    def __init__(
        self,
        health: HealthMap,
        plan: Plan,
        purging: Purging,
        wall: float,
        serials: Mapping[str, int],
    ) -> None:
        self._health = health
        self._earlier = frozenset(serials)
        self._purging = purging
        self._configured = plan
        self._plan = plan.for_pdns(purging.version)
        index = build_name_index(self._plan)
        self._references = find_references(self._plan, index)
        self._snapshot, _ = build_snapshot(
            index, self._decision, render_rows, wall, serials=serials
        )
        self._unanswered = dict.fromkeys(health.pending())

    def snapshot(self) -> Snapshot:
        """The one that is live."""
        return self._snapshot

    def unanswered(self) -> Collection[RecordKey]:
        """Records that are not answered yet: they are pending, or were until a moment ago."""
        return self._unanswered.keys()

    def update(self, keys: Collection[RecordKey], wall: float) -> None:
        """The decisions of these records may have changed."""
        names = {key.name for key in keys}
        self._snapshot, changed = self._snapshot.with_answers(names, self._decision, wall)
        for key in keys if self._unanswered else ():
            if key not in self._health.records or self._health.records[key].is_ready:
                self._unanswered.pop(key, None)
        if changed:
            snapshot_swapped()
            stale = self._references.names_to_purge(changed)
            self._purging.purge(stale, self._with_secondaries(changed))

    def purge_zones(self, zones: Iterable[str]) -> None:
        """Keys or metadata of these zones have changed, and with them all that was signed."""
        known = self._snapshot.name_index.zones
        self._purging.purge(_whole(zone for zone in zones if zone in known))

    def prepare(self, plan: Plan, version: PdnsVersion) -> PlannedNames:
        """What `apply_plan` needs of a plan, for a PowerDNS of this version.

        It takes long, and may run in a thread.
        """
        before = self._snapshot.name_index
        written = plan.for_pdns(version)
        index = build_name_index(written, before)
        return PlannedNames(
            configured=plan,
            change=compare_records(self._configured.records, plan.records),
            version=version,
            plan=written,
            index=index,
            references=find_references(written, index),
            differing=differing_names(before, index),
            before=before,
        )

    def apply_plan(self, names: PlannedNames, wall: float, *, purger: Purger | None = None) -> None:
        """A new plan was applied to the health map; `purger` replaces the one at work."""
        version = (purger or self._purging).version
        if names.before is not self._snapshot.name_index or names.version != version:
            # PowerDNS has got another version meanwhile.
            names = self.prepare(names.configured, version)
        self._configured, self._plan = names.configured, names.plan
        index, before = names.index, self._snapshot
        self._snapshot, changed = build_snapshot(
            index, self._decision, render_rows, wall, before, differing=names.differing
        )
        for key in names.change.removed:
            self._unanswered.pop(key, None)
        for key in names.change.changed:
            if not self._health.records[key].is_ready:
                self._unanswered[key] = None
        snapshot_swapped()
        known = (self._references, names.references)
        self._references = names.references
        stale: Iterable[PurgeItem] = purge_after_reload(before.name_index, index, changed, known)
        if purger is not None:
            # It does not know what the other one had still to purge.
            stale = _whole(before.name_index.zones.keys() | index.zones.keys())
            self._purging.replace(purger)
        self._purging.purge(stale, self._with_secondaries(changed))

    def follow_version(self, wall: float) -> bool:
        """PowerDNS may have another version; whether contents are written in another way for it."""
        version = self._purging.version
        if self._configured.for_pdns(version).zones == self._plan.zones:
            return False
        self.apply_plan(self.prepare(self._configured, version), wall)
        return True

    def purge_all(self) -> None:
        """Purge every zone and notify all secondaries: answers of an earlier run may be cached."""
        zones = self._snapshot.name_index.zones
        self._purging.purge(_whole(zones.keys() | self._earlier), self._with_secondaries(zones))

    def _with_secondaries(self, names: Iterable[str]) -> list[str]:
        """Those of the names that are zones with secondaries."""
        zones = self._snapshot.name_index.zones
        return [name for name in names if name in zones and zones[name].also_notify]

    def _decision(self, key: RecordKey) -> Decision:
        return self._health.records[key].decision


def _whole(zones: Iterable[str]) -> list[PurgeItem]:
    return [PurgeItem(zone, below=True) for zone in zones]
