"""Record data as PowerDNS parses it: one bad row would make its whole name SERVFAIL."""

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass

from dnslb_backend.errors import DnslbError


class RecordDataError(DnslbError):
    """A text is no data for a record of its type."""


def canonical_content(qtype: str, content: str, zone: str) -> str:
    """`content` in the form that PowerDNS parses, its names made absolute below `zone`.

    Raises RecordDataError.
    """
    origin = dns.name.from_text(f"{zone}.")
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, qtype, content, origin=origin, relativize=False
        )
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise RecordDataError(f"is no data for a record of type {qtype}: {error}") from error
    return rdata.to_text()
