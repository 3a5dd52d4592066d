"""From zone tables to zones: what is written is validated, what is left out synthesised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import dns.exception
import dns.rdatatype

from dnslb_backend.config.models import StaticSettings, ZoneSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.rdata import (
    PARSED_BY_PDNS_ALONE,
    VERSIONS,
    RecordDataError,
    data_by_version,
)
from dnslb_backend.config.references import rname_warning
from dnslb_backend.config.values import host_of
from dnslb_backend.core.model.names import canonical_name, is_within, spelled_name
from dnslb_backend.core.model.records import Policy, Record
from dnslb_backend.core.model.zones import (
    ASSUMED_VERSION,
    PdnsVersion,
    ResourceRecord,
    Soa,
    Zone,
)
from dnslb_backend.errors import NameFormatError

UNSTORABLE = frozenset({"ANY", "AXFR", "IXFR", "OPT", "TSIG", "TKEY", "MAILA", "MAILB", "NXNAME"})
"""Types that exist only in questions or in transit (RFC 6895, section 3.1)."""

MADE_BY_PDNS = frozenset({"DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY"})
"""Types that PowerDNS makes itself when it signs a zone."""


def build_zone(
    spelling: str,
    zone_id: int,
    settings: ZoneSettings,
    node: str,
    where: Cursor,
) -> Zone | None:
    """One zone, or None after reporting what is wrong with it."""
    before = len(where.problems.problems)
    shown = spelled_name(f"{spelling}.")
    apex = shown.lower()
    soa = _soa(settings, apex, node, where.at("soa"))
    ns = _servers(settings.ns, apex, where.at("ns"))
    written = [
        row
        for index, item in enumerate(settings.static)
        if (row := _static(item, apex, shown, soa.ttl, where.at("static", index)))
    ]
    by_version = {version: tuple(row[version] for row in written) for version in VERSIONS}
    rows = by_version[ASSUMED_VERSION]
    if any(row.qtype == "NS" and canonical_name(f"{row.qname}.") == apex for row in rows):
        if ns:
            where.at("static").refuse(f"NS of {apex} belong in the key ns only")
        ns = ()
    elif not settings.ns:
        ns = (soa.mname,)
        where.at("ns").warn(f"is missing; serving {soa.mname} as the name server")
    if len(where.problems.problems) > before:
        return None
    return Zone(
        apex,
        shown,
        soa,
        ns,
        rows,
        zone_id,
        also_notify=tuple(dict.fromkeys(settings.also_notify)),
        allow_axfr=_transfers(settings),
        static_since=by_version if len(set(by_version.values())) > 1 else {},
    )


def unquoted(name: str, table: object) -> str:
    """What to write where TOML took the labels of a zone's name for tables; else empty."""
    labels = [name]
    while isinstance(table, dict) and len(table) == 1:
        ((label, inner),) = table.items()
        if label in ZoneSettings.model_fields or not isinstance(inner, dict):
            break
        labels.append(label)
        table = inner
    shown = ".".join(labels)
    return f'a name with dots needs quotes: [zones."{shown}"]' if len(labels) > 1 else ""


def keep_no_data_uncached(
    zones: Mapping[str, Zone], records: Iterable[Record], where: Cursor
) -> dict[str, Zone]:
    """The zones, those without a negative TTL that hold a name with data for some clients only.

    No answer without data can say for whom it is (RFC 7871, section 7.4): PowerDNS, and
    resolvers behind it, would give it to clients of other views for as long as that TTL is.
    """
    found = dict(zones)
    for record in records:
        zone = found.get(record.key.zone)
        if zone is not None and zone.soa.minimum and record.may_miss_some:
            found[zone.name] = replace(zone, soa=replace(zone.soa, minimum=0))
            where.at("zones", zone.spelling, "soa", "minimum").warn(
                f"is treated as 0 because {record.key} may be empty for some views"
            )
    return found


def advise_secondaries(
    zones: Mapping[str, Zone], records: Iterable[Record], where: Cursor, *, has_channel: bool
) -> None:
    """Warn of secondaries that would not be notified, or that serve other answers."""
    notifying = {zone.name: zone for zone in zones.values() if zone.also_notify}
    for zone in notifying.values():
        if not has_channel:
            message = "needs [pdns] control_socket or api: PowerDNS is asked there to notify"
            where.at("zones", zone.spelling, "also_notify").warn(message)
    for record in records:
        if record.key.zone in notifying and (what := _differs_on_secondaries(record)):
            zone = notifying[record.key.zone]
            where.at("zones", zone.spelling, "also_notify").warn(f"{record.key}: {what}")


def advise_version(zones: Iterable[Zone], where: Cursor) -> None:
    """Warn of contents that PowerDNS reads in another way in some version: it is not known here."""
    for zone in zones:
        for index, rows in enumerate(zip(*zone.static_since.values(), strict=True)):
            if since := _rewritten_since(dict(zip(zone.static_since, rows, strict=True))):
                where.at("zones", zone.spelling, "static", index, "content").warn(
                    f"is read differently by PowerDNS {since[0]}.{since[1]} and newer, and written "
                    'for an older one: set [pdns] control_socket, api or version ("4.9")'
                )


def _rewritten_since(rows: Mapping[PdnsVersion, ResourceRecord]) -> PdnsVersion | None:
    """The first version after the assumed one for which a row is written in another way."""
    later = (v for v in rows if v > ASSUMED_VERSION and rows[v] != rows[ASSUMED_VERSION])
    return min(later, default=None)


def _differs_on_secondaries(record: Record) -> str:
    """What secondaries cannot do for a record; empty where they serve what is served here."""
    if any(dest.views for dest in record.dests):
        return "secondaries leave out the members for views: they cannot distinguish clients"
    if record.policy is not Policy.ALL:
        return f'secondaries serve all members: policy "{record.policy}" has no effect there'
    return ""


def _soa(settings: ZoneSettings, apex: str, node: str, where: Cursor) -> Soa:
    written = settings.soa
    mname = node if "." in node else f"{node}.{apex}"
    rname = f"hostmaster.{apex}"
    guesses = {"mname": (written.mname, mname), "rname": (written.rname, rname)}
    names: dict[str, str] = {}
    for key, (given, guess) in guesses.items():
        if given is None:
            where.at(key).warn(f"is missing; serving {guess}")
        names[key] = _name(given or f"{guess}.", apex, where.at(key)) or guess
    if written.rname is not None and (
        warning := rname_warning(written.rname, names["rname"], apex)
    ):
        where.at("rname").warn(warning)
    if written.expire < written.refresh:
        where.at("expire").warn(f"is below refresh, {written.refresh}: secondaries stop answering")
    return Soa(
        mname=names["mname"],
        rname=names["rname"],
        refresh=written.refresh,
        retry=written.retry,
        expire=written.expire,
        minimum=written.minimum,
        ttl=written.ttl,
    )


def _transfers(settings: ZoneSettings) -> tuple[str, ...]:
    """Who may transfer the zone; those who are notified of changes unless it says otherwise."""
    if settings.allow_axfr is not None:
        return tuple(settings.allow_axfr)
    return tuple(dict.fromkeys(host_of(text) for text in settings.also_notify))


def _servers(texts: Sequence[str], apex: str, where: Cursor) -> tuple[str, ...]:
    """The canonical names of the zone's name servers, each once."""
    found: list[str] = []
    for index, text in enumerate(texts):
        name = _name(text, apex, where.at(index))
        if name in found:
            where.at(index).refuse(f"{name} is listed twice")
        elif name is not None:
            found.append(name)
    return tuple(found)


def _name(text: str, apex: str, where: Cursor) -> str | None:
    try:
        return canonical_name(text, apex)
    except NameFormatError as error:
        where.refuse(str(error))
        return None


def _static(
    item: StaticSettings, apex: str, spelling: str, ttl: int, where: Cursor
) -> dict[PdnsVersion, ResourceRecord] | None:
    """A row by the version of PowerDNS, or None after reporting what is wrong with it."""
    try:
        qname = spelling if item.name == "@" else spelled_name(item.name, spelling)
        if not is_within(qname.lower(), apex):
            raise NameFormatError(f"{qname} is not in the zone {apex}")
    except NameFormatError as error:
        where.at("name").refuse(str(error))
        return None
    qtype = item.type.upper()
    refusal = _type_refusal(qtype)
    if refusal:
        where.at("type").refuse(f"{item.type!r} {refusal}")
        return None
    try:
        found = data_by_version(qtype, item.content, apex)
    except RecordDataError as error:
        where.at("content").refuse(str(error))
        return None
    own_ttl = ttl if item.ttl is None else item.ttl
    return {version: ResourceRecord(qname, *data, own_ttl) for version, data in found.items()}


def _type_refusal(qtype: str) -> str:
    if qtype == "SOA":
        return "belongs in the zone's key soa"
    if qtype in UNSTORABLE:
        return "exists only in questions"
    if qtype in MADE_BY_PDNS:
        return "is made by PowerDNS itself when it signs the zone"
    if qtype in PARSED_BY_PDNS_ALONE:
        return "is not supported"
    try:
        known = dns.rdatatype.from_text(qtype)
    except (dns.exception.DNSException, ValueError):
        return "is not a record type"
    name = dns.rdatatype.to_text(known)
    if name != qtype:
        return f"is written {name}"
    return "is not a record type" if known == dns.rdatatype.NONE else ""
