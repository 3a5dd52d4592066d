"""What may not coexist: looked for when every zone and record has been read."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.model.names import canonical_name, parents
from dnslb_backend.core.model.records import AllDown, Record, RecordKey
from dnslb_backend.core.model.zones import ResourceRecord, Zone
from dnslb_backend.slices import empty

GLUE = frozenset({"A", "AAAA"})
"""What may be below a delegation: the addresses of the servers that it names."""

AT_A_CUT = frozenset({"NS", "DS", *GLUE})

ALONE = frozenset({"CNAME", "DNAME"})
"""The types that a name has one record of (RFC 2181, section 10.1; RFC 6672, section 2.4)."""


def check_coexistence(
    zones: Mapping[str, Zone], origins: Mapping[RecordKey, Cursor], main: Cursor
) -> None:
    """Refuse what may not coexist, at the place where it is written.

    `origins` are the places of the balanced records, `main` the file of the zones.
    """
    balanced: dict[str, dict[RecordKey, Cursor]] = {name: {} for name in zones}
    for key, origin in origins.items():
        balanced.setdefault(key.zone, {})[key] = origin
    for zone in zones.values():
        where = main.at("zones", zone.spelling)
        hood = _Coexistence(zone, where)
        for index, row in enumerate(zone.static):
            hood.take_row(row, index)
        for key, origin in balanced[zone.name].items():
            hood.take_record(key, origin)
        hood.check_delegations(balanced[zone.name])
        for name, found in hood.types.items():
            for message in _misfits(name, found, zone.name, zones, hood.types):
                where.refuse(message)
        hood.free()


def warn_of_unknown_answers(
    zones: Mapping[str, Zone],
    records: Mapping[RecordKey, Record],
    origins: Mapping[RecordKey, Cursor],
) -> None:
    """Warn where an answer that is not known takes others with it.

    PowerDNS asks for all types of a name at once (ANY): for the apex with
    consistent-backends=yes, its default, and in the end for the name itself.
    """
    types: dict[str, set[str]] = {}
    for zone in zones.values():
        for row in zone.static:
            types.setdefault(_name(row), set()).add(row.qtype)
    for key in records:
        types.setdefault(key.name, set()).add(key.type)
    for key, record in records.items():
        if key.name == key.zone:
            message = (
                "while its answer is not known PowerDNS says SERVFAIL for the whole zone, unless "
                "it runs with consistent-backends=no, as in pdns/*.conf"
            )
            origins[key].warn(message)
        others = types[key.name] - {key.type}
        if record.all_down is AllDown.SERVFAIL and others:
            listed = _listed(frozenset(others))
            message = f'all_down = "servfail" is SERVFAIL for {listed} of the name as well'
            origins[key].warn(message)
    empty(types)


@dataclass(slots=True)
class _Coexistence:
    """The names of one zone while they are gathered."""

    zone: Zone
    where: Cursor
    types: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)
    _ttls: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.types[self.zone.name] = ["SOA", *(["NS"] if self.zone.ns else [])]

    def take_row(self, row: ResourceRecord, index: int) -> None:
        name = _name(row)
        where = self.where.at("static", index)
        if (name, row.qtype, row.content) in self._seen:
            where.refuse(f"{name} {row.qtype} is listed twice")
        self._seen.add((name, row.qtype, row.content))
        ttl = self._ttls.setdefault((name, row.qtype), row.ttl)
        if ttl != row.ttl:
            message = f"{name} {row.qtype} has a ttl of {ttl} and of {row.ttl} (RFC 2181, 5.2)"
            where.refuse(message)
        if row.qtype == "DS" and name == self.zone.name:
            message = "belongs in the zone above, beside the delegation (RFC 4034, 5)"
            where.at("type").refuse(message)
        self.types.setdefault(name, []).append(row.qtype)

    def take_record(self, key: RecordKey, origin: Cursor) -> None:
        if key.type in self.types.get(key.name, ()):
            origin.refuse(f"{key.name} has static {key.type} rows too")
        self.types.setdefault(key.name, []).append(key.type)

    def check_delegations(self, origins: Mapping[RecordKey, Cursor]) -> None:
        """Refuse what is never served, because it is behind a referral."""
        cuts = {name for name, types in self.types.items() if "NS" in types} - {self.zone.name}
        if not cuts:
            return
        for index, row in enumerate(self.zone.static):
            name = _name(row)
            cut = self._cut(name, cuts)
            allowed = AT_A_CUT if name == cut else GLUE
            if cut and row.qtype not in allowed:
                message = f"{name} is delegated by the NS of {cut}; allowed: {_listed(allowed)}"
                self.where.at("static", index, "type").refuse(message)
        for key, origin in origins.items():
            if cut := self._cut(key.name, cuts):
                message = f"{key.name} is delegated by the NS of {cut}, others answer for it"
                origin.refuse(message)

    def free(self) -> None:
        empty(self.types)
        empty(self._seen)
        empty(self._ttls)

    def _cut(self, name: str, cuts: set[str]) -> str:
        """The highest delegation that `name` is at or below; empty where there is none."""
        above = (name, *parents(name, self.zone.name))
        return next((each for each in reversed(above) if each in cuts), "")


def _misfits(
    name: str,
    types: Sequence[str],
    zone: str,
    zones: Container[str],
    all_types: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    others = sorted({qtype for qtype in types if qtype != "CNAME"})
    if "CNAME" in types and others:
        yield f"{name} has a CNAME, so it may not have {', '.join(others)} (RFC 2181, 10.1)"
    for qtype in sorted(ALONE):
        if types.count(qtype) > 1:
            yield f"{name} has more than one {qtype}"
    between = parents(name, zone)
    for above in (*between, zone):
        if above != name and "DNAME" in all_types.get(above, ()):
            yield f"{name} is below the DNAME of {above}, which answers for it (RFC 6672, 2.4)"
    for other in (name, *between):
        if other != zone and other in zones:
            yield f"{name} is in another configured zone, {other}; write it there"


def _listed(types: frozenset[str]) -> str:
    return ", ".join(sorted(types))


def _name(row: ResourceRecord) -> str:
    return canonical_name(f"{row.qname}.")
