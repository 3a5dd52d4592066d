"""What PowerDNS stores about signed zones: signing keys, metadata, and TSIG keys.

Secrets are kept out of `repr`, and so out of logs and tracebacks.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A key that signs a zone. `content` is the private key as PowerDNS writes it.

    An active key signs, a published one is in the DNSKEY set. `id` is the same on every node.
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
    """All values of one kind of domain metadata of a zone; at least one."""

    zone: str
    kind: str
    values: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        return self.zone, self.kind


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key that authenticates transfers (TSIG, RFC 8945); it belongs to no zone."""

    name: str
    algorithm: str
    content: str = field(repr=False)

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.name,)


DnssecItem = ZoneKey | Metadata | TsigKey
