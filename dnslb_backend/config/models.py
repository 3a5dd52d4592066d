"""The tables of the configuration file that belong to no single edge, as pydantic models.

They say what may be written; `config.records` and `config.zones` turn them into what the core runs
on. Times are in seconds. Types are strict: a string is not a list, and "false" is not a boolean.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from dnslb_backend.checkers.checks.parameters import Regexp
from dnslb_backend.config.values import (
    Canary,
    Count,
    Duration,
    Integer,
    Labels,
    LowerCase,
    Network,
    Percent,
    Secondary,
    Seconds,
    Switch,
    Ttl,
    Voters,
    Wait,
)
from dnslb_backend.core.model.zones import MAX_TTL


class ConfigTable(BaseModel):
    """A table that refuses what it does not know."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class GlobalSettings(ConfigTable):
    """[global]"""

    domain_name: str | None = None
    """The zone that [records] and the files of `load_records` live in; without it only the zones of
    [zones] are served. Example: `"lb.example"`"""
    delete_unknowns: Annotated[bool, Switch] = True
    """What becomes of this node's rows in the mirror when their record is no longer configured:
    deleted, or kept and named in the log."""
    loglevel: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = "info"
    """Events below this level are not logged. `serve -l` overrides it."""
    max_record_checks: Annotated[Count, Integer] = 100
    """How many records may have probes under way at the same time; as many are resolved at once.
    The others wait in order, those last whose probes are always under way."""
    load_records: list[str] = []
    """Further files of records, as globs relative to this file: tables as in [records], without the
    `records.` in front. `-m` passes files over. Example: `["records.d/*.toml"]`"""
    node: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The name of this node: in mirrored rows, in logs, and as mname of a zone that has none. No
    two running nodes may share it. Default: environment DNSLB_NODE, else the host name.
    Example: `"ns1"`"""


class BrakeSettings(ConfigTable):
    """[brake]: hold DOWNs while our own network may be at fault."""

    canaries: list[Canary] = []
    """Addresses that answer as long as our own network works: any TCP answer counts, a refusal too.
    While none answers, no target is taken for DOWN. Choose several, in different places; without
    any there is no brake. Example: `["192.0.2.1:53", "[2001:db8::1]:53"]`"""
    hold: Duration = 120.0
    """Seconds that DOWNs are held at most."""


class QuorumSettings(ConfigTable):
    """[quorum]: nodes decide together what is UP."""

    site: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The site of this node: the nodes of one site have one vote together. Default: the name of the
    node. Example: `"dc1"`"""
    down: Literal["majority", "all", "any"] | Count = "majority"
    """How many of the sites that vote must say DOWN: a number is at most all of them."""
    probers: Literal["all"] | Annotated[int, Field(ge=2)] = "all"
    """How many nodes probe each target, chosen by its address, of different sites first."""
    fresh: Annotated[float, Field(ge=3, allow_inf_nan=False)] = 10.0
    """Seconds without a sign of life after which the votes of a node count no more."""
    votes: bool = True
    """`false`: this node probes nothing, writes nothing into the database, and follows the votes of
    others."""
    hold: Wait = 30.0
    """Seconds that the last agreed health is kept once too few vote, unless something vouches for
    this node's own network."""


class ViewSettings(ConfigTable):
    """[views.NAME]: the clients that a view is for."""

    networks: list[Network] = Field(default_factory=list)
    """The clients, by their networks. Of several views with such networks the longest prefix is
    tried first. Example: `["10.0.0.0/8", "2001:db8::/32"]`"""
    countries: list[str] = Field(default_factory=list)
    """The clients, by ISO 3166 codes of countries; needs [geo]. Example: `["NZ", "AU"]`"""
    continents: list[str] = Field(default_factory=list)
    """The clients, by continent: AF, AN, AS, EU, NA, OC, SA; needs [geo]. Example: `["OC"]`"""
    asns: list[int] = Field(default_factory=list)
    """The clients, by numbers of autonomous systems; needs [geo] with a database of them.
    Example: `[64500]`"""


class GeoSettings(ConfigTable):
    """[geo]: where the location database lies."""

    database: str
    """The MMDB file, relative to this one; needs the extra `geo`. A new file is read within 5 s.
    Example: `"/var/lib/GeoIP/GeoLite2-City.mmdb"`"""


class SoaSettings(ConfigTable):
    """The SOA of a zone; what is left out is synthesised."""

    mname: str | None = None
    """The primary name server. Default: the node's name, in the zone if it has no dot; with a
    warning. Example: `"ns1.lb.example."`"""
    rname: str | None = None
    """The mailbox of who is responsible, its @ written as a dot. Default: hostmaster in the zone;
    with a warning. Example: `"hostmaster.lb.example."`"""
    refresh: Annotated[int, Field(ge=0, le=MAX_TTL)] = 7200
    """Seconds after which a secondary asks for the serial again."""
    retry: Annotated[int, Field(ge=0, le=MAX_TTL)] = 3600
    """Seconds after which it tries again, if it got no answer."""
    expire: Annotated[int, Field(ge=0, le=MAX_TTL)] = 1209600
    """Seconds after which it stops answering, if it never got one."""
    minimum: Ttl = 5
    """Seconds that resolvers keep an answer without data (RFC 2308): how long a name that was empty
    for a moment stays empty for others."""
    ttl: Ttl = 60
    """TTL of the SOA itself, and of static rows and NS that name none."""


class StaticSettings(ConfigTable):
    """One row that does not depend on health; names are relative unless they end in a dot."""

    name: str
    """The name; relative to the zone unless it ends in a dot, `@` is the zone itself, `*` a
    wildcard. Example: `"ns1"`"""
    type: str
    """Any type that is stored in zones; SOA and NS of the apex have keys of their own.
    Example: `"A"`"""
    content: str
    """The data as in a zone file, in one line. Names in it are relative as well.
    Example: `"192.0.2.53"`"""
    ttl: Ttl | None = None
    """TTL of this row. Default: `ttl` of the SOA. Example: `300`"""


class ZoneSettings(ConfigTable):
    """[zones."NAME"]"""

    soa: SoaSettings = SoaSettings()
    """The keys of the SOA, below.
    Example: `{ mname = "ns1.lb.example.", rname = "hostmaster.lb.example." }`"""
    ns: list[str] = Field(default_factory=list)
    """The name servers of the zone: what the parent zone delegates to. Default: mname; with a
    warning. Example: `["ns1.lb.example.", "ns2.lb.example."]`"""
    also_notify: list[Secondary] = Field(default_factory=list)
    """Secondaries that PowerDNS notifies of every change (NOTIFY), with a port if it is not 53.
    Example: `["192.0.2.54", "[2001:db8::54]:5300"]`"""
    allow_axfr: list[Network] | None = None
    """Networks that may transfer the zone, beside those of PowerDNS's `allow-axfr-ips`.
    Default: the addresses of also_notify.
    Example: `["192.0.2.54/32"]`"""
    static: list[StaticSettings] = Field(default_factory=list)
    """Rows that do not depend on health, below.
    Example: `[{ name = "ns1", type = "A", content = "192.0.2.53" }]`"""
    records: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Balanced records of this zone: `[zones."NAME".records."www".A]`, as in [records].
    Example: `{ www = { A = { dest = ["192.0.2.1"] } } }`"""


class DestSettings(ConfigTable):
    """A destination written as a table."""

    host: str
    """What is served: an address, or a name whose addresses are. For other types than addresses it
    names the member, and is probed unless `check_address` is given. Example: `"192.0.2.1"`"""
    prio: int = 1
    """Priority: the highest that has a healthy member serves, see `prio_min_cnt`. As text:
    `"192.0.2.1@2"`."""
    weight: Annotated[int, Field(ge=0, le=65535)] = 1
    """Its share where `policy` picks; 0 is picked only where all are 0."""
    views: list[str] = Field(default_factory=list)
    """The views it is for; without any it is for everybody else. Example: `["office"]`"""
    voters: Voters = Field(default_factory=list)
    """As `voters` of the record, for this destination. Example: `["dc1"]`"""
    labels: Labels = Field(default_factory=dict)
    """What commands can call it by, together with others: `drain dc=fra`. Up to 16; keys and values
    have 1 to 63 characters: a-z, 0-9, and `.`, `_`, `-` within.
    Example: `{ dc = "fra", rack = "12" }`"""
    check_address: str | None = None
    """The address that is probed instead. Default: the address that is served.
    Example: `"10.0.9.1"`"""
    check_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port that is probed, instead of the check's own. Example: `8443`"""
    content: str | None = None
    """What is served for CNAME, MX and SRV, as in a zone file. Default: `host`, for CNAME.
    Example: `"10 mx1.example."`"""


def _form(written: object) -> str:
    return "table" if isinstance(written, dict | DestSettings) else "text"


Destination = Annotated[
    Annotated[str, Tag("text")] | Annotated[DestSettings, Tag("table")], Discriminator(_form)
]
"""Chosen by its form, so that an invalid table is not reported as an invalid text as well."""


class StickySettings(ConfigTable):
    """How much of the client's address chooses its member, in bits."""

    ipv4: Annotated[int, Field(ge=0, le=32)] = 24
    """Leading bits of an IPv4 client that choose its member."""
    ipv6: Annotated[int, Field(ge=0, le=128)] = 56
    """Leading bits of an IPv6 client that choose its member."""


class DampingSettings(ConfigTable):
    """When a member counts as flapping, and for how long it is then held down."""

    flips: Count = 6
    """So many changes of health within `window` are flapping."""
    window: Duration = 300.0
    """Seconds in which changes are counted."""
    hold: Duration = 60.0
    """Seconds that a flapping member is held down at first; each time again twice as long. One that
    passes its checks serves nevertheless where no other member would."""
    max_hold: Duration = 3600.0
    """Seconds that it is held down at most."""


class RecordSettings(ConfigTable):
    """A balanced record, or [default], from which records inherit what they leave out.

    What a record needs (dest, ttl, interval, timeout, dns_timeout, a check) is looked for
    after inheritance, so every key is optional here.
    """

    dest: Annotated[list[Destination], Field(min_length=1)] | None = None
    """The destinations: `"HOST"`, `"HOST@PRIORITY"`, or tables, below. A host name is resolved in
    every round, and each of its addresses is a member. Default: required.
    Example: `["192.0.2.1@2", "web2.example", { host = "192.0.2.3", weight = 5 }]`"""
    ttl: Annotated[Ttl, Integer] | Literal["auto"] | None = None
    """TTL of the answers in seconds, or `"auto"`: between `ttl_min` and `ttl_max`, until the answer
    could next change. Default: required. Example: `5`"""
    ttl_min: Ttl = 1
    """The least that `ttl = "auto"` gives."""
    ttl_max: Ttl = 300
    """The most that `ttl = "auto"` gives."""
    interval: Annotated[Duration, Seconds] | None = None
    """Seconds between two probes of a target and two lookups of a host name; keep it above
    `dns_timeout + timeout`. A target that has not answered by its next probe is skipped; others are
    probed all the same. Default: required. Example: `5`"""
    shift: Annotated[Wait, Seconds] | None = None
    """Seconds after which the first round of every interval begins, counted from its multiples.
    Default: spread evenly, by the name of the record, and with [quorum] by that of the node.
    Example: `0.5`"""
    timeout: Annotated[Wait, Seconds] | None = None
    """Seconds that a target has for its answer. Default: required. Example: `2`"""
    dns_timeout: Annotated[Wait, Seconds] | None = None
    """Seconds that the resolver has for the host names. Default: required. Example: `1`"""
    dns_ttl: Annotated[Wait, Seconds] = 300.0
    """Seconds after which a name that does not exist any more loses its addresses, and one that
    cannot be resolved is reported. The last addresses stay and go on being checked until then, and
    beyond if only the resolver fails."""
    check: list[str] | dict[str, Any] | None = None
    """What is asked of every address: a command and its arguments, or a table with a `type`; see
    [checks](checks.md). Default: required, unless there are `checks`.
    Example: `{ type = "http", url = "http://%(address)s/health" }`"""
    checks: Annotated[list[list[str] | dict[str, Any]], Field(min_length=1)] | None = None
    """Several checks, instead of `check`.
    Example: `[{ type = "tcp", port = 25 }, { type = "icmp" }]`"""
    require: Literal["all", "any"] | Count = "all"
    """How many of `checks` must pass."""
    expect: Regexp | None = None
    """For a command as a list: the output must contain this. Default: required there.
    Example: `"^OK"`"""
    prio_regex: Regexp | None = None
    """For a command as a list: the first group of this, in its output, is the priority.
    Example: `"load=([0-9]+)"`"""
    prio_min_cnt: Annotated[int, Integer] = 1
    """So many healthy members must be served, if there are so many: lower priorities are opened
    until they are."""
    min_healthy: Count | Percent | None = None
    """So many members, or such a share of them, must be healthy: while fewer are, but some, all of
    them serve, except for drained ones and those with a priority of 0 or less. Default: off.
    Example: `"50%"`"""
    fallback: str | list[str] = ""
    """Hosts that are served, unchecked, when no member may serve. A list, or one host as text.
    Example: `["sorry.example", "192.0.2.99"]`"""
    proto: str | None = None
    """Has no effect; accepted because the original has it. Example: `"tcp"`"""
    socktype: str | None = None
    """Has no effect; accepted because the original has it. Example: `"stream"`"""
    rise: Count = 1
    """Passes in a row that make a target UP."""
    fall: Count = 1
    """Fails in a row that make a target DOWN."""
    fast_interval: Duration | None = None
    """Seconds between probes while a change is being confirmed by `rise` or `fall`. Default:
    `down_interval` while the target is DOWN, else `interval`. Example: `1`"""
    down_interval: Duration | None = None
    """Seconds between probes of a target that is DOWN, and while its return is being confirmed by
    `rise` unless there is a `fast_interval`. One that does not answer is probed again when its
    `timeout` has passed, if that is later. Default: `interval`. Example: `30`"""
    failback: Literal["auto", "manual"] | Wait = "auto"
    """When a member that came back serves again, if others of its view do: at once (`"auto"`),
    after so many seconds, or when an operator clears it (`"manual"`). Once it has served, because
    no other member could, it waits no more."""
    slow_start: Wait = 0.0
    """Seconds in which a member that came back from DOWN is given its weight again, in ten steps
    that begin with 5 %, where `policy` is `"weighted"` or `"sticky"`; 0: at once. Example: `60`"""
    damping: DampingSettings | None = None
    """Holds down what changes too often, below. Default: off.
    Example: `{ flips = 6, window = 300 }`"""
    voters: Voters = Field(default_factory=list)
    """The sites, or nodes, that judge the targets of this record; others do not probe them, they
    follow. Needs [quorum]. Default: all. Example: `["dc1", "dc2"]`"""
    stale_after: Duration | None = None
    """Seconds without a result after which a member is shown as stale; it keeps its place. Default:
    3 x `interval` + `timeout` + `dns_timeout`. Example: `30`"""
    policy: Literal["all", "weighted", "sticky"] = "all"
    """Who of the members that may serve is in an answer; see [answers](policies.md)."""
    max_answers: Count | None = None
    """So many members at most are in an answer. Default: all of them; 1 where `policy` picks.
    Example: `2`"""
    max_addresses: Count = 64
    """So many addresses of one host name are used, those in use already first; more are logged and
    ignored, since the owner of that name decides how many are probed. Example: `256`"""
    sticky: StickySettings = StickySettings()
    """How much of the client's address `policy = "sticky"` looks at, below.
    Example: `{ ipv4 = 24, ipv6 = 56 }`"""
    all_down: Literal["fallback", "all", "last", "nodata", "servfail"] | None = None
    """What is served when no member may serve. Default: `"fallback"` where there is one, else
    `"all"` where there is `min_healthy`, else `"nodata"`. Example: `"last"`"""
    client_networks: list[Network] = Field(default_factory=list)
    """Where clients live: `check-config` warns of those that would always pick the same server (RFC
    6724, rule 9). Example: `["10.0.0.0/24"]`"""

    def inherit(self, default: "RecordSettings") -> "RecordSettings":
        """This record with what it leaves out taken from `default`."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        if "check" in own or "checks" in own:
            own = {"check": None, "checks": None} | own
        return default.model_copy(update=own)
