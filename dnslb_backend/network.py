"""Addresses, ports and networks: how they are written, and whether a peer is in a network."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")

HIGHEST_PORT = 65535

_BRACKETS = "IPv6 addresses, and no others, are written in brackets"


class AddressPort(NamedTuple):
    """An IP address literal, without brackets, and a port; a listener on port 0 takes a free one.

    Its text is what `parse_address_port` reads.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback


def parse_address_port(text: str, *, lowest: int = 0) -> AddressPort:
    """Read `192.0.2.1:53` or `[2001:db8::1]:53`; `localhost` is 127.0.0.1.

    Raises ValueError that says what is allowed; ports below `lowest` are not.
    """
    if missing := _without_port(text):
        raise _not_address_port(text, f"it needs a port: {missing}:PORT")
    host, _, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    try:
        address = ipaddress.ip_address("127.0.0.1" if bare == "localhost" else bare)
    except ValueError:
        raise _not_address_port(text, "names are not looked up" if bare else "") from None
    if (address.version == 6) != is_bracketed:
        raise _not_address_port(text, _BRACKETS)
    is_number = port.isascii() and port.isdigit() and len(port) <= len(str(HIGHEST_PORT))
    if not is_number or not lowest <= int(port) <= HIGHEST_PORT:
        raise _not_address_port(text, f"the port is {lowest} to {HIGHEST_PORT}")
    return AddressPort(str(address), int(port))


def parse_network(text: str) -> Network:
    """Read a network in CIDR form, or one address; raises ValueError that says what is allowed."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise _not_network(text) from None


def check_listen(text: str) -> str:
    """ADDRESS:PORT to listen on, or "" for no listener; raises ValueError."""
    if text:
        parse_address_port(text)
    return text


def check_network(text: str) -> str:
    """One network as it was written; raises ValueError."""
    parse_network(text)
    return text


def peer_address(text: str) -> Address | None:
    """The address of a peer as sockets report it, None for anything else.

    An IPv4 peer of an IPv6 socket arrives as ::ffff:192.0.2.1 and is IPv4 (RFC 4291, 2.5.5.2); a
    zone index (fe80::1%eth0) is not part of the address.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def contains(networks: Iterable[Network], address: Address | None) -> bool:
    """Whether `address` is in one of `networks`; None is in none."""
    return address is not None and any(address in network for network in networks)


def bracketed(address: str) -> str:
    """The address as it is written in a URL or before a port: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def _without_port(text: str) -> str:
    """An address that has no port, as it is written before one; empty for any other text."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        is_address = bracketed(str(ipaddress.ip_address(bare))) == text.lower()
    except ValueError:
        is_address = text == "localhost"
    return text if is_address else ""


def _not_address_port(text: str, why: str) -> ValueError:
    examples = "examples: 192.0.2.1:8053, [2001:db8::1]:8053"
    return ValueError("; ".join(filter(None, (f"{text!r} is not ADDRESS:PORT", why, examples))))


def _not_network(text: str) -> ValueError:
    examples = "examples: 10.0.0.0/8, 2001:db8::/32, 192.0.2.1"
    try:
        why = f"it has host bits set, its network is {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        why = ""
    return ValueError("; ".join(filter(None, (f"{text!r} is not a network", why, examples))))
