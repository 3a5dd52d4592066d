"""The client of a lookup, as PowerDNS reports it, and the random seed of its query."""

import socket
from collections.abc import Callable

from dnslb_backend.core.model.clients import NO_CLIENT, NO_LOCATION, ClientSubnet, Location

Locate = Callable[[str], Location]
"""Returns the location of an address, without blocking."""

CACHE_SIZE = 4096
"""Cached clients and seeds; beyond that a cache is cleared."""

CLIENT_LENGTH = 80
"""Characters of an IPv6 address with a zone index and a prefix length, and some more."""

NAME_LENGTH = 1024
"""Characters that no name exceeds: 255 bytes, each escaped as four characters."""

SAME_QUERY = 0.05
"""Seconds within which lookups of one name for one client belong to one query of PowerDNS."""

_MAPPED = b"\0" * 10 + b"\xff\xff"


def parse_client(text: str, locate: Locate | None = None) -> ClientSubnet:
    """Read `192.0.2.1`, `192.0.2.0/24` or `fe80::1%eth0`; anything else is NO_CLIENT.

    An IPv4 address inside an IPv6 one (RFC 4291, 2.5.5.2) is the IPv4 address.
    """
    address, _, length = text.partition("/")
    address = address.partition("%")[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed = socket.inet_pton(family, address)
        prefix_length = int(length) if length else 8 * len(packed)
    except (OSError, ValueError):
        return NO_CLIENT
    bits = 8 * len(packed)
    if not 0 < prefix_length <= bits:
        return NO_CLIENT
    mapped_prefix = 0
    if packed.startswith(_MAPPED) and prefix_length >= 96:
        packed, prefix_length, bits, mapped_prefix = packed[12:], prefix_length - 96, 32, 96
        if not prefix_length:
            return NO_CLIENT
    value = int.from_bytes(packed, "big") >> (bits - prefix_length) << (bits - prefix_length)
    version, family = (4, socket.AF_INET) if bits == 32 else (6, socket.AF_INET6)
    location = locate(socket.inet_ntop(family, packed)) if locate is not None else NO_LOCATION
    return ClientSubnet(version, value, prefix_length, location, mapped_prefix)


class ClientCache:
    """Caches parsed clients, and the random seeds of queries in progress.

    PowerDNS looks a name up more than once for one query; all of these lookups must get the same
    seed.
    """

    def __init__(self, mono: Callable[[], float], query_seed: Callable[[], int]) -> None:
        self._mono = mono
        self._query_seed = query_seed
        self._clients: dict[str, ClientSubnet] = {}
        self._query_seeds: dict[tuple[str, str], tuple[float, int]] = {}
        self._locate: Locate | None = None

    def use_locator(self, locate: Locate | None) -> None:
        """Locate clients with `locate` from now on."""
        self._locate = locate
        self._clients.clear()

    def client(self, text: str) -> ClientSubnet:
        found = self._clients.get(text)
        if found is None:
            if len(text) > CLIENT_LENGTH:
                return NO_CLIENT
            if len(self._clients) >= CACHE_SIZE:
                self._clients.clear()
            found = self._clients[text] = parse_client(text, self._locate)
        return found

    def query_seed(self, qname: str, client: str) -> int:
        """64 random bits, the same for all lookups of one query."""
        now = self._mono()
        key = (qname[:NAME_LENGTH], client[:CLIENT_LENGTH])
        found = self._query_seeds.get(key)
        if found is not None and now - found[0] < SAME_QUERY:
            return found[1]
        if len(self._query_seeds) >= CACHE_SIZE:
            self._query_seeds.clear()
        number = self._query_seed()
        self._query_seeds[key] = (now, number)
        return number
