"""The transfer of a zone (AXFR)."""

from collections.abc import Iterator
from typing import NamedTuple

import dns.asyncquery
import dns.name
import dns.rdata
import dns.rdatatype
import dns.versioned
import dns.zone

from tests.rigs.capture import capture
from tests.rigs.server import executable


class Record(NamedTuple):
    """One record; its name in lower case with the final dot, its data as it is signed.

    Names in data have no case then: those that were sent before are sent no second time.
    """

    name: str
    type: str
    ttl: int
    data: bytes


async def transfer(server: tuple[str, int], zone: str, *, source: str | None = None) -> set[Record]:
    """All records of a zone, given to `source`; TransferError or dns.exception.Timeout if not."""
    apex = dns.name.from_text(zone)
    found = dns.zone.Zone(apex, relativize=False)
    host, port = server
    await dns.asyncquery.inbound_xfr(host, found, port=port, timeout=10, lifetime=30, source=source)
    return set(_records(found))


async def transfer_text(server: tuple[str, int], zone: str) -> list[str]:
    """The lines that dig prints of a transfer: quick for zones that are large."""
    host, port = server
    _, written, _ = await capture(
        executable("dig"), f"@{host}", "-p", str(port), zone, "AXFR", "+noall", "+answer"
    )
    return written.decode().splitlines()


def record(name: str, ttl: int, rdata: dns.rdata.Rdata) -> Record:
    owner = name.lower().removesuffix(".")
    return Record(f"{owner}.", dns.rdatatype.to_text(rdata.rdtype), ttl, rdata.to_digestable())


def _records(zone: dns.zone.Zone) -> Iterator[Record]:
    for name, ttl, rdata in zone.iterate_rdatas():
        yield record(name.to_text(), ttl, rdata)
