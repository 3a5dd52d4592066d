"""From a record's table to the balanced record that the core runs, and its checks."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import SecretStr, ValidationError

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.checkers.checks.registry import check_class, parse_check
from dnslb_backend.config.dests import build_dests, build_fallback
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Path, Problems
from dnslb_backend.config.validation import dotted, problems_of
from dnslb_backend.core.model.address_selection import common_prefix, overlaps
from dnslb_backend.core.model.names import canonical_name, is_within, spelled_name
from dnslb_backend.core.model.records import AllDown, Dest, Policy, Record, RecordKey, Timing
from dnslb_backend.core.model.rules import Damping, Thresholds
from dnslb_backend.core.model.views import View
from dnslb_backend.errors import NameFormatError

TYPES = ("A", "AAAA", "CNAME", "MX", "SRV")
"""Record types that can be balanced."""

REQUIRED = ("dest", "ttl", "interval", "timeout", "dns_timeout")


@dataclass(slots=True)
class RecordTables:
    """Records as they are read: their tables, and where each was first seen.

    Where [default] was refused, `default` is None: what records inherit is not known, so that
    nothing is said of what they lack.
    """

    problems: Problems
    file: str
    default: RecordSettings | None
    views: Mapping[str, View] = field(default_factory=dict)
    records: dict[RecordKey, Record] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    origins: dict[RecordKey, str] = field(default_factory=dict)

    def read(self, zone: str, spelling: str, tables: dict[str, Any], file: str, path: Path) -> None:
        """Take every record of `tables` (NAME, then TYPE) into `zone`, a canonical name."""
        for name, types in tables.items():
            if not isinstance(types, dict):
                self.problems.refuse(file, (*path, name), "must be a table of record types")
                continue
            for record_type, table in types.items():
                self._read_one(zone, spelling, name, record_type, table, file, path)

    def _read_one(
        self,
        zone: str,
        spelling: str,
        name: str,
        record_type: str,
        table: Any,
        file: str,
        top: Path,
    ) -> None:
        path = (*top, name, record_type)
        if record_type not in TYPES:
            allowed = " or ".join(TYPES)
            self.problems.refuse(file, path, f"unknown record type; allowed: {allowed}")
            return
        try:
            text = spelling + "." if name == "@" else name
            key = RecordKey(zone, canonical_name(text, zone), record_type)
            shown = spelled_name(text, spelling)
        except NameFormatError as error:
            self.problems.refuse(file, path, str(error))
            return
        if not is_within(key.name, zone):
            self.problems.refuse(file, path, f"{key.name} is not in the zone {zone}")
            return
        where = f"{file}, {'.'.join(map(str, path))}"
        if key in self.origins:
            self.problems.refuse(file, path, f"is defined already, in {self.origins[key]}")
            return
        self.origins[key] = where
        settings = self.problems.parse(RecordSettings, table, file, path)
        if settings is not None:
            before = len(self.problems.problems)
            self._build(key, shown, settings, file, path)
            self._blame_default(before, settings, path)

    def _build(
        self, key: RecordKey, shown: str, own: RecordSettings, file: str, path: Path
    ) -> None:
        if self.default is None:
            return
        settings = own.inherit(self.default)
        missing = [name for name in REQUIRED if getattr(settings, name) is None]
        if settings.check is None and settings.checks is None:
            missing.append("check")
        if missing:
            listed = ", ".join(missing)
            self.problems.refuse(file, path, f"needs {listed}, here or in [default]")
            return
        before = len(self.problems.problems)
        checks = self._checks(settings, own, file, path)
        dests = build_dests(
            settings.dest or [], key.type, key.zone, self.problems, file, (*path, "dest")
        )
        fallback = build_fallback(
            settings.fallback, key.type, key.zone, self.problems, file, (*path, "fallback")
        )
        self._check_answers(settings, dests, file, path)
        self._check_ports(checks, dests, file, path)
        require = self._require(settings, len(checks), file, path)
        if len(self.problems.problems) > before:
            return
        timing = build_timing(settings)
        self._advise(settings, dests, timing, file, path)
        self.records[key] = Record(
            key=key,
            spelling=shown,
            ttl=settings.ttl if isinstance(settings.ttl, int) else settings.ttl_min,
            ttl_range=((settings.ttl_min, settings.ttl_max) if settings.ttl == "auto" else None),
            dests=dests,
            checks=tuple(self._enter(check, settings, timing) for check in checks),
            timing=timing,
            require=require,
            thresholds=build_thresholds(settings),
            failback=build_failback(settings.failback),
            prio_min_cnt=settings.prio_min_cnt,
            fallback=fallback,
            all_down=_all_down(settings),
            policy=Policy(settings.policy),
            max_answers=settings.max_answers,
            sticky_bits=(settings.sticky.ipv4, settings.sticky.ipv6),
            client_networks=tuple(settings.client_networks),
            max_addresses=settings.max_addresses,
        )

    def _blame_default(self, before: int, own: RecordSettings, path: Path) -> None:
        """Name [default], once, for what is wrong with a check that a record has from there."""
        found = self.problems.problems[before:]
        del self.problems.problems[before:]
        record = dotted(*path)
        inherited = tuple(
            f"{record}.{key}{end}"
            for key in {"check", "checks"} - own.model_fields_set
            for end in (".", "[")
        )
        for problem in found:
            if not f"{problem.path}.".startswith(inherited):
                self.problems.problems.append(problem)
                continue
            place = f"default{problem.path.removeprefix(record)}"
            blamed = replace(problem, file=self.file, path=place)
            if blamed not in self.problems.problems:
                self.problems.problems.append(blamed)

    def _checks(
        self, settings: RecordSettings, own: RecordSettings, file: str, path: Path
    ) -> list[Check]:
        if settings.check is not None and settings.checks is not None:
            self.problems.refuse(file, path, "has both check and checks; write one of them")
            return []
        written: list[tuple[Path, Any]] = [((*path, "check"), settings.check)]
        if settings.checks is not None:
            written = [((*path, "checks", i), value) for i, value in enumerate(settings.checks)]
        checks = [self._check(value, settings, file, where) for where, value in written]
        found = [check for check in checks if check is not None]
        if found and not any(isinstance(check, ExecCheck) for check in found):
            for name in {"expect", "prio_regex"} & own.model_fields_set:
                message = "belongs to a command check; write it inside the check's own table"
                self.problems.refuse(file, (*path, name), message)
        return found

    def _check(self, value: Any, settings: RecordSettings, file: str, path: Path) -> Check | None:
        if isinstance(value, list):
            return self._argv_check(value, settings, file, path)
        try:
            return parse_check(value)
        except ValidationError as error:
            self.problems.problems += problems_of(error, file, path, check_class(value["type"]))
        except ValueError as error:
            self.problems.refuse(file, path, str(error))
        return None

    def _argv_check(
        self, argv: list[str], settings: RecordSettings, file: str, path: Path
    ) -> Check | None:
        if settings.expect is None:
            self.problems.refuse(file, path[:-1], "needs expect, here or in [default]")
            return None
        try:
            return ExecCheck(
                argv=tuple(argv), expect=settings.expect, prio_regex=settings.prio_regex or ""
            )
        except ValidationError as error:
            # The key of the table is not what was written, but a list in its place.
            table, listed = dotted(*path, "argv"), dotted(*path)
            for problem in problems_of(error, file, path, ExecCheck):
                place = problem.path.replace(table, listed, 1)
                self.problems.problems.append(replace(problem, path=place))
        return None

    def _check_ports(
        self, checks: Sequence[Check], dests: Sequence[Dest], file: str, path: Path
    ) -> None:
        """Refuse a check that would not know which port to ask."""
        if any(check.port_needed for check in checks):
            for dest in dests:
                if dest.check_port is None:
                    message = f"needs a port, here or as check_port of {dest.host}"
                    self.problems.refuse(file, (*path, "check"), message)
                    return

    def _check_answers(
        self, settings: RecordSettings, dests: Sequence[Dest], file: str, path: Path
    ) -> None:
        """Refuse what leaves nothing to answer with."""
        if settings.policy != "all" and dests and not any(dest.weight for dest in dests):
            self.problems.refuse(file, (*path, "dest"), "every weight is 0: nobody would serve")
        if settings.ttl == "auto" and settings.ttl_min > settings.ttl_max:
            message = f"is above ttl_max, {settings.ttl_max}"
            self.problems.refuse(file, (*path, "ttl_min"), message)
        for index, dest in enumerate(dests):
            for view in dest.views:
                if view not in self.views:
                    known = ", ".join(sorted(self.views)) or "none is defined"
                    where = (*path, "dest", index, "views")
                    self.problems.refuse(file, where, f"no view {view!r}; known: {known}")

    def _require(self, settings: RecordSettings, count: int, file: str, path: Path) -> int:
        if settings.require == "all":
            return count
        if settings.require == "any":
            return 1
        if settings.require > count:
            message = f"is {settings.require}, but there are only {count} checks"
            self.problems.refuse(file, (*path, "require"), message)
        return settings.require

    def _enter(self, check: Check, settings: RecordSettings, timing: Timing) -> str:
        fingerprint = fingerprint_of(check, build_thresholds(settings), timing)
        self.checks.setdefault(fingerprint, check)
        return fingerprint

    def _advise(
        self, settings: RecordSettings, dests: Sequence[Dest], timing: Timing, file: str, path: Path
    ) -> None:
        if timing.dns_timeout + timing.timeout >= timing.interval:
            self.problems.warn(
                file,
                path,
                f"dns_timeout + timeout ({timing.dns_timeout:g} + {timing.timeout:g} s) should be "
                f"below interval ({timing.interval:g} s): a probe that is not done by the next one "
                "of its target takes its place",
            )
        if settings.stale_after and settings.stale_after < timing.interval:
            message = f"is below interval ({timing.interval:g} s): members are stale between rounds"
            self.problems.warn(file, (*path, "stale_after"), message)
        if settings.all_down == "fallback" and not settings.fallback:
            message = "is fallback, but there is none: answers are empty"
            self.problems.warn(file, (*path, "all_down"), message)
        if settings.prio_regex and not re.compile(settings.prio_regex).groups:
            message = "has no group, so it gives no priority and is not used"
            self.problems.warn(file, (*path, "prio_regex"), message)
        for name in ("proto", "socktype"):
            if getattr(settings, name) is not None:
                self.problems.warn(file, (*path, name), "has no effect on resolving")
        for network in settings.client_networks:
            self._advise_rule_9(dests, network, file, path)

    def _advise_rule_9(self, dests: Sequence[Dest], network: str, file: str, path: Path) -> None:
        block = common_prefix([dest.host for dest in dests if dest.is_literal])
        if block is not None and overlaps(block, network):
            self.problems.warn(
                file,
                (*path, "client_networks"),
                f"{network} lies with {block}, the smallest prefix that holds all servers: its "
                "clients may always pick the same server (RFC 6724, rule 9)",
            )


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


@lru_cache
def _judged(rules: Thresholds, timing: Timing) -> str:
    """The same for most records of a configuration, and dear to write down."""
    rhythm = {k: v for k, v in asdict(timing).items() if k not in ("dns_timeout", "dns_ttl")}
    return json.dumps([asdict(rules), rhythm], sort_keys=True)


def _plain(value: object) -> str:
    """Two checks that differ only in a password are two checks."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _all_down(settings: RecordSettings) -> AllDown:
    if settings.all_down is not None:
        return AllDown(settings.all_down)
    return AllDown.FALLBACK if settings.fallback else AllDown.NODATA
