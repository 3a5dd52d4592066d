"""A whole zone as a name server hands it out (AXFR)."""

from collections.abc import Iterator
from typing import NamedTuple

import dns.asyncquery
import dns.name
import dns.rdata
import dns.rdatatype
import dns.versioned
import dns.zone


class Record(NamedTuple):
    """One record; its name in lower case with the final dot, its data as it is signed.

    Names in data have no case then: those that were sent before are sent no second time.
    """

    name: str
    type: str
    ttl: int
    data: bytes


async def transfer(server: tuple[str, int], zone: str, *, timeout: float = 10.0) -> set[Record]:  # noqa: ASYNC109 - of the whole transfer
    """All records of a zone; raises TransferError or dns.exception.Timeout without them."""
    apex = dns.name.from_text(zone)
    found = dns.zone.Zone(apex, relativize=False)
    host, port = server
    await dns.asyncquery.inbound_xfr(host, found, port=port, timeout=timeout, lifetime=timeout)
    return set(_records(found))


def record(name: str, ttl: int, rdata: dns.rdata.Rdata) -> Record:
    owner = name.lower().removesuffix(".")
    return Record(f"{owner}.", dns.rdatatype.to_text(rdata.rdtype), ttl, rdata.to_digestable())


def _records(zone: dns.zone.Zone) -> Iterator[Record]:
    for name, ttl, rdata in zone.iterate_rdatas():
        yield record(name.to_text(), ttl, rdata)
