"""From a record's table to the balanced record that the core runs, and its checks."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import SecretStr

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.config.advice import advise, advise_priorities
from dnslb_backend.config.checks import build_checks, check_ports
from dnslb_backend.config.dests import build_dests, build_fallback, refuse_own_name
from dnslb_backend.config.earlier import EarlierRecords, digest_of
from dnslb_backend.config.missing_files import warn_of_missing_files
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.suggestions import unknown
from dnslb_backend.config.validation import dotted
from dnslb_backend.core.model.names import canonical_name, is_within, spelled_name
from dnslb_backend.core.model.quorum import CheckQuestion, judged_by
from dnslb_backend.core.model.records import (
    AllDown,
    Dest,
    MinHealthy,
    Policy,
    Record,
    RecordKey,
    Timing,
)
from dnslb_backend.core.model.rules import Damping, Thresholds
from dnslb_backend.core.model.views import View
from dnslb_backend.errors import NameFormatError

TYPES = ("A", "AAAA", "CNAME", "MX", "SRV")
"""Record types that can be balanced."""

REQUIRED = ("dest", "ttl", "interval", "timeout", "dns_timeout")


@dataclass(slots=True)
class RecordTables:
    """Records as they are read: their tables, and where each was first seen.

    `main` is the file with [default]. Where that was refused, `default` is None: what records
    inherit is not known, so that what they lack is not reported. `inherited` is the digest of what
    records depend on besides their own tables.
    """

    main: Cursor
    default: RecordSettings | None
    views: Mapping[str, View] = field(default_factory=dict)
    inherited: bytes = b""
    earlier: EarlierRecords = field(default_factory=EarlierRecords)
    digests: dict[RecordKey, bytes] = field(default_factory=dict)
    """Of the tables that no warning was given for."""
    fingerprint: bytes = b""
    """Changes with any table."""
    records: dict[RecordKey, Record] = field(default_factory=dict)
    has_quorum: bool = False
    checks: dict[str, Check] = field(default_factory=dict)
    questions: dict[str, CheckQuestion] = field(default_factory=dict)
    origins: dict[RecordKey, Cursor] = field(default_factory=dict)
    _is_default_advised: bool = False

    def read(self, zone: str, spelling: str, tables: dict[str, Any], where: Cursor) -> None:
        """Take every record of `tables` (NAME, then TYPE) into `zone`, a canonical name."""
        for name, types in tables.items():
            if not isinstance(types, dict):
                where.at(name).refuse("must be a table of record types")
                continue
            if message := _misplaced(name, types):
                where.at(name).refuse(message)
                continue
            for record_type, table in types.items():
                self._read_one(
                    (zone, spelling), name, record_type, table, where.at(name, record_type)
                )

    def _read_one(
        self, zone: tuple[str, str], name: str, record_type: str, table: Any, where: Cursor
    ) -> None:
        if record_type not in TYPES:
            where.refuse(unknown("record type", record_type, TYPES))
            return
        found = _key(*zone, name, record_type, where)
        if found is None:
            return
        key, shown = found
        if key in self.origins:
            where.refuse(f"is defined already, in {self.origins[key]}")
            return
        self.origins[key] = where
        digest = digest_of(shown, table, self.inherited)
        self.fingerprint = digest_of(self.fingerprint, key, digest)
        known = self.earlier.record(key, digest)
        if known is not None and self._keep(known, table, where):
            # The same objects: the earlier configuration frees few when it goes.
            self.digests[known.key] = self.earlier.digests[key]
            return
        warnings = len(where.problems.warnings)
        self._parse(key, shown, table, where)
        if len(where.problems.warnings) == warnings:
            self.digests[key] = digest

    def _keep(self, record: Record, table: Any, where: Cursor) -> bool:
        """Take over a record whose table is as it was; False where it has to be parsed anyway."""
        is_own = not {"check", "checks"}.isdisjoint(table)
        if not is_own and not self._is_default_advised:
            return False
        self.records[record.key] = record
        for index, fingerprint in enumerate(record.checks):
            judged = {judged_by(fingerprint, dest.voters) for dest in record.dests if dest.voters}
            for each in (fingerprint, *judged):
                self.checks[each] = self.earlier.checks[each]
                if self.has_quorum:
                    self.questions[each] = self.earlier.questions[each]
            if is_own:
                # Files come and go.
                path = ("check",) if "check" in table else ("checks", index)
                warn_of_missing_files(self.checks[fingerprint], where.at(*path))
        return True

    def _parse(self, key: RecordKey, shown: str, table: Any, where: Cursor) -> None:
        settings = where.parse(RecordSettings, table)
        if settings is not None:
            before = len(where.problems.problems)
            self._build(key, shown, settings, where)
            self._blame_default(before, settings, where)

    def _build(self, key: RecordKey, shown: str, own: RecordSettings, where: Cursor) -> None:
        if self.default is None:
            return
        settings = own.inherit(self.default)
        missing = [name for name in REQUIRED if getattr(settings, name) is None]
        if settings.check is None and settings.checks is None:
            missing.append("check")
        if missing:
            where.refuse(f"needs {', '.join(missing)}, here or in [default]")
            return
        before = len(where.problems.problems)
        checks = build_checks(settings, own, where, self._table_of_checks(own, where))
        dests = build_dests(settings.dest or [], key.type, key.zone, where.at("dest"))
        fallback = build_fallback(settings.fallback, key.type, key.zone, where.at("fallback"))
        refuse_own_name(key, dests, where.at("dest"))
        refuse_own_name(key, fallback, where.at("fallback"))
        self._check_answers(settings, dests, where)
        dests = self._judged(settings, dests, where)
        check_ports(checks, dests, where.at("check"))
        require = _require(settings, len(checks), where.at("require"))
        if len(where.problems.problems) > before:
            return
        timing = build_timing(settings)
        advise(settings, own, dests, timing, where)
        advise_priorities(dests, checks, where.at("dest"))
        self.records[key] = Record(
            key=key,
            spelling=shown,
            ttl=settings.ttl if isinstance(settings.ttl, int) else settings.ttl_min,
            ttl_range=((settings.ttl_min, settings.ttl_max) if settings.ttl == "auto" else None),
            dests=dests,
            checks=tuple(self._enter(check, settings, timing, dests) for check in checks),
            timing=timing,
            require=require,
            thresholds=build_thresholds(settings),
            failback=build_failback(settings.failback),
            slow_start=0.0 if settings.policy == "all" else settings.slow_start,
            prio_min_cnt=settings.prio_min_cnt,
            min_healthy=build_min_healthy(settings.min_healthy),
            fallback=fallback,
            all_down=_all_down(settings),
            policy=Policy(settings.policy),
            max_answers=settings.max_answers,
            sticky_bits=(settings.sticky.ipv4, settings.sticky.ipv6),
            client_networks=tuple(settings.client_networks),
            max_addresses=settings.max_addresses,
        )

    def _table_of_checks(self, own: RecordSettings, where: Cursor) -> Cursor | None:
        """Where a record's checks are written; None for those of [default], but the first time."""
        if {"check", "checks"} & own.model_fields_set:
            return where
        if self._is_default_advised:
            return None
        self._is_default_advised = True
        return self.main.at("default")

    def _blame_default(self, before: int, own: RecordSettings, where: Cursor) -> None:
        """Name [default], once, for what is wrong with a check that a record has from there."""
        problems = where.problems.problems
        if len(problems) == before:
            return
        found = problems[before:]
        del problems[before:]
        record = dotted(*where.path)
        inherited = tuple(
            f"{record}.{key}{end}"
            for key in {"check", "checks"} - own.model_fields_set
            for end in (".", "[")
        )
        for problem in found:
            if not f"{problem.path}.".startswith(inherited):
                problems.append(problem)
                continue
            path = f"default{problem.path.removeprefix(record)}"
            blamed = replace(problem, file=self.main.file, path=path)
            if blamed not in problems:
                problems.append(blamed)

    def _check_answers(
        self, settings: RecordSettings, dests: Sequence[Dest], where: Cursor
    ) -> None:
        """Refuse what leaves nothing to answer with."""
        if settings.policy != "all" and dests and not any(dest.weight for dest in dests):
            where.at("dest").refuse("every weight is 0: no member would be served")
        if settings.ttl == "auto" and settings.ttl_min > settings.ttl_max:
            where.at("ttl_min").refuse(f"is above ttl_max, {settings.ttl_max}")
        for index, dest in enumerate(dests):
            for view in dest.views:
                if view not in self.views:
                    known = ", ".join(sorted(self.views)) or "none is defined"
                    place = where.at("dest", index, "views")
                    place.refuse(f"no view {view!r}; known: {known}")

    def _judged(
        self, settings: RecordSettings, dests: tuple[Dest, ...], where: Cursor
    ) -> tuple[Dest, ...]:
        """The destinations, each with those who judge it."""
        voters = tuple(sorted(set(settings.voters)))
        if not voters and not any(dest.voters for dest in dests):
            return dests
        judged = tuple(replace(dest, voters=dest.voters or voters) for dest in dests)
        if self.has_quorum:
            if any(len(dest.voters) == 1 for dest in judged):
                where.at("voters").warn("is one site: it fails the record over alone")
            return judged
        where.at("voters").warn("has no effect without [quorum]")
        return tuple(replace(dest, voters=()) for dest in dests)

    def _enter(
        self, check: Check, settings: RecordSettings, timing: Timing, dests: Sequence[Dest]
    ) -> str:
        rules = build_thresholds(settings)
        fingerprint = fingerprint_of(check, rules, timing)
        self.checks.setdefault(fingerprint, check)
        if self.has_quorum:
            question = question_of(check, rules, timing)
            self.questions.setdefault(fingerprint, question)
            for voters in {dest.voters for dest in dests if dest.voters}:
                judged = judged_by(fingerprint, voters)
                self.checks.setdefault(judged, check)
                self.questions.setdefault(judged, replace(question, voters=voters))
        return fingerprint


def _misplaced(name: str, types: dict[str, Any]) -> str:
    """What is wrong with tables whose name was not quoted, or that have no type; else empty."""
    if keys := sorted(types.keys() & RecordSettings.model_fields.keys()):
        return f'has {keys[0]} where a record type is expected; write [records."{name}".A]'
    for label, table in types.items():
        labels = [name, label]
        while label not in TYPES and isinstance(table, dict) and len(table) == 1:
            ((label, table),) = table.items()
            if label in TYPES:
                shown = ".".join(labels)
                return f'a name with dots needs quotes: [records."{shown}".{label}]'
            labels.append(label)
    return ""


def _key(
    zone: str, spelling: str, name: str, record_type: str, where: Cursor
) -> tuple[RecordKey, str] | None:
    """The key and the spelling of a record, or None after reporting what is wrong with its name."""
    try:
        text = spelling + "." if name == "@" else name
        key = RecordKey(zone, canonical_name(text, zone), record_type)
        shown = spelled_name(text, spelling)
    except NameFormatError as error:
        where.refuse(str(error))
        return None
    if not is_within(key.name, zone):
        where.refuse(f"{key.name} is not in the zone {zone}")
        return None
    return key, shown


def _require(settings: RecordSettings, count: int, where: Cursor) -> int:
    if settings.require == "all":
        return count
    if settings.require == "any":
        return 1
    if settings.require > count:
        where.refuse(f"is {settings.require}, but there are only {count} checks")
    return settings.require


def build_timing(settings: RecordSettings) -> Timing:
    """The times of a record, the derived ones filled in.

    A dns_ttl that is a whole multiple of the interval is raised by 5 % of an interval, so that
    expiry never races the tick.
    """
    interval = settings.interval or 0.0
    timeout = settings.timeout or 0.0
    dns_timeout = settings.dns_timeout or 0.0
    dns_ttl = settings.dns_ttl
    ratio = dns_ttl / interval
    if dns_ttl and abs(ratio - round(ratio)) < 0.01:
        dns_ttl += 0.05 * interval
    return Timing(
        interval=interval,
        timeout=timeout,
        dns_timeout=dns_timeout,
        shift=settings.shift,
        dns_ttl=dns_ttl,
        fast_interval=settings.fast_interval,
        down_interval=settings.down_interval,
        stale_after=settings.stale_after or 3 * interval + timeout + dns_timeout,
    )


def build_thresholds(settings: RecordSettings) -> Thresholds:
    """What it takes to turn a target of this record."""
    damping = settings.damping
    return Thresholds(
        rise=settings.rise,
        fall=settings.fall,
        damping=Damping(**damping.model_dump()) if damping else None,
    )


def build_min_healthy(written: int | str | None) -> MinHealthy | None:
    if isinstance(written, str):
        return MinHealthy(int(written.removesuffix("%")), is_percent=True)
    return None if written is None else MinHealthy(written)


def build_failback(written: float | str) -> float:
    """Seconds that a member which came back stays out while others serve."""
    if isinstance(written, str):
        return math.inf if written == "manual" else 0.0
    return written


def fingerprint_of(check: Check, rules: Thresholds, timing: Timing) -> str:
    """A short text that is equal for checks that ask the same, as often, and judge the same.

    What only matters to resolving is left out, so that records may share the probes.
    """
    asked = json.dumps(check.model_dump(), sort_keys=True, default=_plain)
    written = asked + _judged(rules, timing)
    return hashlib.blake2b(written.encode(), digest_size=9).hexdigest()


def question_of(check: Check, rules: Thresholds, timing: Timing) -> CheckQuestion:
    """What nodes that vote ask in common: secrets, and when a round begins, do not matter."""
    asked = json.dumps(check.asked(), sort_keys=True, default=str)
    written = asked + _judged(rules, replace(timing, shift=None))
    text = hashlib.blake2b(written.encode(), digest_size=16).hexdigest()
    return CheckQuestion(text, check.question, patience=timing.interval + timing.timeout)


@lru_cache
def _judged(rules: Thresholds, timing: Timing) -> str:
    """The same for most records of a configuration, and expensive to render."""
    rhythm = {k: v for k, v in asdict(timing).items() if k not in ("dns_timeout", "dns_ttl")}
    return json.dumps([asdict(rules), rhythm], sort_keys=True)


def _plain(value: object) -> str:
    """Two checks that differ only in a password are two checks."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _all_down(settings: RecordSettings) -> AllDown:
    if settings.all_down is not None:
        return AllDown(settings.all_down)
    if settings.fallback:
        return AllDown.FALLBACK
    # Where few healthy members are not believed, none is not either.
    return AllDown.NODATA if settings.min_healthy is None else AllDown.ALL
