"""Who may ask: the networks of `allow` against the address of a peer."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_allowed(peer: str, networks: Iterable[Network]) -> bool:
    """Whether the address `peer` lies in one of `networks`.

    An IPv4 peer of an IPv6 socket arrives as ::ffff:192.0.2.1 and counts as IPv4; a zone
    index (fe80::1%eth0) is no part of the address.
    """
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
