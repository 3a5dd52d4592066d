"""From files to the one value that the daemon runs on."""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from dnslb_backend.admin.http.access import Access, load_access
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.config.advice import advise_default
from dnslb_backend.config.coexistence import check_coexistence, warn_of_unknown_answers
from dnslb_backend.config.configuration import Config
from dnslb_backend.config.earlier import EarlierRecords, digest_of
from dnslb_backend.config.exposure import advise_listeners
from dnslb_backend.config.files import ConfigPaths, read_toml, record_files, unmatched
from dnslb_backend.config.missing_files import MYSQL_FILES, warn_of_missing_file
from dnslb_backend.config.models import (
    BrakeSettings,
    GeoSettings,
    GlobalSettings,
    QuorumSettings,
    RecordSettings,
    ZoneSettings,
)
from dnslb_backend.config.notify import read_notify
from dnslb_backend.config.problems import Cursor, Problems
from dnslb_backend.config.records import TYPES, RecordTables
from dnslb_backend.config.references import advise_references
from dnslb_backend.config.suggestions import unknown
from dnslb_backend.config.views import build_views
from dnslb_backend.config.zones import (
    advise_secondaries,
    advise_version,
    build_zone,
    keep_no_data_uncached,
    unquoted,
)
from dnslb_backend.core.model.labels import labels_by_key
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import QuorumRules, ballot
from dnslb_backend.core.model.records import Record, RecordKey
from dnslb_backend.core.model.views import View
from dnslb_backend.core.model.zones import Zone, assign_ids
from dnslb_backend.errors import ConfigError, ConfigProblem, NameFormatError
from dnslb_backend.notifications.settings import NotifySettings
from dnslb_backend.pdns.methods.geoip import GeoDatabase, GeoDatabaseError
from dnslb_backend.pdns.settings import PdnsSettings, ServerSettings
from dnslb_backend.slices import empty
from dnslb_backend.store.settings import MysqlSettings, StateSettings

SECTIONS = (
    "admin",
    "brake",
    "default",
    "geo",
    "global",
    "mysql",
    "notify",
    "pdns",
    "quorum",
    "records",
    "server",
    "state",
    "views",
    "zones",
)

Model = TypeVar("Model", bound=BaseModel)


def load(sources: ConfigPaths, earlier: Config | None = None) -> Config:
    """Read, validate and build everything. Raises ConfigError that names every problem found.

    Works offline: it needs no database, no name server and no PowerDNS. Records that are written
    as in an `earlier` configuration are taken from there, the same objects.
    """
    loader = _Loader(sources, earlier)
    try:
        return loader.load()[0]
    finally:
        loader.free()


def load_with_origins(sources: ConfigPaths) -> tuple[Config, Mapping[RecordKey, Cursor]]:
    """As `load`, and where the table of each record is."""
    return _Loader(sources).load()


class _Loader:
    """One reading of all files; what is wrong with them is collected in `problems`."""

    def __init__(self, sources: ConfigPaths, earlier: Config | None = None) -> None:
        self.sources = sources
        self.earlier = earlier.earlier_records() if earlier else EarlierRecords()
        self.raw = read_toml(sources.main)
        self.problems = Problems()
        self.main = self.problems.at(str(sources.main))
        self._read: list[dict[Any, Any]] = []

    def free(self) -> None:
        """Free what was read, which no configuration needs.

        Not while it is being read: the garbage collector looks at young objects once there are
        more than a few hundred beyond what was freed meanwhile. With as much freed as made it
        would wait until there are a hundred thousand, and then stop all threads for long.
        """
        for tables in self._read:
            empty(tables)

    def load(self) -> tuple[Config, dict[RecordKey, Cursor]]:
        self._refuse_unknown_sections()
        settings = self._section("global", GlobalSettings)
        node = settings.node or os.environ.get("DNSLB_NODE") or socket.gethostname()
        default = self._parse("default", RecordSettings)
        server = self._section("server", ServerSettings)
        admin = self._section("admin", AdminSettings)
        access = self._access(admin)
        pdns = self._section("pdns", PdnsSettings)
        state = self._section("state", StateSettings)
        brake = self._section("brake", BrakeSettings)
        mysql = self._section("mysql", MysqlSettings) if "mysql" in self.raw else None
        for warning in mysql.warnings if mysql else ():
            self.main.at("mysql").warn(warning)
        quorum = self._quorum(node)
        views = build_views(
            self.raw.get("views", {}), self.main.at("views"), has_geo="geo" in self.raw
        )
        geo_database = self._geo_database()
        written = self._zone_settings(settings)
        tables = self._records(settings, default, views, written)
        if not written and not self.problems.problems:
            self.main.at("global", "domain_name").refuse(
                'is missing: there is no zone to serve; it, or a [zones."NAME"], is required'
            )
        zones = self._zones(written, node)
        zones = keep_no_data_uncached(zones, tables.records.values(), self.main)
        check_coexistence(zones, tables.origins, self.main)
        warn_of_unknown_answers(zones, tables.records, tables.origins)
        notify = read_notify(
            self._section("notify", NotifySettings), tables.records, self.main.at("notify")
        )
        self.problems.raise_if_refused()
        advise_secondaries(zones, tables.records.values(), self.main, has_channel=pdns.has_channel)
        if pdns.assumed_version is None and not pdns.has_channel:
            advise_version(zones.values(), self.main)
        advise_references(zones, written, tables.records, tables.origins, self.main)
        if default is not None:
            advise_default(default, tables.records.values(), self.main.at("default"))
        advise_listeners(admin, server, self.main)
        self._warn_of_unknown_labels(admin, tables.records.values())
        self._warn_of_missing_files(settings, pdns, mysql)
        config = Config(
            plan=Plan(
                zones,
                tables.records,
                views,
                tables.questions,
                ballot(tables.records.values(), tables.questions) if quorum else "",
            ),
            checks=tables.checks,
            node=node,
            settings=settings,
            server=server,
            admin=admin,
            access=access,
            pdns=pdns,
            state=state,
            brake=brake,
            geo_database=geo_database,
            mysql=mysql,
            quorum=quorum,
            notify=notify,
            warnings=tuple(self.problems.warnings),
            fingerprint=_fingerprint(self.raw, tables),
            digests=tables.digests,
        )
        return config, tables.origins

    def _quorum(self, node: str) -> QuorumRules | None:
        if "quorum" not in self.raw:
            return None
        where = self.main.at("quorum")
        settings = self._section("quorum", QuorumSettings)
        if "mysql" not in self.raw:
            where.refuse("needs [mysql], the database through which nodes vote")
        if settings.down == "any":
            where.at("down").warn('is "any": one node that is cut off fails everything over')
        if settings.probers == 2:
            where.at("probers").warn("is 2: a tie is UP, so that both must say DOWN")
        return QuorumRules(
            site=settings.site or node,
            down=settings.down,
            fresh=settings.fresh,
            hold=settings.hold,
            votes=settings.votes,
            probers=None if settings.probers == "all" else settings.probers,
        )

    def _warn_of_unknown_labels(self, admin: AdminSettings, records: Iterable[Record]) -> None:
        labels = {label for record in records for dest in record.dests for label in dest.labels}
        known = labels_by_key(labels)
        for key in admin.metric_labels:
            if key not in known:
                self.main.at("admin", "metric_labels").warn(f"no destination has a label {key!r}")

    def _warn_of_missing_files(
        self, settings: GlobalSettings, pdns: PdnsSettings, mysql: MysqlSettings | None
    ) -> None:
        for pattern in unmatched(self.sources, settings.load_records):
            self.main.at("global", "load_records").warn(f"there is no file {pattern}")
        warn_of_missing_file(pdns.api_key_file, self.main.at("pdns", "api_key_file"))
        for key in MYSQL_FILES:
            warn_of_missing_file(getattr(mysql, key, None), self.main.at("mysql", key))

    def _refuse_unknown_sections(self) -> None:
        for name in sorted(self.raw.keys() - set(SECTIONS)):
            self.main.at(name).refuse(unknown("section", name, SECTIONS))

    def _section(self, name: str, model: type[Model]) -> Model:
        """The section as written; as if it were empty once its problems are reported."""
        found = self._parse(name, model)
        return model() if found is None else found

    def _parse(self, name: str, model: type[Model]) -> Model | None:
        """The section as written; None once its problems are reported."""
        return self.main.at(name).parse(model, self.raw.get(name, {}))

    def _access(self, admin: AdminSettings) -> Access:
        try:
            access = load_access(admin)
        except ConfigError as error:
            self._report_token_file(error.problems, str(admin.token_file))
            return Access()
        for warning in access.warnings:
            self.problems.at("").warn(warning)
        return access

    def _report_token_file(self, found: list[ConfigProblem], file: str) -> None:
        """A file that cannot be read is reported where it is named, a bad line where it is."""
        for problem in found:
            if problem.file == file:
                self.main.at("admin", "token_file").refuse(f"{file} {problem.message}")
            else:
                self.problems.problems.append(problem)

    def _geo_database(self) -> GeoDatabase | None:
        if "geo" not in self.raw:
            return None
        settings = self.main.at("geo").parse(GeoSettings, self.raw["geo"])
        if settings is None:
            return None
        try:
            return GeoDatabase(self.sources.directory / settings.database)
        except GeoDatabaseError as error:
            self.main.at("geo", "database").refuse(str(error))
            return None

    def _zone_settings(self, settings: GlobalSettings) -> dict[str, tuple[str, ZoneSettings]]:
        """The zones by canonical name, each with its spelling; domain_name's first."""
        found: dict[str, tuple[str, ZoneSettings]] = {}
        if settings.domain_name is not None:
            spelling = settings.domain_name.lstrip(".").removesuffix(".")
            self._enter_zone(found, spelling, ZoneSettings(), self.main.at("global", "domain_name"))
        own = set(found)
        tables = self.raw.get("zones", {})
        if not isinstance(tables, dict):
            self.main.at("zones").refuse("must be a table of zones")
            tables = {}
        self._read += [tables, found]
        for name, table in tables.items():
            where = self.main.at("zones", name)
            if message := unquoted(name, table):
                where.refuse(message)
                continue
            parsed = where.parse(ZoneSettings, table)
            if isinstance(table, dict):
                table.pop("records", None)
            spelling = name.removesuffix(".")
            if parsed is None:
                continue
            if (canonical := self._zone_name(spelling, where)) in own:
                own.discard(canonical)
                found.pop(canonical)
            self._enter_zone(found, spelling, parsed, where)
        return found

    def _enter_zone(
        self,
        found: dict[str, tuple[str, ZoneSettings]],
        spelling: str,
        zone: ZoneSettings,
        where: Cursor,
    ) -> None:
        name = self._zone_name(spelling, where)
        if name in found:
            where.refuse(f"the zone {name} is defined already")
        elif name:
            found[name] = (spelling, zone)

    @staticmethod
    def _zone_name(spelling: str, where: Cursor) -> str:
        try:
            name = canonical_name(f"{spelling}.")
        except NameFormatError as error:
            where.refuse(str(error))
            return ""
        if not name:
            where.refuse("must name a zone below the root")
        return name

    def _records(
        self,
        settings: GlobalSettings,
        default: RecordSettings | None,
        views: Mapping[str, View],
        zones: Mapping[str, tuple[str, ZoneSettings]],
    ) -> RecordTables:
        has_quorum = "quorum" in self.raw
        inherited = digest_of(self.raw.get("default"), sorted(views), has_quorum)
        tables = RecordTables(
            self.main, default, views, inherited, self.earlier, has_quorum=has_quorum
        )
        self._read.append(tables.origins)
        for name, (spelling, zone) in zones.items():
            self._read.append(zone.records)
            tables.read(name, spelling, zone.records, self.main.at("zones", spelling, "records"))
        for where, found in self._record_tables(settings):
            if not found:
                continue
            self._read.append(found)
            if settings.domain_name is None:
                place = where if where.path else where.at("records")
                place.refuse("needs global.domain_name, the zone that these records are in")
                break
            spelling = settings.domain_name.lstrip(".").removesuffix(".")
            zone_name = self._zone_name(spelling, self.main.at("global", "domain_name"))
            tables.read(zone_name, spelling, found, where)
        return tables

    def _record_tables(self, settings: GlobalSettings) -> Iterator[tuple[Cursor, dict[str, Any]]]:
        """The tables of records in domain_name's zone, and where they are."""
        own = self.raw.pop("records", {})
        if isinstance(own, dict):
            yield self.main.at("records"), own
        else:
            self.main.at("records").refuse("must be a table of records")
        for path in record_files(self.sources, settings.load_records):
            try:
                tables = read_toml(path)
            except ConfigError as error:
                self.problems.problems += error.problems
                continue
            if self._is_main_form(tables):
                self.problems.at(str(path), "records").refuse(
                    'is not allowed in a drop-in: write ["NAME".TYPE], without "records."'
                )
                continue
            yield self.problems.at(str(path)), tables

    @staticmethod
    def _is_main_form(tables: Mapping[str, Any]) -> bool:
        """Whether a drop-in is written as the main file is, with its tables below [records]."""
        names = tables.get("records")
        return isinstance(names, dict) and any(
            isinstance(types, dict) and not types.keys().isdisjoint(TYPES)
            for types in names.values()
        )

    def _zones(self, written: Mapping[str, tuple[str, ZoneSettings]], node: str) -> dict[str, Zone]:
        ids = assign_ids(list(written))
        zones: dict[str, Zone] = {}
        for name, (spelling, settings) in written.items():
            where = self.main.at("zones", spelling)
            zone = build_zone(spelling, ids[name], settings, node, where)
            if zone is not None:
                zones[name] = zone
        return zones


def _fingerprint(raw: Mapping[str, Any], tables: RecordTables) -> str:
    """A short text that changes when anything that is configured does; `raw` has no records."""
    return digest_of(sorted(raw.items()), tables.fingerprint).hex()[:16]
