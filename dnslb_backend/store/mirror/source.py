"""What there is to mirror: the map and the snapshot, cut into groups of rows."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.saved_state import capture_record
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.store.database.tables import STATIC, ZONE, Table, TableRow
from dnslb_backend.store.mirror.record_rows import record_rows
from dnslb_backend.store.mirror.rows import ENT, Stamp, static_row, zone_row

if TYPE_CHECKING:
    from dnslb_backend.core.answers.name_index import NameEntry

STATIC_RATE = 1000.0
"""So many names of static rows are refreshed in a second at most: they seldom change."""


class RowGroup(NamedTuple):
    """Rows that are written together: those of a balanced record, of a zone, or the static ones of
    a name (`type` is empty then).
    """

    kind: Literal["record", "zone", "name"]
    zone: str
    name: str = ""
    type: str = ""


def group_of(key: RecordKey) -> RowGroup:
    return RowGroup("record", *key)


class MirrorSource:
    """Builds rows of the map and the latest snapshot, when it is asked for them.

    Without `delete_unknowns` stored rows of records that are not configured are left in place.
    """

    def __init__(self, health: HealthMap, *, delete_unknowns: bool = True) -> None:
        self.delete_unknowns = delete_unknowns
        self._health = health
        self._snapshot: Snapshot | None = None
        self._last_summary: dict[RecordKey, int] = {}
        self._names: dict[str, NameEntry] = {}

    @property
    def health(self) -> HealthMap:
        return self._health

    @property
    def is_complete(self) -> bool:
        """Whether there is a snapshot, and so every group is known."""
        return self._snapshot is not None

    def groups(self) -> Iterator[RowGroup]:
        """Everything, zones first; what comes while they are taken is left for the next call."""
        yield from self._groups_besides_records()
        yield from map(group_of, list(self._health.records))

    def _groups_besides_records(self) -> Iterator[RowGroup]:
        names = self._names
        if self._snapshot is not None:
            yield from (RowGroup("zone", zone) for zone in self._snapshot.name_index.zones)
        yield from (RowGroup("name", entry.zone.name, name) for name, entry in names.items())

    def interval(self, group: RowGroup) -> float:
        """The seconds between two checks of a group, the fewest between two changes of times."""
        if group.kind != "record":
            return len(self._names) / STATIC_RATE
        state = self._health.records.get(RecordKey(*group[1:]))
        return state.record.timing.interval if state else 0.0

    def apply_snapshot(self, snapshot: Snapshot) -> tuple[set[RowGroup], bool]:
        """Follow a snapshot: the groups it changed besides records, and whether the set of groups
        has changed.
        """
        before, self._snapshot = self._snapshot, snapshot
        if before is None or before.name_index is not snapshot.name_index:
            self._names = snapshot.name_index.static
            return set(self._groups_besides_records()), True
        if before is snapshot:
            return set(), False
        serials = before.serials
        return {
            RowGroup("zone", zone) for zone, now in snapshot.serials.items() if serials[zone] != now
        }, False

    def changed_groups(self, touched: Iterable[RecordKey]) -> set[RowGroup]:
        """Those of the touched records in which more has changed than times and texts."""
        found = set()
        for key in touched:
            state = self._health.records.get(key)
            summary = None if state is None else hash(self._summary(state))
            if summary != self._last_summary.get(key):
                found.add(group_of(key))
            if summary is None:
                self._last_summary.pop(key, None)
            else:
                self._last_summary[key] = summary
        return found

    def rows(self, group: RowGroup, stamp: Stamp, at: Instant) -> list[tuple[Table, TableRow]]:
        """The rows of a group as they are now; none where it is gone."""
        if group.kind == "record":
            state = self._health.records.get(RecordKey(*group[1:]))
            if state is None:
                return []
            timing = state.record.timing
            interval = max(timing.interval, timing.down_interval or 0.0)
            return record_rows(capture_record(state, self._health, at), stamp, interval)
        snapshot = self._snapshot
        if snapshot is None or group.zone not in snapshot.name_index.zones:
            return []
        zone = snapshot.name_index.zones[group.zone]
        if group.kind == "zone":
            return [(ZONE, zone_row(zone, snapshot.serials[group.zone], stamp))]
        entry = self._names.get(group.name)
        if entry is None or entry.zone.name != group.zone:
            return []
        rows = entry.static or (ZoneRow(group.name, ENT, "", 0),)
        return [(STATIC, static_row(zone, group.name, row, stamp)) for row in rows]

    def _summary(self, state: RecordState) -> tuple[object, ...]:
        hosts = tuple((host.addresses, host.is_answered) for host in state.hosts.values())
        members: list[tuple[object, ...]] = []
        for row in state.rows:
            members.append(
                (row.effective, row.is_served, row.priority, row.weight, row.override, row.waits_in)
            )
            members.append((row.weighting, row.share))
            for target in row.member.targets:
                known = self._health.seen(target)
                code = known.result.code if known.result else None
                members.append((known.last_known, known.stale, known.streak, code, known.weight))
                # `clear` can readmit a member whose row is the same before and after.
                members.append((known.suppressed_until,))
        return (state.decision, hosts, *members)
