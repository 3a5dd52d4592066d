"""Names that the data of a zone points at: whether they exist, and have what is asked of them.

    what points                      must exist   must have an address   may be a CNAME
    NS, MX, SRV                      yes          yes                    no (RFC 2181, 10.3)
    CNAME, HTTPS, SVCB, mname        yes          no                     yes
    dest and fallback (host names)   yes          no                     yes

Only names in our own zones are known. A name that ends in the zone's name twice was written without
its final dot. What is wrong is a warning: a zone with such a name can be served.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dnslb_backend.config.addresses import ends_in_number
from dnslb_backend.config.models import ZoneSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.answers.invalidation import TARGET_FIELD
from dnslb_backend.core.model.names import canonical_name, is_within, parents
from dnslb_backend.core.model.records import Dest, Record, RecordKey
from dnslb_backend.core.model.zones import ResourceRecord, Zone
from dnslb_backend.slices import empty

POINTING = frozenset({"CNAME", "NS", "MX", "SRV", "HTTPS", "SVCB"})

NEED_ADDRESS = frozenset({"NS", "MX", "SRV"})

ADDRESSES = frozenset({"A", "AAAA"})

_UNKNOWN = frozenset({"A"})
"""What a name has that others answer for: it is taken for good."""


def advise_references(
    zones: Mapping[str, Zone],
    written: Mapping[str, tuple[str, ZoneSettings]],
    records: Mapping[RecordKey, Record],
    origins: Mapping[RecordKey, Cursor],
    main: Cursor,
) -> None:
    """Warn of names that do not exist, or were written without their final dot."""
    names = _Names(zones, records)
    for zone in zones.values():
        _advise_zone(zone, written[zone.name][1], names, main.at("zones", zone.spelling))
    for key, record in records.items():
        where = origins[key]
        _advise_owner(key.name, key.zone, where)
        for place, dests in (("dest", record.dests), ("fallback", record.fallback)):
            for dest in dests:
                _advise_dest(key, dest, names, where.at(place))
    empty(names.types)


def rname_warning(written: str, name: str, apex: str) -> str:
    """What is wrong with a mailbox, whose canonical name is `name`; empty where nothing is."""
    local, at, domain = written.partition("@")
    if at:
        meant = f"{local.replace('.', chr(92) + '.')}.{domain.removesuffix('.')}."
        return f"has an @, which is written as a dot; did you mean `{meant}`?"
    return _doubled(name, apex)


@dataclass(slots=True)
class _Names:
    """The types of every name in our zones, static and balanced."""

    zones: Mapping[str, Zone]
    records: Mapping[RecordKey, Record]
    types: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for zone in self.zones.values():
            self.types.setdefault(zone.name, set()).update({"SOA", "NS"})
            for row in zone.static:
                self._enter(canonical_name(f"{row.qname}."), row.qtype, zone.name)
        for key in self.records:
            self._enter(key.name, key.type, key.zone)

    def _enter(self, name: str, qtype: str, zone: str) -> None:
        self.types.setdefault(name, set()).add(qtype)
        for parent in parents(name, zone):
            self.types.setdefault(parent, set())

    def has_address(self, name: str) -> bool:
        return not ADDRESSES.isdisjoint(self.types.get(name, set()))

    def zone_of(self, name: str) -> str:
        """The zone a name belongs to, or "" if it is in none of our zones."""
        while name and name not in self.zones:
            name = name.partition(".")[2]
        return name

    def types_of(self, name: str, zone: str) -> Iterable[str]:
        """What a name of `zone` has, also by a wildcard; nothing where it does not exist."""
        above = (name, *parents(name, zone))
        if any(self.types.get(each, set()) & {"NS", "DNAME"} for each in above if each != zone):
            return self.types.get(name) or _UNKNOWN
        if name in self.types:
            return self.types[name]
        for parent in (*above[1:], zone):
            if parent in self.types:
                return self.types.get(f"*.{parent}", set())
        return set()


def _advise_zone(zone: Zone, written: ZoneSettings, names: _Names, where: Cursor) -> None:
    if written.soa.mname is not None:
        where_mname = where.at("soa", "mname")
        _advise_target("mname", zone.soa.mname, zone.name, names, where_mname)
    for index, target in enumerate(zone.ns if written.ns else ()):
        _advise_target("NS", target, zone.name, names, where.at("ns", index))
    for index, row in enumerate(zone.static):
        place = where.at("static", index)
        owner = canonical_name(f"{row.qname}.")
        _advise_owner(owner, zone.name, place.at("name"))
        target = _target(row)
        if row.qtype == "NS" and is_within(target, owner) and not names.has_address(target):
            place.at("content").warn(f"{target} has no address here (glue): add an A or AAAA row")
        elif target:
            _advise_target(row.qtype, target, zone.name, names, place.at("content"))


def _advise_owner(name: str, apex: str, where: Cursor) -> None:
    if message := _doubled(name, apex):
        where.warn(message)


def _advise_dest(key: RecordKey, dest: Dest, names: _Names, where: Cursor) -> None:
    if key.type in ADDRESSES:
        if not dest.is_literal:
            _advise_target("dest", canonical_name(f"{dest.host.rstrip('.')}."), "", names, where)
        return
    row = ResourceRecord(key.name, key.type, dest.content or dest.host, 0)
    if target := _target(row):
        _advise_target(key.type, target, key.zone, names, where)


def _target(row: ResourceRecord) -> str:
    """The name that a row points at; empty where there is none."""
    if row.qtype not in POINTING:
        return ""
    return row.content.split()[TARGET_FIELD[row.qtype]].removesuffix(".").lower()


def _advise_target(what: str, target: str, apex: str, names: _Names, where: Cursor) -> None:
    """Warn of what is wrong with `target`, which was perhaps written relative to `apex`."""
    relative = target.removesuffix(f".{apex}") if apex and is_within(target, apex) else target
    if ends_in_number(relative):
        where.warn(f"{relative} is an address; {what} needs a name that has one")
        return
    if message := _doubled(target, apex):
        where.warn(message)
        return
    zone = names.zone_of(target)
    if not zone or (target == zone == apex and what == "mname"):
        return
    types = names.types_of(target, zone)
    if not types:
        hint = f"; did you mean `{relative}.`?" if relative != target and "." in relative else ""
        where.warn(f"{target} does not exist in the zone {zone}{hint}")
    elif what in NEED_ADDRESS and "CNAME" in types:
        where.warn(f"{target} is a CNAME, which {what} may not name (RFC 2181, 10.3)")
    elif what in NEED_ADDRESS and not ADDRESSES.intersection(types):
        where.warn(f"{target} has no address: neither A nor AAAA")


def _doubled(name: str, apex: str) -> str:
    """What to say of a name that ends in the zone's name twice; empty for any other."""
    if not apex or not is_within(name, f"{apex}.{apex}"):
        return ""
    meant = name.removesuffix(f".{apex}")
    return f"is {name}, with the name of the zone twice; did you mean `{meant}.`?"
