"""What there is to mirror: the map and the snapshot, cut into units that are written together."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.layout import Place
from dnslb_backend.core.memory import remember_record
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.recordstate import RecordState
from dnslb_backend.core.snapshot import Snapshot
from dnslb_backend.core.zones import Row as ZoneRow
from dnslb_backend.store.rows import ENT, Stamp, record_rows, static_row, zone_row
from dnslb_backend.store.tables import STATIC, ZONE, Row, Table

STATIC_RATE = 1000.0
"""So many names of static rows are refreshed in a second at most: they seldom change."""


class Unit(NamedTuple):
    """A balanced record, a zone, or what is static at one name (`type` is empty then)."""

    kind: Literal["record", "zone", "name"]
    zone: str
    name: str = ""
    type: str = ""


def unit_of(key: RecordKey) -> Unit:
    return Unit("record", *key)


class Source:
    """Reads the map and the latest snapshot. Costs nothing but when it is asked."""

    def __init__(self, health: HealthMap) -> None:
        self._health = health
        self._snapshot: Snapshot | None = None
        self._marks: dict[RecordKey, int] = {}
        self._names: dict[str, Place] = {}

    @property
    def health(self) -> HealthMap:
        return self._health

    @property
    def is_complete(self) -> bool:
        """Whether all that there is can be told by now."""
        return self._snapshot is not None

    def units(self) -> Iterator[Unit]:
        """Everything, zones first."""
        if self._snapshot is not None:
            yield from (Unit("zone", zone) for zone in self._snapshot.layout.zones)
        yield from (Unit("name", place.zone.name, name) for name, place in self._names.items())
        yield from map(unit_of, self._health.records)

    def interval(self, unit: Unit) -> float:
        """The seconds in which a unit has news at most once, even if nothing changes."""
        if unit.kind != "record":
            return len(self._names) / STATIC_RATE
        state = self._health.records.get(RecordKey(*unit[1:]))
        return state.record.timing.interval if state else 0.0

    def follow(self, snapshot: Snapshot) -> tuple[set[Unit], bool]:
        """Take up a snapshot: what it changed besides records, and whether units came or went."""
        before, self._snapshot = self._snapshot, snapshot
        if before is None or before.layout is not snapshot.layout:
            self._names = {
                name: place for name, place in snapshot.layout.places.items() if _is_static(place)
            }
            self._marks = {k: v for k, v in self._marks.items() if k in self._health.records}
            return {unit for unit in self.units() if unit.kind != "record"}, True
        if before is snapshot:
            return set(), False
        serials = before.serials
        return {
            Unit("zone", zone) for zone, now in snapshot.serials.items() if serials[zone] != now
        }, False

    def changed(self, touched: Iterable[RecordKey]) -> set[Unit]:
        """Those of the touched records in which more has changed than times and wordings."""
        found = set()
        for key in touched:
            state = self._health.records.get(key)
            mark = None if state is None else hash(self._figures(state))
            if mark != self._marks.get(key):
                found.add(unit_of(key))
            if mark is None:
                self._marks.pop(key, None)
            else:
                self._marks[key] = mark
        return found

    def rows(self, unit: Unit, stamp: Stamp, at: Instant) -> list[tuple[Table, Row]]:
        """The rows of a unit as they read now; none where it is gone."""
        if unit.kind == "record":
            state = self._health.records.get(RecordKey(*unit[1:]))
            if state is None:
                return []
            return record_rows(remember_record(state, self._health, at), stamp)
        snapshot = self._snapshot
        if snapshot is None or unit.zone not in snapshot.layout.zones:
            return []
        zone = snapshot.layout.zones[unit.zone]
        if unit.kind == "zone":
            return [(ZONE, zone_row(zone, snapshot.serials[unit.zone], stamp))]
        place = self._names.get(unit.name)
        if place is None or place.zone.name != unit.zone:
            return []
        rows = place.static or (ZoneRow(unit.name, ENT, "", 0),)
        return [(STATIC, static_row(zone, unit.name, row, stamp)) for row in rows]

    def _figures(self, state: RecordState) -> tuple[object, ...]:
        hosts = tuple((host.addresses, host.is_answered) for host in state.hosts.values())
        members: list[tuple[object, ...]] = []
        for row in state.rows:
            members.append(
                (row.effective, row.is_served, row.priority, row.weight, row.override, row.waits_in)
            )
            for target in row.member.targets:
                known = self._health.target(target)
                code = known.result.code if known.result else None
                members.append((known.standing, known.stale, known.streak, code, known.weight))
                # A `clear` can let in a member that serves nobody either way.
                members.append((known.held_until,))
        return (state.decision, hosts, *members)


def _is_static(place: Place) -> bool:
    """Whether lb_static tells of this name: by its rows, or because it has nothing itself."""
    return bool(place.static) or not (place.records or place.is_apex)
