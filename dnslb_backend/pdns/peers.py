"""Who may ask: the networks of `allow` against the address of a peer."""

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CREDENTIALS = struct.Struct("3i")
"""struct ucred (unix(7))."""


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


def peer_name(transport: asyncio.BaseTransport | None) -> str:
    """What is at the other end, for the log: an address, or the process behind a unix socket."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or sock is None:
        return "gone"
    if sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(credentials)
        return f"pid {pid}, uid {uid}"
    address: tuple[str, int] = transport.get_extra_info("peername") or ("gone", 0)
    return address[0].removeprefix("::ffff:")
