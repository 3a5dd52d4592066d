"""Clients: the network that a query came from, as far as it is known."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import NamedTuple

BITS = {4: 32, 6: 128}


class Location(NamedTuple):
    """A client's location by a GeoIP database; `bits` is the prefix length that it holds for."""

    country: str = ""
    continent: str = ""
    asn: int = 0
    bits: int = 0


NO_LOCATION = Location()


# Never changed, but not frozen: that would double the cost of creating one.
@dataclass(slots=True, eq=False)
class ClientSubnet:
    """The network that a query came from: the first `prefix_length` bits of the address `value`.

    `prefix_length` is 0 where the client hid its address, or there is none. `mapped_prefix` is
    the number of bits before an IPv4 address mapped into an IPv6 one: scopes count them as well.

    Clients are equal only if they are the same object: it is the cache key of every answer.
    """

    version: int
    value: int
    prefix_length: int
    location: Location = NO_LOCATION
    mapped_prefix: int = 0

    def __str__(self) -> str:
        return str(
            ip_network((self.value.to_bytes(BITS[self.version] // 8, "big"), self.prefix_length))
        )

    def network(self, bits: int) -> tuple[int, int]:
        """IP version and the leading `bits` of the address, or as many as are known."""
        kept = min(bits, self.prefix_length)
        return self.version, self.value >> (BITS[self.version] - kept) if kept else 0


NO_CLIENT = ClientSubnet(4, 0, 0)
"""The client of a lookup that PowerDNS makes on its own behalf."""
