"""The tables of the configuration file that belong to no single edge, as pydantic models.

They say what may be written; `build` turns them into what the core runs on. Times are in
seconds. Strictness is meant: a string is no list, and "false" is no boolean.
"""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from dnslb_backend.checkers.brake import parse_canary
from dnslb_backend.core.zones import MAX_TTL


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network in CIDR form: {error}") from error
    return text


def _canary(text: str) -> str:
    try:
        parse_canary(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no ADDRESS:PORT, such as 192.0.2.1:53: {error}") from error
    return text


def _regexp(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


Duration = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ttl = Annotated[int, Field(ge=0, le=MAX_TTL)]
Network = Annotated[str, AfterValidator(_network)]
Regexp = Annotated[str, AfterValidator(_regexp)]
Count = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """A table that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GlobalSettings(Table):
    """[global]"""

    domain_name: str | None = None
    delete_unknowns: bool = True
    loglevel: Literal["debug", "info", "warning", "error"] = "info"
    max_record_checks: Count = 100
    load_records: list[str] = []
    node: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class BrakeSettings(Table):
    """[brake]: hold DOWNs while our own network may be at fault."""

    canaries: list[Annotated[str, AfterValidator(_canary)]] = []
    hold: Duration = 120.0


class ViewSettings(Table):
    """[views.NAME]: the clients that a view is for."""

    networks: list[Network] = []
    countries: list[str] = []
    continents: list[str] = []
    asns: list[int] = []


class GeoSettings(Table):
    """[geo]: where the location database lies."""

    database: str


class SoaSettings(Table):
    """The SOA of a zone; what is left out is synthesised."""

    mname: str | None = None
    rname: str | None = None
    refresh: Annotated[int, Field(ge=0, le=MAX_TTL)] = 7200
    retry: Annotated[int, Field(ge=0, le=MAX_TTL)] = 3600
    expire: Annotated[int, Field(ge=0, le=MAX_TTL)] = 1209600
    minimum: Ttl = 5
    ttl: Ttl = 60


class StaticSettings(Table):
    """One row that does not depend on health; names are relative unless they end in a dot."""

    name: str
    type: str
    content: str
    ttl: Ttl | None = None


class ZoneSettings(Table):
    """[zones."NAME"]"""

    soa: SoaSettings = SoaSettings()
    ns: list[str] = []
    static: list[StaticSettings] = []
    records: dict[str, dict[str, Any]] = {}


class DestSettings(Table):
    """A destination written as a table."""

    host: str
    prio: int = 1
    weight: Annotated[int, Field(ge=0, le=65535)] = 1
    views: list[str] = []
    check_address: str | None = None
    check_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    content: str | None = None


def _form(written: object) -> str:
    return "table" if isinstance(written, dict | DestSettings) else "text"


Destination = Annotated[
    Annotated[str, Tag("text")] | Annotated[DestSettings, Tag("table")], Discriminator(_form)
]
"""Told apart by its form, so that of a wrong table nobody hears that it is no text."""


class StickySettings(Table):
    """How much of the client's address chooses its member, in bits."""

    ipv4: Annotated[int, Field(ge=0, le=32)] = 24
    ipv6: Annotated[int, Field(ge=0, le=128)] = 56


class DampingSettings(Table):
    """When a member counts as flapping, and for how long it is then held down."""

    flips: Count = 6
    window: Duration = 300.0
    hold: Duration = 60.0
    max_hold: Duration = 3600.0


class RecordSettings(Table):
    """A balanced record, or [default], from which records inherit what they leave out.

    What a record needs (dest, ttl, interval, timeout, dns_timeout, a check) is looked for
    after inheritance, so every key is optional here.
    """

    dest: Annotated[list[Destination], Field(min_length=1)] | None = None
    ttl: Ttl | Literal["auto"] | None = None
    ttl_min: Ttl = 1
    ttl_max: Ttl = 300
    interval: Duration | None = None
    shift: Wait | None = None
    timeout: Wait | None = None
    dns_timeout: Wait | None = None
    dns_ttl: Wait = 300.0
    check: list[str] | dict[str, Any] | None = None
    checks: Annotated[list[list[str] | dict[str, Any]], Field(min_length=1)] | None = None
    require: Literal["all", "any"] | Count = "all"
    expect: Regexp | None = None
    prio_regex: Regexp | None = None
    prio_min_cnt: int = 1
    fallback: str | list[str] = ""
    proto: str | None = None
    socktype: str | None = None
    rise: Count = 1
    fall: Count = 1
    fast_interval: Duration | None = None
    down_interval: Duration | None = None
    failback: Literal["auto", "manual"] | Wait = "auto"
    damping: DampingSettings | None = None
    stale_after: Duration | None = None
    policy: Literal["all", "weighted", "sticky"] = "all"
    max_answers: Count | None = None
    sticky: StickySettings = StickySettings()
    all_down: Literal["fallback", "all", "last", "nodata", "servfail"] | None = None
    client_networks: list[Network] = []

    def inherit(self, default: "RecordSettings") -> "RecordSettings":
        """This record with what it leaves out taken from `default`."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        if "check" in own or "checks" in own:
            own = {"check": None, "checks": None} | own
        return default.model_copy(update=own)
