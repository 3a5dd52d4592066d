"""`icmp`: an echo request (ping), without privileges where the system allows it."""

import asyncio
import errno
import ipaddress
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint
from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Result, passed

HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number (RFC 792, RFC 4443)."""

TOKEN_SIZE = 16
PACKET_LIMIT = 65536

PACKETS = 1000
"""Packets to inspect: a raw socket sees the replies to other pings of the target too."""


@dataclass(frozen=True, slots=True)
class _Protocol:
    family: socket.AddressFamily
    number: int
    request: int
    reply: int


_V4 = _Protocol(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
_V6 = _Protocol(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)


class IcmpCheck(Check):
    """Sends up to `count` requests, spread over the timeout; one reply is enough.

    An unprivileged ICMP socket is tried first (net.ipv4.ping_group_range), then a raw one
    (CAP_NET_RAW); without permission for either the probe is an error.
    """

    type: Literal["icmp"] = "icmp"
    count: Annotated[int, Field(ge=1, le=10)] = 1
    size: Annotated[int, Field(ge=TOKEN_SIZE, le=1400)] = 56

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        protocol = _V6 if ":" in endpoint.address else _V4
        loop = asyncio.get_running_loop()
        with _open(protocol) as sock:
            sock.connect((endpoint.address, 0))
            started = loop.time()
            token = secrets.token_bytes(TOKEN_SIZE).ljust(self.size, b"\0")
            last = self.count - 1
            for sequence in range(self.count):
                sock.send(echo_request(protocol.request, sequence, token))
                try:
                    async with within(limit / self.count):
                        await _replied(sock, protocol, endpoint.address, token)
                    break
                except TimeoutError:
                    if sequence == last:
                        raise
            return passed(f"reply after {(loop.time() - started) * 1000:.1f} ms")

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return f"ICMP echo {endpoint.address}"


def echo_request(kind: int, sequence: int, payload: bytes) -> bytes:
    """An echo request with its checksum, which the kernel may replace."""
    identifier = int.from_bytes(payload[:2], "big")
    bare = HEADER.pack(kind, 0, 0, identifier, sequence) + payload
    return HEADER.pack(kind, 0, _checksum(bare), identifier, sequence) + payload


def _checksum(data: bytes) -> int:
    """RFC 1071: the complement of the sum, in ones' complement, of all 16-bit words."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _open(protocol: _Protocol) -> socket.socket:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            sock = socket.socket(protocol.family, kind, protocol.number)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EPROTONOSUPPORT):
                raise
            continue
        sock.setblocking(False)
        return sock
    raise ProbeError(
        "no permission to send ICMP: neither net.ipv4.ping_group_range nor CAP_NET_RAW allows it"
    )


async def _replied(sock: socket.socket, protocol: _Protocol, address: str, token: bytes) -> None:
    """Return when `address` has sent the reply with our token, to whichever of the requests.

    One packet is taken in each turn of the event loop, and none after PACKETS of them.
    """
    loop = asyncio.get_running_loop()
    source = ipaddress.ip_address(address)
    replied: asyncio.Future[None] = loop.create_future()
    left = PACKETS

    def look() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            loop.remove_reader(sock)
        try:
            # An unprivileged socket receives replies from any address, connected or not.
            packet, (sender, *_) = sock.recvfrom(PACKET_LIMIT)
        except BlockingIOError:
            return
        except OSError as error:
            loop.remove_reader(sock)
            replied.set_exception(error)
            return
        if ipaddress.ip_address(sender) == source and _is_reply(packet, sock, protocol, token):
            loop.remove_reader(sock)
            replied.set_result(None)

    loop.add_reader(sock, look)
    try:
        await replied
    finally:
        loop.remove_reader(sock)


def _is_reply(packet: bytes, sock: socket.socket, protocol: _Protocol, token: bytes) -> bool:
    if protocol is _V4 and sock.type == socket.SOCK_RAW and packet:
        packet = packet[(packet[0] & 0x0F) * 4 :]
    if len(packet) < HEADER.size:
        return False
    kind, code, _, _, _ = HEADER.unpack_from(packet)
    return kind == protocol.reply and code == 0 and packet[HEADER.size :] == token
