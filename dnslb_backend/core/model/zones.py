"""Zones and their resource records."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

MAX_TTL = 2**31 - 1
"""RFC 2181, section 8: a TTL is an unsigned number of 31 bits."""

SERIAL_LIMIT = 2**32

PdnsVersion = tuple[int, int]
"""Major and minor version of a PowerDNS."""

ASSUMED_VERSION: PdnsVersion = (4, 7)
"""That of a PowerDNS that has not reported its own."""


class ResourceRecord(NamedTuple):
    """One resource record: absolute name as configured without the final dot, type, content.

    `auth` is false at and below a delegation. `scope` above 0 marks a row for some clients only,
    or for one query: the prefix length of the client's address that it holds for. PowerDNS does
    not cache such rows.
    """

    qname: str
    qtype: str
    content: str
    ttl: int
    auth: bool = True
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Soa:
    """Start of authority (RFC 1035, section 3.3.13) without its serial; times in seconds."""

    mname: str
    rname: str
    refresh: int = 7200
    retry: int = 3600
    expire: int = 1209600
    minimum: int = 5
    ttl: int = 60

    def content(self, serial: int) -> str:
        return (
            f"{self.mname}. {self.rname}. {serial} "
            f"{self.refresh} {self.retry} {self.expire} {self.minimum}"
        )


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone that we are authoritative for, with everything in it that does not depend on health.

    `name` is canonical, `spelling` is what the configuration wrote. `ns` holds canonical names.
    `also_notify` are secondaries that PowerDNS notifies of changes, `allow_axfr` networks that may
    transfer the zone, in addition to those in PowerDNS's own configuration. `static_since` are the
    static rows by the version of PowerDNS from which on they are written so, empty where every
    version reads the same.
    """

    name: str
    spelling: str
    soa: Soa
    ns: tuple[str, ...]
    static: tuple[ResourceRecord, ...] = ()
    id: int = field(default=0)
    also_notify: tuple[str, ...] = ()
    allow_axfr: tuple[str, ...] = ()
    static_since: Mapping[PdnsVersion, tuple[ResourceRecord, ...]] = field(default_factory=dict)

    def for_pdns(self, version: PdnsVersion) -> "Zone":
        """The zone as a PowerDNS of that version reads it."""
        since = max((known for known in self.static_since if known <= version), default=None)
        return self if since is None else replace(self, static=self.static_since[since])

    @property
    def metadata(self) -> Mapping[str, tuple[str, ...]]:
        """The zone's configured metadata by PowerDNS's kinds of domain metadata."""
        metadata = {"ALSO-NOTIFY": self.also_notify, "ALLOW-AXFR-FROM": self.allow_axfr}
        return {kind: values for kind, values in metadata.items() if values}


def assign_ids(names: list[str]) -> dict[str, int]:
    """An id for each zone, the same on every node and after every restart.

    PowerDNS keeps them in its zone cache, so a reload must not renumber: they are derived from
    the name, and only a collision changes the id of the name that sorts later.
    """
    ids: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(names):
        number = zlib.crc32(name.encode()) & 0x7FFFFFFF or 1
        while number in taken:
            number = number % 0x7FFFFFFF + 1
        taken.add(number)
        ids[name] = number
    return ids


def next_serial(previous: int, wall: float) -> int:
    """The serial after a change: it follows the clock, and rises even where the clock does not.

    It rises by less than half of the number space, or secondaries would take it for older
    (RFC 1982). The serial after the highest is 1; a previous 0 means none.
    """
    now = int(wall) % SERIAL_LIMIT
    if not previous or 0 < now - previous < SERIAL_LIMIT // 2:
        return now or 1
    return (previous + 1) % SERIAL_LIMIT or 1
