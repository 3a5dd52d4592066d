"""Record data as PowerDNS parses it: one bad row would make its whole name SERVFAIL.

dnspython says what is valid. PowerDNS reads fewer types than that, and some types in another
spelling. What differs was found by feeding both (PowerDNS 4.4, 4.7, 4.9 and 5.1):

    what dnspython takes                     what PowerDNS is given
    a type that PowerDNS has no parser for   TYPEnnn and its data in hexadecimal (RFC 3597)
    CERT with mnemonics                      the numbers
    IPSECKEY without a gateway               no dot in its place
    SVCB, HTTPS: port="53", mandatory="alpn" no quotes
    SVCB, HTTPS: keys above 6 (ipv6hint)     keyNNN="...", also for what has a name or no value
    SVCB, HTTPS: key8 (ohttp), key9          by name since 5.1, which reads them in no other form

    what PowerDNS cannot serve, or serves as something else, is refused
    MB, MG, MR, MINFO, RKEY, ALIAS, LUA      only PowerDNS has a parser
    APL with bits beyond its prefix          they would be cut off
    CERT of type 0, KEY without a key, IPSECKEY of other algorithms than 1 and 2
    LOC with a size above 42949672.95 m      it would become another size
    SVCB, HTTPS: key9 of no or half numbers  tls-supported-groups of 5.1 has whole ones
    more than fits into a message with other records
"""

import base64
import io
import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping
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
from dnslb_backend.core.model.zones import ASSUMED_VERSION, PdnsVersion
from dnslb_backend.errors import DnslbError

PARSED_BY_PDNS = frozenset(
    "A AAAA AFSDB APL BRID CAA CERT CNAME CSYNC "  # noqa: SIM905 - one a line would be forty
    "DHCID DLV DNAME DS EUI48 EUI64 HHIT HINFO HTTPS IPSECKEY KEY KX L32 L64 LOC LP MX NAPTR NID "
    "NS OPENPGPKEY PTR RESINFO RP SMIMEA SPF SRV SSHFP SVCB TLSA TXT URI WALLET ZONEMD".split()
)
"""The types whose text PowerDNS reads as dnspython writes it, but for what is said above."""

GROUPS = 9
"""The parameter tls-supported-groups, which dnspython knows by its number alone."""

NAMED_PARAMETERS = {ParamKey.OHTTP: "ohttp", GROUPS: "tls-supported-groups"}
NAMED_PARAMETERS_SINCE: PdnsVersion = (5, 1)

PARSED_SINCE: dict[str, PdnsVersion] = {
    **dict.fromkeys(("CSYNC", "IPSECKEY", "L32", "L64", "LP", "NID"), (4, 5)),
    "ZONEMD": (4, 7),
    **dict.fromkeys(("BRID", "HHIT", "RESINFO", "WALLET"), (5, 1)),
}
"""The first version with a parser for a type; a parser takes no hexadecimal data."""

VERSIONS = tuple(sorted({(0, 0), *PARSED_SINCE.values(), ASSUMED_VERSION, NAMED_PARAMETERS_SINCE}))
"""Those from which on any content is written in another way than before."""

PARSED_BY_PDNS_ALONE = frozenset(
    {"MB", "MG", "MR", "MINFO", "RKEY", "TYPE57", "ALIAS", "TYPE65401", "LUA", "TYPE65402"}
)

LARGEST_SIZE = 2.0**32 - 1
"""Centimetres of a LOC that PowerDNS can hold."""

LARGEST_RDATA = 65_000
"""Bytes: a message has 65535 (RFC 1035, section 4.2.2), and must hold names and an SOA too."""


_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}


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
    return data_by_version(qtype, content, zone)[ASSUMED_VERSION]


def data_by_version(qtype: str, content: str, zone: str) -> dict[PdnsVersion, RecordData]:
    """As canonical_data, for each of VERSIONS."""
    if _is_address(qtype, content):
        return dict.fromkeys(VERSIONS, RecordData(qtype, content))
    rdata = _read(qtype, content, zone)
    if qtype in PARSED_SINCE or isinstance(rdata, SVCBBase):
        return {version: _data(qtype, rdata, version) for version in VERSIONS}
    return dict.fromkeys(VERSIONS, _data(qtype, rdata, ASSUMED_VERSION))


def _is_address(qtype: str, content: str) -> bool:
    """Whether a content is an address in the form that dnspython writes: then it is not asked,
    which takes forty times as long."""
    family = _FAMILIES.get(qtype)
    if family is None or ("." in content and family is socket.AF_INET6):
        return False
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, content)) == content
    except (OSError, ValueError):
        return False


def _read(qtype: str, content: str, zone: str) -> dns.rdata.Rdata:
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            qtype,
            content,
            origin=dns.name.from_text(f"{zone}."),
            relativize=False,
            idna_codec=IDNA,
        )
        length = len(rdata.to_wire() or b"")
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise RecordDataError(f"is not valid data for a record of type {qtype}: {error}") from error
    if refusal := _refusal(rdata, length):
        raise RecordDataError(f"cannot be served by PowerDNS: {refusal}")
    return rdata


def _data(qtype: str, rdata: dns.rdata.Rdata, version: PdnsVersion) -> RecordData:
    if qtype in PARSED_BY_PDNS and version >= PARSED_SINCE.get(qtype, version):
        return RecordData(qtype, _written(rdata, version))
    wire = rdata.to_wire() or b""
    return RecordData(f"TYPE{int(rdata.rdtype)}", f"\\# {len(wire)} {wire.hex()}".rstrip())


def _refusal(rdata: dns.rdata.Rdata, length: int) -> str:
    """Why PowerDNS would not serve it as it is; empty where it does."""
    if length > LARGEST_RDATA:
        return f"it has {length} bytes; at most {LARGEST_RDATA} are allowed"
    match rdata:
        case APL() if stray := next(filter(_has_more_bits, rdata.items), None):
            return f"{stray.address}/{stray.prefix} has bits beyond its prefix"
        case CERT(certificate_type=0):
            return "certificate type 0 is reserved"
        case KEY(key=b""):
            return "it has no key"
        case IPSECKEY() if rdata.algorithm not in (1, 2):
            return f"algorithm {rdata.algorithm}; allowed are 1 (DSA) and 2 (RSA)"
        case LOC() if max(_sizes(rdata)) > LARGEST_SIZE:
            return f"sizes are {LARGEST_SIZE / 100:.2f} m at most"
        case SVCBBase() if GROUPS in rdata.params and not _numbers(rdata.params[GROUPS]):
            return "key9 (tls-supported-groups) holds numbers of two octets, one or more"
    return ""


def _has_more_bits(item: Any) -> bool:
    """Whether an item of an APL is an address with bits beyond its prefix."""
    if item.family not in (1, 2):
        return False
    try:
        ipaddress.ip_network(f"{item.address}/{item.prefix}")
    except ValueError:
        return True
    return False


def _sizes(rdata: LOC) -> tuple[float, ...]:
    return rdata.size, rdata.horizontal_precision, rdata.vertical_precision


def _written(rdata: dns.rdata.Rdata, version: PdnsVersion) -> str:
    match rdata:
        case CERT():
            data = base64.b64encode(rdata.certificate).decode()
            return f"{int(rdata.certificate_type)} {rdata.key_tag} {int(rdata.algorithm)} {data}"
        case IPSECKEY(gateway_type=0):
            data = base64.b64encode(rdata.key).decode()
            return f"{rdata.precedence} 0 {rdata.algorithm} {data}"
        case SVCBBase():
            written = " ".join(_parameters(rdata.params, version))
            return f"{rdata.priority} {rdata.target} {written}".rstrip()
    return rdata.to_text(chunksize=0)


def _parameters(parameters: Any, version: PdnsVersion) -> Iterable[str]:
    """Service parameters (RFC 9460)."""
    by_name = NAMED_PARAMETERS if version >= NAMED_PARAMETERS_SINCE else {}
    for key, value in sorted(parameters.items()):
        name = _parameter_name(key, by_name)
        if key == ParamKey.MANDATORY:
            yield f"{name}={','.join(_parameter_name(each, by_name) for each in value.keys)}"
        elif key == GROUPS and by_name:
            yield f"{name}={_numbers(value)}"
        elif key == ParamKey.OHTTP and by_name:
            yield name
        elif key == ParamKey.PORT:
            yield f"{name}={value.port}"
        elif key > ParamKey.IPV6HINT:
            yield f'{name}="{_escaped(_octets(value))}"'
        else:
            yield name if value is None else f"{name}={value.to_text()}"


def _parameter_name(key: int, by_name: Mapping[int, str]) -> str:
    if key in by_name:
        return by_name[key]
    if key > ParamKey.IPV6HINT:
        return f"key{int(key)}"
    return ParamKey(key).name.lower().replace("_", "-")


def _numbers(value: Any) -> str:
    """The data of a parameter as numbers of two octets; empty where it is none."""
    data = _octets(value)
    if len(data) % 2:
        return ""
    return ",".join(str(number) for (number,) in struct.iter_unpack(">H", data))


def _octets(value: Any) -> bytes:
    """The data of a parameter."""
    data = io.BytesIO()
    if value is not None:
        value.to_wire(data)
    return data.getvalue()


def _escaped(data: bytes) -> str:
    """Byte by byte where it is more than letters and digits."""
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:03d}"
        for byte in data
    )
