"""A configuration while it is put together, and notes on what has no equal in it.

Everything is kept as TOML will hold it; what it means is decided by the loader of configurations.
"""

from dataclasses import dataclass, field
from typing import Any

Table = dict[str, Any]

NAME_TYPES = ("CNAME", "MX", "SRV")
"""The balanced types that serve names."""

UNASKED = "127.0.0.1"
"""An address that a member of these types must have, and that a static check never asks."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that has no equal: where it was found, why, and how it was written there."""

    place: str
    text: str
    original: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(slots=True)
class StaticRow:
    """A row of `static`; `name` is relative to the zone."""

    place: str
    name: str
    type: str
    content: str
    ttl: int

    @property
    def original(self) -> str:
        return f"{self.name} {self.ttl} {self.type} {self.content}"


@dataclass(slots=True)
class BalancedRecord:
    """A balanced record; `name` is relative to the zone. The notes are on parts of it."""

    place: str
    name: str
    type: str
    keys: Table
    original: str
    notes: list[Note] = field(default_factory=list)


def record_keys(ttl: int, dests: list[Table], keys: Table) -> Table:
    """The keys of a balanced record, without those that make no difference to so many members."""
    left = dict(keys)
    if len(dests) == 1:
        for key in ("policy", "sticky", "max_answers"):
            left.pop(key, None)
    most = left.get("max_answers")
    if "policy" not in left and isinstance(most, int) and most >= len(dests):
        del left["max_answers"]
    return {"ttl": ttl, "dest": [_shortest(dest) for dest in dests], **left}


def _shortest(dest: Table) -> object:
    """A destination as text where it is no more than a host, or a host and its priority."""
    if set(dest) == {"host"}:
        return dest["host"]
    if set(dest) == {"host", "prio"}:
        return f"{dest['host']}@{dest['prio']}"
    return dest


@dataclass(slots=True)
class ZoneDraft:
    """A zone; `left_out` is what of it has no equal at all."""

    name: str
    soa: Table = field(default_factory=dict)
    ns: list[str] = field(default_factory=list)
    static: list[StaticRow] = field(default_factory=list)
    records: list[BalancedRecord] = field(default_factory=list)
    left_out: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """The configuration that is made of `source`, a name without its directory."""

    command: str
    source: str
    default: Table
    views: dict[str, Table] = field(default_factory=dict)
    zones: dict[str, ZoneDraft] = field(default_factory=dict)
    geo_database: str = ""

    @property
    def notes(self) -> list[Note]:
        """Every note, in the order of the zones."""
        found: list[Note] = []
        for zone in self.zones.values():
            for record in zone.records:
                found += record.notes
            found += zone.left_out
        return found
