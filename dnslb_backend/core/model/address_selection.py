"""Which clients always pick the same address: rule 9 of address selection (RFC 6724, section 5).

getaddrinfo prefers the address with the longest prefix in common with the client's own. A client
in the smallest network that contains all servers therefore always picks the same one.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def common_prefix(addresses: Sequence[str]) -> str | None:
    """The smallest network with all addresses, None unless there are two or more of one family."""
    found = {ip_address(address) for address in addresses}
    versions = {address.version for address in found}
    if len(found) < 2 or len(versions) != 1:
        return None
    values = [int(address) for address in found]
    network, bits = (IPv4Network, 32) if versions == {4} else (IPv6Network, 128)
    kept = bits - (min(values) ^ max(values)).bit_length()
    first = min(values) >> (bits - kept) << (bits - kept)
    return str(network((first, kept)))


def overlaps(block: str, network: str) -> bool:
    """Whether a client of `network` may be in `block`. `network` may also be a host."""
    ours, theirs = ip_network(block), ip_network(network, strict=False)
    return ours.version == theirs.version and _overlap(ours, theirs)


def _overlap(ours: Network, theirs: Network) -> bool:
    first, last = int(theirs.network_address), int(theirs.broadcast_address)
    return first <= int(ours.broadcast_address) and int(ours.network_address) <= last
