"""The snapshot: the immutable view that every lookup reads, replaced as a whole on change.

The answer of a name is rendered to bytes once, when the name is built; a lookup is a dictionary
access. Only the names that a change touched are rebuilt.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import translate

from dnslb_backend.core.answers.dynamic import DynamicAnswer, Render
from dnslb_backend.core.answers.layered import Layered
from dnslb_backend.core.answers.name_index import NameEntry, NameIndex
from dnslb_backend.core.answers.selectors import Selector
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import ResourceRecord, next_serial
from dnslb_backend.errors import NotReadyError

RENDERED_AHEAD = 64
"""A name with more rows for transfers is rendered by the transfer, not at each of its changes."""

Decide = Callable[[RecordKey], Decision]

ENT = "ENT"
"""The row type by which PowerDNS learns that a name exists without a record of any type."""


NAME_EXISTS = ("TYPE65280", "\\# 0")
"""Type and content of the row that stands for ENT in a transfer, which has no ENT.

The type is for private use (RFC 6895), in the notation of RFC 3597; no client queries it.
"""


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """One name: its rows, and its rendered answer to ANY.

    `rows` are the same for all clients, `selectors` add what depends on the client or is random.
    `unknown_types` are the types whose answer is unknown; `answer` is None while there are any.
    `transfer_rows` are the rows shown in a transfer, None while they were never known, and
    `transfer_bytes` their rendering, None where the transfer has to render them.
    """

    zone: str
    zone_id: int
    rows: tuple[ResourceRecord, ...]
    selectors: tuple[Selector, ...]
    unknown_types: frozenset[str]
    answer: bytes | DynamicAnswer | None
    transfer_rows: tuple[ResourceRecord, ...] | None
    transfer_bytes: bytes | None

    def all_rows(self) -> list[ResourceRecord]:
        """Every row that some client may get."""
        return [*self.rows, *(row for selector in self.selectors for row in selector.all_rows())]

    def same_answers_as(self, other: "NameAnswer | None") -> bool:
        """Whether both give the same answers to every client."""
        return other is not None and (self.rows, self.selectors, self.unknown_types) == (
            other.rows,
            other.selectors,
            other.unknown_types,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answers of every zone and name at one moment."""

    name_index: NameIndex
    render: Render
    serials: Mapping[str, int]
    names: Layered[NameAnswer]
    no_answer: bytes = field(init=False)
    _changed: Mapping[str, NameAnswer] = field(init=False)
    _base: Mapping[str, NameAnswer] = field(init=False)
    """The layers of `names`, which every lookup searches."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_changed", self.names.changed)
        object.__setattr__(self, "_base", self.names.base)
        object.__setattr__(self, "no_answer", self.render((), 0))

    def lookup(self, name: str, qtype: str) -> bytes | DynamicAnswer:
        """The answer for a canonical name and a type or ANY.

        Bytes for PowerDNS, or a DynamicAnswer where it depends on the client or is random. Raises
        NotReadyError while health is unknown.
        """
        node = self._base.get(name)
        if node is None:
            return self.no_answer
        if name in self._changed:
            node = self._changed[name]
        if qtype == "ANY":
            if (answer := node.answer) is None:
                raise NotReadyError(f"{name}: health is not known yet{_consequence(name, node)}")
            return answer
        return self._lookup_type(name, node, qtype)

    def rows(self, zone: str) -> list[ResourceRecord]:
        """The rows of a transfer of the zone, its SOA first. Raises NotReadyError."""
        self.transfer(zone)
        return [row for node in self._names_of(zone) for row in node.transfer_rows or ()]

    def transfer(self, zone: str) -> list[bytes]:
        """As `rows`, rendered name by name. Raises NotReadyError.

        A secondary cannot distinguish clients and cannot answer SERVFAIL for one type. So it gets
        what clients in no view get, all members that policies choose from, and the last known
        rows of types that are unknown now.
        """
        found = []
        for node in self._names_of(zone):
            if node.transfer_rows is None:
                raise NotReadyError(
                    f"{zone}: health is not known yet, so the zone cannot be transferred"
                )
            if node.transfer_rows:
                found.append(node.transfer_bytes or self.render(node.transfer_rows, node.zone_id))
        return found

    def _names_of(self, zone: str) -> Iterator[NameAnswer]:
        yield self.names[zone]
        yield from (self.names[name] for name in self.name_index.names[zone] if name != zone)

    def search(self, pattern: str, limit: int) -> list[tuple[int, ResourceRecord]]:
        """At most `limit` rows whose name or content matches a glob of `*` and `?`, with zone."""
        matches = re.compile(translate(pattern.replace("[", "[[]")), re.IGNORECASE).match
        found: list[tuple[int, ResourceRecord]] = []
        for node in self.names.values():
            for row in node.all_rows():
                if len(found) >= limit:
                    return found
                if matches(row.qname) or matches(row.content):
                    found.append((node.zone_id, row))
        return found

    def with_answers(
        self, names: Iterable[str], decide: Decide, wall: float
    ) -> tuple["Snapshot", frozenset[str]]:
        """The snapshot with `names` rebuilt, and the names whose answers changed.

        When any name of a zone changes, its serial rises, and so its apex changes too.
        """
        nodes: dict[str, NameAnswer] = {}
        for name in names:
            entry = self.name_index.entries.get(name)
            if entry is not None:
                node = self._rebuilt(entry, self.serials[entry.zone.name], decide)
                if not node.same_answers_as(self.names[name]):
                    nodes[name] = node
        if not nodes:
            return self, frozenset()
        serials = dict(self.serials)
        for zone in {node.zone for node in nodes.values()}:
            serials[zone] = next_serial(serials[zone], wall)
            nodes[zone] = self._rebuilt(self.name_index.entries[zone], serials[zone], decide)
        names_after = self.names.replaced(nodes)
        return Snapshot(self.name_index, self.render, serials, names_after), frozenset(nodes)

    def _rebuilt(self, entry: NameEntry, serial: int, decide: Decide) -> NameAnswer:
        last_transferred = self.names[entry.name].transfer_rows
        return build_name_answer(entry, serial, decide, self.render, last_transferred)

    def _lookup_type(self, name: str, node: NameAnswer, qtype: str) -> bytes | DynamicAnswer:
        if qtype in node.unknown_types:
            raise NotReadyError(f"{name} {qtype}: health is not known yet")
        rows = [row for row in node.rows if row.qtype == qtype]
        selectors = [selector for selector in node.selectors if selector.type == qtype]
        if selectors:
            return DynamicAnswer(rows, selectors, no_data(name), node.zone_id, self.render)
        if rows:
            return self.render(rows, node.zone_id)
        if qtype == "SOA":
            # PowerDNS queries SOA to find the apex of a zone, and takes any row for one.
            return self.no_answer
        return self.render((no_data(name),), node.zone_id)


def _consequence(name: str, node: NameAnswer) -> str:
    if name != node.zone:
        return ""
    return "; until then, with consistent-backends=yes in pdns.conf, its whole zone is SERVFAIL"


def build_snapshot(
    name_index: NameIndex,
    decide: Decide,
    render: Render,
    wall: float,
    before: Snapshot | None = None,
    serials: Mapping[str, int] | None = None,
    differing: Collection[str] | None = None,
) -> tuple[Snapshot, frozenset[str]]:
    """A snapshot of all names, and every name whose answers differ from those in `before`.

    `differing` are those of `differing_names`, where the caller has them: the others are not built
    again, but kept as they are in `before`, for `with_answers` to update.

    A zone keeps its serial over a reload that changes nothing in it; `serials` are the last ones
    that an earlier run of the daemon served.
    """
    known = {**(serials or {}), **(before.serials if before else {})}
    old: Mapping[str, NameAnswer] = before.names if before else {}
    if differing is None:
        differing = name_index.entries.keys() | old.keys()
    draft = before.names.flat() if before else {}
    for name in differing:
        entry = name_index.entries.get(name)
        if entry is None:
            draft.pop(name, None)
            continue
        draft[name] = build_name_answer(
            entry, known.get(entry.zone.name, 0), decide, render, _last_transfer_rows(before, entry)
        )
    changed = {
        name
        for name in differing
        if name not in draft or not draft[name].same_answers_as(old.get(name))
    }
    moved = {(draft.get(name) or old[name]).zone for name in changed} | {
        zone for zone in name_index.zones if before is None or zone not in before.serials
    }
    # Serials of removed zones are kept, as a zone may come back.
    fresh = known | {
        zone: next_serial(known.get(zone, 0), wall) for zone in moved & name_index.zones.keys()
    }
    for zone in moved & name_index.zones.keys():
        entry = name_index.entries[zone]
        draft[zone] = build_name_answer(
            entry, fresh[zone], decide, render, _last_transfer_rows(before, entry)
        )
    return Snapshot(name_index, render, fresh, Layered(draft)), frozenset(changed | moved)


def build_name_answer(
    entry: NameEntry,
    serial: int,
    decide: Decide,
    render: Render,
    last_transferred: tuple[ResourceRecord, ...] | None = None,
) -> NameAnswer:
    """Build the answers of one name from the decisions of its records.

    `last_transferred` are the rows of this name in transfers so far, None: never any.
    """
    zone = entry.zone
    rows: list[ResourceRecord] = []
    selectors: list[Selector] = []
    unknown_static: set[str] = set()
    unknown: set[str] = set()
    if entry.is_apex:
        rows.append(ResourceRecord(zone.spelling, "SOA", zone.soa.content(serial), zone.soa.ttl))
    rows += entry.static
    for record, table in entry.records:
        decision = decide(record.key)
        selector = Selector(record, decision, table)
        if decision.is_servfail:
            unknown.add(record.key.type)
        if not selector.is_static:
            selectors.append(selector)
        elif decision.is_servfail:
            unknown_static.add(record.key.type)
        else:
            rows += selector.all_rows()
    # PowerDNS lists authoritative types in its NSEC proofs, and would list ENT as one.
    empty = no_data(entry.name)._replace(auth=not (entry.records or entry.static))
    answer: bytes | DynamicAnswer | None = None
    if not unknown_static:
        answer = (
            DynamicAnswer(rows, selectors, empty, zone.id, render)
            if selectors
            else render(rows or [empty], zone.id)
        )
    transfer_rows = _transfer_rows(entry, rows, selectors, unknown, last_transferred)
    transfer_bytes = answer if isinstance(answer, bytes) and rows else None
    if (
        transfer_bytes is None
        and transfer_rows is not None
        and len(transfer_rows) <= RENDERED_AHEAD
    ):
        transfer_bytes = render(transfer_rows, zone.id)
    return NameAnswer(
        zone.name,
        zone.id,
        tuple(rows),
        tuple(selectors),
        frozenset(unknown_static),
        answer,
        transfer_rows,
        transfer_bytes,
    )


def _transfer_rows(
    entry: NameEntry,
    rows: Sequence[ResourceRecord],
    selectors: Sequence[Selector],
    unknown: Set[str],
    last_transferred: tuple[ResourceRecord, ...] | None,
) -> tuple[ResourceRecord, ...] | None:
    """The rows of a name in a transfer; those of unknown types are the last known ones.

    A name without a serving member still exists: where it has no other rows, NAME_EXISTS is one.
    """
    if unknown and last_transferred is None:
        return None
    found = (
        *rows,
        *(
            row
            for selector in selectors
            if selector.type not in unknown
            for row in selector.common_rows()
        ),
        *(row for row in last_transferred or () if row.qtype in unknown),
    )
    marker = ResourceRecord(entry.name, *NAME_EXISTS, entry.zone.soa.minimum)
    if found or not entry.records or (unknown and marker not in (last_transferred or ())):
        return found
    return (marker,)


def _last_transfer_rows(
    before: Snapshot | None, entry: NameEntry
) -> tuple[ResourceRecord, ...] | None:
    """The rows of a name in transfers of its zone so far, None: never any."""
    if before is None or entry.zone.name not in before.name_index.zones:
        return None
    node = before.names.get(entry.name)
    return () if node is None or node.zone != entry.zone.name else node.transfer_rows


def no_data(name: str) -> ResourceRecord:
    """The row for a name that exists without the type in question."""
    return ResourceRecord(name, ENT, "", 0)
