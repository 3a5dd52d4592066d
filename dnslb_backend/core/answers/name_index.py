"""An index of every configured name: its zone, static rows and balanced records."""

from collections.abc import Iterable
from dataclasses import dataclass

from dnslb_backend.core.model.names import canonical_name, parents
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import Record
from dnslb_backend.core.model.views import ViewTable, build_table
from dnslb_backend.core.model.zones import ResourceRecord, Zone


@dataclass(frozen=True, slots=True)
class NameEntry:
    """One name of a zone: its static rows and its balanced records; both empty for an ENT.

    A record with members for views comes with the table that matches clients to them.
    """

    name: str
    zone: Zone
    static: tuple[ResourceRecord, ...] = ()
    records: tuple[tuple[Record, ViewTable | None], ...] = ()

    @property
    def is_apex(self) -> bool:
        return self.name == self.zone.name


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Every name by its canonical form, and the sorted names of every zone. `static` are the names
    with static rows and the empty non-terminals."""

    zones: dict[str, Zone]
    entries: dict[str, NameEntry]
    names: dict[str, tuple[str, ...]]
    static: dict[str, NameEntry]


def build_name_index(plan: Plan, before: NameIndex | None = None) -> NameIndex:
    """Index every name, empty non-terminals (RFC 8020) included.

    Zones and entries that are as they were in the index `before` are taken from there.
    """
    known = before or NameIndex({}, {}, {}, {})
    zones = {
        name: known.zones[name] if known.zones.get(name) == zone else zone
        for name, zone in plan.zones.items()
    }
    rows: dict[str, list[ResourceRecord]] = {}
    records: dict[str, list[tuple[Record, ViewTable | None]]] = {}
    tables: dict[frozenset[str], ViewTable] = {}
    zone_of: dict[str, Zone] = {}
    for zone in zones.values():
        zone_of[zone.name] = zone
        for row in _static_rows(zone):
            name = canonical_name(f"{row.qname}.")
            rows.setdefault(name, []).append(row)
            zone_of[name] = zone
    for record in plan.records.values():
        records.setdefault(record.key.name, []).append((record, _table(record, plan, tables)))
        zone_of[record.key.name] = zones[record.key.zone]
    for name, zone in list(zone_of.items()):
        for parent in parents(name, zone.name):
            zone_of.setdefault(parent, zone)
    entries: dict[str, NameEntry] = {}
    for name, zone in zone_of.items():
        entry = NameEntry(name, zone, tuple(rows.pop(name, ())), tuple(records.pop(name, ())))
        old = known.entries.get(name)
        entries[name] = old if old and old.zone is zone and _is_alike(old, entry) else entry
    names: dict[str, list[str]] = {zone: [] for zone in zones}
    for name in sorted(entries):
        names[entries[name].zone.name].append(name)
    return NameIndex(
        zones,
        entries,
        {zone: tuple(found) for zone, found in names.items()},
        {name: entry for name, entry in entries.items() if _is_static(entry)},
    )


def _is_static(entry: NameEntry) -> bool:
    return bool(entry.static) or not (entry.records or entry.is_apex)


def differing_names(before: NameIndex, after: NameIndex) -> set[str]:
    """The names that only one of two indexes has, and those whose rows or records differ."""
    # Not by ^, which looks at a hundred thousand names without letting other threads run.
    differing = {name for name in before.entries if name not in after.entries}
    alike = {
        zone.name
        for zone in after.zones.values()
        if zone.name in before.zones and _shown(before.zones[zone.name]) == _shown(zone)
    }
    for name, entry in after.entries.items():
        old = before.entries.get(name)
        if old is entry:
            continue
        if old is None or not (entry.zone.name in alike and _is_alike(old, entry)):
            differing.add(name)
    return differing


def _shown(zone: Zone) -> tuple[object, ...]:
    """What the answers of all its names have of a zone."""
    return zone.spelling, zone.id, zone.soa


def _is_alike(old: NameEntry, new: NameEntry) -> bool:
    return (
        old.zone.name == new.zone.name and old.static == new.static and old.records == new.records
    )


def _table(record: Record, plan: Plan, tables: dict[frozenset[str], ViewTable]) -> ViewTable | None:
    """A table of only the views that a record uses: fewer views give shorter scopes."""
    names = frozenset(view for dest in record.dests for view in dest.views)
    if not names:
        return None
    if names not in tables:
        tables[names] = build_table(plan.views[name] for name in sorted(names))
    return tables[names]


def _static_rows(zone: Zone) -> Iterable[ResourceRecord]:
    """The rows of a zone without its SOA; those at or below a delegation are not authoritative."""
    yield from (ResourceRecord(zone.spelling, "NS", f"{name}.", zone.soa.ttl) for name in zone.ns)
    cuts = {
        name
        for row in zone.static
        if row.qtype == "NS" and (name := canonical_name(f"{row.qname}.")) != zone.name
    }
    for row in zone.static:
        name = canonical_name(f"{row.qname}.")
        below = not cuts.isdisjoint(parents(name, zone.name))
        is_cut = name in cuts and row.qtype != "DS"
        yield row._replace(auth=not (below or is_cut))
