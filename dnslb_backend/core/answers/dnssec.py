"""What PowerDNS keeps of a signed zone: its keys, its metadata, and keys for transfers.

What is secret is never shown by `repr`, so that no log and no traceback can tell it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A key that signs a zone. `content` is the private key as PowerDNS writes it.

    An active one signs, a published one stands in the zone. `id` is the same on every node.
    """

    zone: str
    id: int
    flags: int
    active: bool
    published: bool
    content: str = field(repr=False)

    @property
    def identity(self) -> tuple[str, ...]:
        return self.zone, str(self.id)


@dataclass(frozen=True, slots=True)
class Metadata:
    """All values of one kind that PowerDNS keeps of a zone; there is at least one."""

    zone: str
    kind: str
    values: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        return self.zone, self.kind


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key that peers sign transfers with (TSIG, RFC 8945), for whatever zone."""

    name: str
    algorithm: str
    content: str = field(repr=False)

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.name,)


DnssecItem = ZoneKey | Metadata | TsigKey
