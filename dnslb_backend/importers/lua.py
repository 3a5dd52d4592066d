"""A PowerDNS zone with LUA records as a configuration of dnslb-backend."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.exception
import dns.name

from dnslb_backend.config.records import TYPES
from dnslb_backend.core.model.names import IDNA
from dnslb_backend.errors import SourceError
from dnslb_backend.importers.draft import (
    BalancedRecord,
    Draft,
    Note,
    StaticRow,
    Table,
    ZoneDraft,
    record_keys,
)
from dnslb_backend.importers.lua_expression import LuaError, Names, parse_record, parse_settings
from dnslb_backend.importers.lua_views import Views, combined
from dnslb_backend.importers.zone_file import Row, Unread, read_rows

DEFAULT: Table = {"interval": 5, "timeout": 2, "dns_timeout": 1}
"""PowerDNS's lua-health-checks-interval, and the timeout of its checks."""

SOA_KEYS = ("refresh", "retry", "expire", "minimum")


def draft_of_zone(text: str, file: str, zone: str | None, geo_database: str = "") -> Draft:
    """The draft of a zone file, or of what pdnsutil lists; `zone` where the file has only relative
    names. Raises SourceError.
    """
    origin = None if zone is None else _origin(zone)
    apex, rows = _apex(list(read_rows(text, file, origin)), file, origin)
    views = Views(places=bool(geo_database))
    found = ZoneDraft(apex.to_text(omit_final_dot=True))
    work = _Zone(file, apex, found, views)
    work.take_all(rows)
    draft = Draft("lua", file, dict(DEFAULT), zones={found.name: found})
    draft.views = views.tables
    if any(set(view) - {"networks"} for view in views.tables.values()):
        draft.geo_database = geo_database
    return draft


def _origin(zone: str) -> dns.name.Name:
    try:
        return dns.name.from_text(zone, dns.name.root, IDNA)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise SourceError(f"--zone {zone}: is no domain name: {error}") from error


def _apex(
    rows: list[Row | Unread], file: str, origin: dns.name.Name | None
) -> tuple[dns.name.Name, list[Row | Unread]]:
    soas = {row.name for row in rows if isinstance(row, Row) and row.type == "SOA"}
    if len(soas) > 1:
        raise SourceError(f"{file}: holds {len(soas)} zones; import one at a time")
    apex = soas.pop() if soas else origin
    if apex is None:
        raise SourceError(f"{file}: has no SOA: name the zone with --zone NAME")
    if apex == dns.name.root:
        raise SourceError(f"{file}: is the root zone, which is not served")
    return apex, rows


@dataclass(slots=True)
class _Zone:
    """The zone while its rows are taken in."""

    file: str
    apex: dns.name.Name
    draft: ZoneDraft
    views: Views
    includes: dict[str, Names] = field(default_factory=dict)
    _balanced: set[tuple[str, str]] = field(default_factory=set)

    def take_all(self, rows: Iterable[Row | Unread]) -> None:
        rows = list(rows)
        # A record may include settings that come after it.
        for row in rows:
            if isinstance(row, Row) and row.lua_type == "LUA":
                self._take_settings(row)
        for row in rows:
            if isinstance(row, Unread):
                self._note(row.line, row.text, row.original)
            elif not row.name.is_subdomain(self.apex):
                self._note(row.line, f"{row.name} is not in the zone", row.content)
            elif row.lua_type != "LUA":
                self._take(row)

    def _take(self, row: Row) -> None:
        if row.type == "LUA":
            self._take_lua(row)
        elif row.type == "SOA" and row.name == self.apex:
            mname, rname, _, *numbers = row.content.split()
            times = dict(zip(SOA_KEYS, map(int, numbers), strict=True))
            self.draft.soa = {"mname": mname, "rname": rname, **times, "ttl": row.ttl}
        elif row.type == "NS" and row.name == self.apex:
            if row.content not in self.draft.ns:
                self.draft.ns.append(row.content)
        else:
            place = self._place(row.line)
            static = StaticRow(place, self._name(row), row.type, row.content, row.ttl)
            self.draft.static.append(static)

    def _take_lua(self, row: Row) -> None:
        original = f'{self._name(row)} {row.ttl} LUA {row.lua_type} "{row.content}"'
        try:
            if row.lua_type not in TYPES:
                raise LuaError("this type is not balanced")
            answer = combined(parse_record(row.content, self.includes), row.lua_type, self.views)
        except LuaError as error:
            self._note(row.line, f"{self._name(row)} LUA {row.lua_type}: {error}", original)
            return
        name = self._name(row)
        if (name, row.lua_type) in self._balanced:
            self._note(row.line, f"{name} LUA {row.lua_type}: the second of its name", original)
            return
        self._balanced.add((name, row.lua_type))
        own = {key: each for key, each in answer.keys.items() if DEFAULT.get(key) != each}
        keys = record_keys(row.ttl, answer.dests, own)
        record = BalancedRecord(self._place(row.line), name, row.lua_type, keys, original)
        record.notes += [
            Note(record.place, f"{name} LUA {row.lua_type}: {remark}", row.content)
            for remark in answer.remarks
        ]
        self.draft.records.append(record)

    def _take_settings(self, row: Row) -> None:
        try:
            self.includes[self._name(row)] = parse_settings(row.content)
        except LuaError as error:
            self._note(row.line, f"{self._name(row)} LUA LUA: {error}", row.content)

    def _name(self, row: Row) -> str:
        if row.name == self.apex:
            return "@"
        return row.name.relativize(self.apex).to_text()

    def _place(self, line: int) -> str:
        return f"{self.file}:{line}"

    def _note(self, line: int, text: str, original: str) -> None:
        self.draft.left_out.append(Note(self._place(line), text, original))
