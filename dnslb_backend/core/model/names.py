"""Domain names in canonical form.

A *canonical* name is absolute, in lower case, without the final dot, and escaped as PowerDNS
escapes (`\\.`, `\\\\`, `\\DDD`), so that the name in a lookup becomes a dictionary key by
cutting one dot and lowering its case. The root is the empty string.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

import dns.exception
import dns.name

from dnslb_backend.errors import NameFormatError

IDNA: Final = dns.name.IDNA_2008_Practical
"""How names in Unicode are written in ASCII (RFC 5891, mapped as UTS 46 has it)."""

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_PLAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_LONGEST = 253
"""Characters of a name without its final dot."""

_PRINTABLE = range(0x21, 0x7F)

_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")
_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
"""RFC 1122: never a destination."""


def canonical_name(text: str, origin: str | None = None) -> str:
    """Return the canonical form of `text`, relative names below the canonical `origin`.

    Names in Unicode become IDNA. Raises NameFormatError for what RFC 1035 does not allow.
    """
    return spelled_name(text, origin).lower()


def spelled_name(text: str, origin: str | None = None) -> str:
    """As canonical_name, but in the letter case of `text`."""
    return _plain_name(text, origin) or _parsed_name(text, origin)


def _plain_name(text: str, origin: str | None) -> str:
    """A name without escapes or Unicode, as nearly all are; empty where it has to be parsed."""
    full = text if text.endswith(".") or not origin else f"{text}.{origin}."
    name = full.removesuffix(".")
    return name if len(name) <= _LONGEST and _PLAIN.fullmatch(full) else ""


def _parsed_name(text: str, origin: str | None) -> str:
    try:
        name = dns.name.from_text(text, _base(origin), IDNA)
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise NameFormatError(f"{text!r} is not a domain name: {error}") from error
    return ".".join(_escape(label) for label in name.labels[:-1])


@lru_cache
def _base(origin: str | None) -> dns.name.Name:
    """Cached, as thousands of names are relative to one origin."""
    return dns.name.root if origin is None else dns.name.from_text(f"{origin}.", None, IDNA)


def name_below(written: str, zone: str) -> str:
    """The canonical form of a name relative to canonical `zone`; "" where it is none."""
    try:
        return canonical_name(written, zone)
    except NameFormatError:
        return ""


def key_of(qname: str) -> str:
    """The canonical form of a name as PowerDNS sends it: final dot, any case, its own escapes."""
    return qname.removesuffix(".").lower()


def is_within(name: str, apex: str) -> bool:
    """Whether canonical `name` is canonical `apex` or lies below it."""
    return name == apex or not apex or name.endswith(f".{apex}")


def parents(name: str, apex: str) -> list[str]:
    """The names strictly between canonical `name` and the apex above it, nearest first."""
    found: list[str] = []
    labels = split_labels(name)
    for start in range(1, len(labels)):
        parent = ".".join(labels[start:])
        if parent == apex or not is_within(parent, apex):
            break
        found.append(parent)
    return found


def split_labels(name: str) -> list[str]:
    """Cut a canonical name at its dots, but not at escaped ones."""
    if "\\." not in name:
        return name.split(".") if name else []
    return [_escape(label) for label in dns.name.from_text(f"{name}.").labels[:-1]]


def canonical_address(text: str) -> str | None:
    """The canonical text of an IP address, None where `text` is not one.

    An address with a zone index (`fe80::1%eth0`) cannot be served, and gives None.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return None
    return str(address)


def is_sinkhole(address: str) -> bool:
    """Whether no server can have this address: unspecified, multicast or broadcast."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_multicast or parsed == _BROADCAST or parsed in _THIS_NETWORK
    return parsed.is_multicast or parsed.is_unspecified


def address_type(address: str) -> str:
    """`A` or `AAAA` for an address in canonical text."""
    return "AAAA" if ":" in address else "A"


def _escape(label: bytes) -> str:
    out: list[str] = []
    for byte in label:
        if byte in b".\\":
            out.append(f"\\{byte:c}")
        elif byte in _PRINTABLE:
            out.append(chr(byte))
        else:
            out.append(f"\\{byte:03d}")
    return "".join(out)
