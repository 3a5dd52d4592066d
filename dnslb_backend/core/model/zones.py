"""Zones and the rows that PowerDNS is given for them."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_TTL = 2**31 - 1
"""RFC 2181, section 8: a TTL is an unsigned number of 31 bits."""

SERIAL_LIMIT = 2**32


class ResourceRecord(NamedTuple):
    """One resource record: absolute name as configured without the final dot, type, content.

    `auth` is false for what lies at or below a delegation: we hand it out, others own it.
    `scope` above 0 marks what is for some clients only, or for one query: the prefix of the
    client's address that it holds for. PowerDNS keeps such rows out of its caches.
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
    """An apex we are authoritative for, with everything in it that does not depend on health.

    `name` is canonical, `spelling` is what the configuration wrote. `ns` holds canonical names.
    `also_notify` are the secondaries that PowerDNS tells of a change, `allow_axfr` the networks
    that may transfer the zone, beside those that PowerDNS allows itself.
    """

    name: str
    spelling: str
    soa: Soa
    ns: tuple[str, ...]
    static: tuple[ResourceRecord, ...] = ()
    id: int = field(default=0)
    also_notify: tuple[str, ...] = ()
    allow_axfr: tuple[str, ...] = ()

    @property
    def metadata(self) -> Mapping[str, tuple[str, ...]]:
        """What the configuration says of the zone, by PowerDNS's kinds of domain metadata."""
        said = {"ALSO-NOTIFY": self.also_notify, "ALLOW-AXFR-FROM": self.allow_axfr}
        return {kind: values for kind, values in said.items() if values}


def assign_ids(names: list[str]) -> dict[str, int]:
    """A number for each zone, the same on every node and after every restart.

    PowerDNS remembers them in its zone cache, so a reload must not renumber: they are derived
    from the name, and only a collision moves the name that sorts later.
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
    """The serial after a change: it follows the clock and rises even when the clock does not.

    A step is less than half of the numbers there are, or secondaries would see it go back
    (RFC 1982). The number after the last one is 1; a previous 0 is none.
    """
    now = int(wall) % SERIAL_LIMIT
    if not previous or 0 < now - previous < SERIAL_LIMIT // 2:
        return now or 1
    return (previous + 1) % SERIAL_LIMIT or 1
