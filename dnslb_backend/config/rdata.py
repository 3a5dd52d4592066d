"""Record data as PowerDNS parses it: one bad row would make its whole name SERVFAIL.

dnspython says what is valid. PowerDNS reads fewer types than that, and some types in another
spelling. What differs was found by feeding both (PowerDNS 4.7):

    what dnspython takes                     what PowerDNS is given
    a type that PowerDNS has no parser for   TYPEnnn and its data in hexadecimal (RFC 3597)
    CERT with mnemonics                      the numbers
    IPSECKEY without a gateway               no dot in its place
    SVCB, HTTPS: port="53", mandatory="alpn" no quotes
    SVCB, HTTPS: keys above 6 (ipv6hint)     keyNNN="...", also for what has a name or no value

    what PowerDNS cannot serve, or serves as something else, is refused
    MB, MG, MR, MINFO, RKEY, ALIAS, LUA      only PowerDNS has a parser
    APL with bits beyond its prefix          they would be cut off
    CERT of type 0, KEY without a key, IPSECKEY of other algorithms than 1 and 2
    LOC with a size above 42949672.95 m      it would become another size
    more than fits into a message with other records
"""

import base64
import io
import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.CERT import CERT
from dns.rdtypes.ANY.KEY import KEY
from dns.rdtypes.ANY.LOC import LOC
from dns.rdtypes.IN.APL import APL
from dns.rdtypes.IN.IPSECKEY import IPSECKEY
from dns.rdtypes.svcbbase import ParamKey, SVCBBase

from dnslb_backend.core.model.names import IDNA
from dnslb_backend.errors import DnslbError

PARSED_BY_PDNS = frozenset(
    "A AAAA AFSDB APL CAA CERT CNAME CSYNC "  # noqa: SIM905 - one a line would be forty
    "DHCID DLV DNAME DS EUI48 EUI64 HINFO HTTPS IPSECKEY KEY KX L32 L64 LOC LP MX NAPTR NID NS "
    "OPENPGPKEY PTR RP SMIMEA SPF SRV SSHFP SVCB TLSA TXT URI ZONEMD".split()
)
"""The types whose text PowerDNS reads as dnspython writes it, but for what is said above."""

PARSED_BY_PDNS_ALONE = frozenset(
    {"MB", "MG", "MR", "MINFO", "RKEY", "TYPE57", "ALIAS", "TYPE65401", "LUA", "TYPE65402"}
)

LARGEST_SIZE = 2.0**32 - 1
"""Centimetres of a LOC that PowerDNS can hold."""

LARGEST_RDATA = 65_000
"""Bytes: a message has 65535 (RFC 1035, section 4.2.2), and must hold names and an SOA too."""


class RecordDataError(DnslbError):
    """A text is not valid data for a record of its type."""


class RecordData(NamedTuple):
    """A type and a content that PowerDNS parses."""

    qtype: str
    content: str


def canonical_content(qtype: str, content: str, zone: str) -> str:
    """As canonical_data, for a type that PowerDNS has a parser for."""
    return canonical_data(qtype, content, zone).content


def canonical_data(qtype: str, content: str, zone: str) -> RecordData:
    """`qtype` and `content` in the form that PowerDNS parses, names made absolute below `zone`.

    Names in Unicode become IDNA. Raises RecordDataError.
    """
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            qtype,
            content,
            origin=dns.name.from_text(f"{zone}."),
            relativize=False,
            idna_codec=IDNA,
        )
        wire = rdata.to_wire() or b""
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise RecordDataError(f"is not valid data for a record of type {qtype}: {error}") from error
    if refusal := _refusal(rdata, len(wire)):
        raise RecordDataError(f"cannot be served by PowerDNS: {refusal}")
    if qtype in PARSED_BY_PDNS:
        return RecordData(qtype, _written(rdata))
    return RecordData(f"TYPE{int(rdata.rdtype)}", f"\\# {len(wire)} {wire.hex()}".rstrip())


def _refusal(rdata: dns.rdata.Rdata, length: int) -> str:
    """Why PowerDNS would not serve it as it is; empty where it does."""
    if length > LARGEST_RDATA:
        return f"it has {length} bytes; at most {LARGEST_RDATA} are allowed"
    match rdata:
        case APL():
            for item in rdata.items:
                network = f"{item.address}/{item.prefix}"
                if item.family in (1, 2) and not _is_network(network):
                    return f"{network} has bits beyond its prefix"
        case CERT(certificate_type=0):
            return "certificate type 0 is reserved"
        case KEY(key=b""):
            return "it has no key"
        case IPSECKEY() if rdata.algorithm not in (1, 2):
            return f"algorithm {rdata.algorithm}; allowed are 1 (DSA) and 2 (RSA)"
        case LOC() if max(_sizes(rdata)) > LARGEST_SIZE:
            return f"sizes are {LARGEST_SIZE / 100:.2f} m at most"
    return ""


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _sizes(rdata: LOC) -> tuple[float, ...]:
    return rdata.size, rdata.horizontal_precision, rdata.vertical_precision


def _written(rdata: dns.rdata.Rdata) -> str:
    match rdata:
        case CERT():
            data = base64.b64encode(rdata.certificate).decode()
            return f"{int(rdata.certificate_type)} {rdata.key_tag} {int(rdata.algorithm)} {data}"
        case IPSECKEY(gateway_type=0):
            data = base64.b64encode(rdata.key).decode()
            return f"{rdata.precedence} 0 {rdata.algorithm} {data}"
        case SVCBBase():
            written = " ".join(_parameters(rdata.params))
            return f"{rdata.priority} {rdata.target} {written}".rstrip()
    return rdata.to_text(chunksize=0)


def _parameters(parameters: Any) -> Iterable[str]:
    """Service parameters (RFC 9460)."""
    for key, value in sorted(parameters.items()):
        name = _parameter_name(key)
        if key == ParamKey.MANDATORY:
            yield f"{name}={','.join(map(_parameter_name, value.keys))}"
        elif key == ParamKey.PORT:
            yield f"{name}={value.port}"
        elif key > ParamKey.IPV6HINT:
            yield f'{name}="{_escaped(value)}"'
        else:
            yield name if value is None else f"{name}={value.to_text()}"


def _parameter_name(key: int) -> str:
    if key > ParamKey.IPV6HINT:
        return f"key{int(key)}"
    return ParamKey(key).name.lower().replace("_", "-")


def _escaped(value: Any) -> str:
    """The data of a parameter, byte by byte where it is more than letters and digits."""
    data = io.BytesIO()
    if value is not None:
        value.to_wire(data)
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:03d}"
        for byte in data.getvalue()
    )
