"""PowerGSLB's database as a configuration of dnslb-backend."""

from collections.abc import Iterable

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from dnslb_backend.config.records import TYPES
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.errors import NameFormatError, SourceError
from dnslb_backend.importers.draft import Draft, Note, StaticRow, Table, ZoneDraft
from dnslb_backend.importers.powergslb_checks import TIMES, NoEqualError, check_of
from dnslb_backend.importers.powergslb_records import GslbMember, balanced_record, gives_all
from dnslb_backend.importers.powergslb_tables import GslbAnswer, answers, domains
from dnslb_backend.importers.powergslb_views import Rule, parse_rule
from dnslb_backend.importers.sql_dump import Tables

DEFAULT: Table = {**TIMES, "dns_timeout": 1}

SOA_KEYS = ("refresh", "retry", "expire", "minimum")


def draft_of_tables(tables: Tables, source: str, geo_database: str = "") -> Draft:
    """The draft of all zones of a database. Raises SourceError where it is not PowerGSLB's."""
    names = domains(tables, source)
    found = list(answers(tables, source))
    draft = Draft("powergslb", source, dict(DEFAULT), geo_database=geo_database)
    for name in names:
        draft.zones[name] = ZoneDraft(_spelled(name, source))
    work = _Import(draft)
    for group in _groups(found):
        work.take(group)
    if not any(set(view) - {"networks"} for view in draft.views.values()):
        draft.geo_database = ""
    return draft


def _spelled(name: str, source: str) -> str:
    try:
        return canonical_name(f"{name.removesuffix('.')}.")
    except NameFormatError as error:
        raise SourceError(f"{source}: domains: {error}") from error


def _groups(found: Iterable[GslbAnswer]) -> list[list[GslbAnswer]]:
    """The answers of each name and type, in the order of their ids."""
    groups: dict[tuple[str, str, str], list[GslbAnswer]] = {}
    for answer in found:
        groups.setdefault((answer.domain, answer.name.lower(), answer.type), []).append(answer)
    return list(groups.values())


class _Import:
    """What has been taken into the draft so far."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def take(self, group: list[GslbAnswer]) -> None:
        """All answers of one name and type."""
        zone = self._draft.zones[group[0].domain]
        members = [member for answer in group if (member := self._member(answer, zone))]
        if not members:
            return
        first = members[0].answer
        if first.type in TYPES and not _is_static(members):
            self._take_balanced(members, zone)
            return
        members = [member for member in members if _is_for_all(member, zone)]
        if first.type == "SOA":
            zone.soa = _soa(members[0]) if members else {}
        elif first.type == "NS" and first.name == "@":
            zone.ns += [member.content for member in members]
        else:
            zone.static += [
                StaticRow(_place(m.answer), first.name, first.type, m.content, first.ttl)
                for m in members
            ]

    def _member(self, answer: GslbAnswer, zone: ZoneDraft) -> GslbMember | None:
        try:
            if answer.disabled:
                raise NoEqualError("is disabled, so it is not served")
            rule = parse_rule(answer.view, answer.rule)
            if rule.needs_places and not self._draft.geo_database:
                raise NoEqualError(f"the places of view {answer.view!r} need --geo-database FILE")
            return GslbMember(answer, _absolute(answer), check_of(answer.monitor), rule)
        except NoEqualError as error:
            _leave_out(zone, answer, str(error))
            return None

    def _take_balanced(self, members: list[GslbMember], zone: ZoneDraft) -> None:
        try:
            record, rules, left_out = balanced_record(members, _place(members[0].answer))
        except NoEqualError as error:
            for member in members:
                _leave_out(zone, member.answer, str(error))
            return
        for answer, why in left_out:
            _leave_out(zone, answer, why)
        zone.records.append(record)
        self._add_views(rules)

    def _add_views(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            self._draft.views.setdefault(rule.name, rule.table)


def _is_static(members: list[GslbMember]) -> bool:
    """Whether every client is always given all of them."""
    first = members[0].answer
    return all(
        member.check.is_static and member.rule.is_for_all and member.answer.weight == first.weight
        for member in members
    ) and gives_all(first, len(members))


def _is_for_all(member: GslbMember, zone: ZoneDraft) -> bool:
    """Whether a static row can be made of it, which has neither a view nor a check."""
    answer = member.answer
    if not member.rule.is_for_all:
        _leave_out(zone, answer, "this type is not balanced and has no views")
        return False
    if not member.check.is_static:
        note = f"{_named(answer)}: is served without its check: this type is not balanced"
        zone.left_out.append(Note(_place(answer), note, answer.monitor))
    return True


def _soa(member: GslbMember) -> Table:
    mname, rname, _, *numbers = member.content.split()
    times = dict(zip(SOA_KEYS, map(int, numbers), strict=True))
    return {"mname": mname, "rname": rname, **times, "ttl": member.answer.ttl}


def _absolute(answer: GslbAnswer) -> str:
    """The content as in a zone file; names in it are absolute there, without the final dot."""
    text = answer.content
    if answer.type in ("TXT", "SPF") and not text.startswith('"'):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.from_text(answer.type),
            text,
            origin=dns.name.root,
            relativize=False,
        )
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise NoEqualError(f"{text!r} is no data for {answer.type}: {error}") from error
    return str(rdata.to_text())


def _leave_out(zone: ZoneDraft, answer: GslbAnswer, why: str) -> None:
    zone.left_out.append(Note(_place(answer), f"{_named(answer)}: {why}", answer.original))


def _place(answer: GslbAnswer) -> str:
    return f"records.id {answer.id}"


def _named(answer: GslbAnswer) -> str:
    return f"{answer.name} {answer.type} in {answer.domain}"
