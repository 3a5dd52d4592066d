"""Who asks: the client's network, as far as it is known."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import NamedTuple

BITS = {4: 32, 6: 128}


class Place(NamedTuple):
    """Where a client is, as a location database says; `bits` is the prefix it says that of."""

    country: str = ""
    continent: str = ""
    asn: int = 0
    bits: int = 0


NOWHERE = Place()


# Not frozen, though nobody changes one: that would double the cost of a client never seen before.
@dataclass(slots=True, eq=False)
class Client:
    """The network that a query came from: `value` are its bits, `known` of them are meant.

    `known` is 0 where the client did not want to be known, or there is none. `lead` are the bits
    in front of an IPv4 address that came inside an IPv6 one: whoever asked counts them as well.

    Two clients are one where they are one object: what a client was given is looked up by it,
    for every question.
    """

    version: int
    value: int
    known: int
    place: Place = NOWHERE
    lead: int = 0

    def __str__(self) -> str:
        return str(ip_network((self.value.to_bytes(BITS[self.version] // 8, "big"), self.known)))

    def network(self, bits: int) -> tuple[int, int]:
        """Version and the leading `bits` of the address, or as many as are known."""
        kept = min(bits, self.known)
        return self.version, self.value >> (BITS[self.version] - kept) if kept else 0


NOBODY = Client(4, 0, 0)
"""A lookup on behalf of no client, as PowerDNS makes them for itself."""
