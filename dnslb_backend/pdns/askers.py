"""Who is asking, as PowerDNS says it, and the chance that one query is given."""

import socket
from collections.abc import Callable

from dnslb_backend.core.clients import NOBODY, NOWHERE, Client, Place

Locate = Callable[[str], Place]
"""Where an address is. Answers at once, from memory."""

MEMORY = 4096
"""Clients and draws that are remembered; more start the memory afresh."""

CLIENT_LENGTH = 80
"""Characters of an IPv6 address with a zone index and a prefix length, and some more."""

NAME_LENGTH = 1024
"""Characters that no name exceeds: 255 bytes, each escaped as four characters."""

SAME_QUERY = 0.05
"""Seconds within which lookups of one name for one client belong to one query of PowerDNS."""

_MAPPED = b"\0" * 10 + b"\xff\xff"


def parse_client(text: str, locate: Locate | None = None) -> Client:
    """Read `192.0.2.1`, `192.0.2.0/24` or `fe80::1%eth0`; what is none of these is NOBODY.

    An IPv4 address inside an IPv6 one (RFC 4291, 2.5.5.2) is the IPv4 address.
    """
    address, _, length = text.partition("/")
    address = address.partition("%")[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed = socket.inet_pton(family, address)
        known = int(length) if length else 8 * len(packed)
    except (OSError, ValueError):
        return NOBODY
    bits = 8 * len(packed)
    if not 0 < known <= bits:
        return NOBODY
    lead = 0
    if packed.startswith(_MAPPED) and known >= 96:
        packed, known, bits, lead = packed[12:], known - 96, 32, 96
        if not known:
            return NOBODY
    value = int.from_bytes(packed, "big") >> (bits - known) << (bits - known)
    version, family = (4, socket.AF_INET) if bits == 32 else (6, socket.AF_INET6)
    place = locate(socket.inet_ntop(family, packed)) if locate is not None else NOWHERE
    return Client(version, value, known, place, lead)


class Askers:
    """Remembers clients that were read, and what chance gave to a query under way.

    PowerDNS looks a name up more than once for one query; all of these lookups must be given
    the same draw, and a draw must not be spent on each of them.
    """

    def __init__(self, mono: Callable[[], float], draw: Callable[[], int]) -> None:
        self._mono = mono
        self._draw = draw
        self._clients: dict[str, Client] = {}
        self._draws: dict[tuple[str, str], tuple[float, int]] = {}
        self._locate: Locate | None = None

    def locate_with(self, locate: Locate | None) -> None:
        """Find the place of clients with `locate` from now on."""
        self._locate = locate
        self._clients.clear()

    def client(self, text: str) -> Client:
        found = self._clients.get(text)
        if found is None:
            if len(text) > CLIENT_LENGTH:
                return NOBODY
            if len(self._clients) >= MEMORY:
                self._clients.clear()
            found = self._clients[text] = parse_client(text, self._locate)
        return found

    def draw(self, qname: str, client: str) -> int:
        """64 bits of chance, the same for lookups of one query."""
        now = self._mono()
        key = (qname[:NAME_LENGTH], client[:CLIENT_LENGTH])
        found = self._draws.get(key)
        if found is not None and now - found[0] < SAME_QUERY:
            return found[1]
        if len(self._draws) >= MEMORY:
            self._draws.clear()
        number = self._draw()
        self._draws[key] = (now, number)
        return number
