"""Who asks: the client's network, as far as it is known."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import NamedTuple

BITS = {4: 32, 6: 128}


class Location(NamedTuple):
    """Where a client is, as a location database says; `bits` is the prefix it says that of."""

    country: str = ""
    continent: str = ""
    asn: int = 0
    bits: int = 0


NO_LOCATION = Location()


# Not frozen, though nobody changes one: that would double the cost of a client never seen before.
@dataclass(slots=True, eq=False)
class ClientSubnet:
    """The network that a query came from: `value` are its bits, `prefix_length` of them are meant.

    `prefix_length` is 0 where the client did not want to be known, or there is none.
    `mapped_prefix` are the bits
    in front of an IPv4 address that came inside an IPv6 one: whoever asked counts them as well.

    Two clients are one where they are one object: what a client was given is looked up by it,
    for every question.
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
        """Version and the leading `bits` of the address, or as many as are known."""
        kept = min(bits, self.prefix_length)
        return self.version, self.value >> (BITS[self.version] - kept) if kept else 0


NO_CLIENT = ClientSubnet(4, 0, 0)
"""A lookup on behalf of no client, as PowerDNS makes them for itself."""
