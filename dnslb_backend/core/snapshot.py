"""The snapshot: the immutable view that every lookup reads, replaced whole on change.

What PowerDNS is told about one name is rendered to bytes once, when the name is built; a
lookup is a dictionary access. Only the names that a change touched are built again.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from dnslb_backend.core.decision import Decision
from dnslb_backend.core.layout import Layout, Place
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.zones import Row, Zone, next_serial
from dnslb_backend.errors import NotReadyError

Render = Callable[[Sequence[Row], int], bytes]
"""Writes rows of one zone (its number second) in PowerDNS's form; no rows: no such name."""

Decide = Callable[[RecordKey], Decision]

ENT = "ENT"
"""The row type that tells PowerDNS: the name exists, but has no record of any type."""


@dataclass(frozen=True, slots=True)
class Node:
    """One name: its rows, the types whose answer is not known, and the answer to ANY.

    `rendered` is None where a type is not known, since ANY then has no truthful answer.
    """

    zone: Zone
    rows: tuple[Row, ...]
    faults: frozenset[str]
    rendered: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every zone and name as PowerDNS may be told at one moment."""

    layout: Layout
    render: Render
    serials: Mapping[str, int]
    nodes: Mapping[str, Node]
    nothing: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nothing", self.render((), 0))

    def lookup(self, name: str, qtype: str) -> bytes:
        """The answer for a canonical name and a type or ANY, as bytes for PowerDNS.

        Raises NotReadyError where the truth is not known yet.
        """
        node = self.nodes.get(name)
        if node is None:
            return self.nothing
        if qtype == "ANY":
            if node.rendered is None:
                raise NotReadyError(f"{name}: health is not known yet")
            return node.rendered
        return self._lookup_type(name, node, qtype)

    def rows(self, zone: str) -> list[Row]:
        """Every row of a zone, its SOA first, for a transfer. Raises NotReadyError."""
        apex = self.nodes[zone]
        found = list(apex.rows)
        for name in self.layout.names[zone]:
            node = self.nodes[name]
            if node.faults:
                raise NotReadyError(f"{name}: health is not known yet")
            if node is not apex:
                found += node.rows
        return found

    def search(self, pattern: str, limit: int) -> list[tuple[int, Row]]:
        """At most `limit` rows whose name or content matches a glob of `*` and `?`, with zone."""
        matches = re.compile(translate(pattern.replace("[", "[[]")), re.IGNORECASE).match
        found: list[tuple[int, Row]] = []
        for node in self.nodes.values():
            for row in node.rows:
                if len(found) >= limit:
                    return found
                if matches(row.qname) or matches(row.content):
                    found.append((node.zone.id, row))
        return found

    def with_answers(
        self, names: Iterable[str], decide: Decide, wall: float
    ) -> tuple["Snapshot", frozenset[str]]:
        """The snapshot after `names` were decided anew, and the names that read differently.

        The serial of a zone rises when any of its names changed, and so its apex changes too.
        """
        nodes = dict(self.nodes)
        changed: set[str] = set()
        for name in names:
            place = self.layout.places.get(name)
            if place is None:
                continue
            node = build_node(place, self.serials[place.zone.name], decide, self.render)
            if (node.rows, node.faults) != (nodes[name].rows, nodes[name].faults):
                nodes[name] = node
                changed.add(name)
        serials = dict(self.serials)
        for zone in {nodes[name].zone.name for name in changed}:
            serials[zone] = next_serial(serials[zone], wall)
            nodes[zone] = build_node(self.layout.places[zone], serials[zone], decide, self.render)
            changed.add(zone)
        return Snapshot(self.layout, self.render, serials, nodes), frozenset(changed)

    def _lookup_type(self, name: str, node: Node, qtype: str) -> bytes:
        if qtype in node.faults:
            raise NotReadyError(f"{name} {qtype}: health is not known yet")
        rows = [row for row in node.rows if row.qtype == qtype]
        if rows:
            return self.render(rows, node.zone.id)
        if qtype == "SOA":
            # PowerDNS asks for SOA to find where a zone begins, and takes any row for one.
            return self.nothing
        return self.render((no_data(name),), node.zone.id)


def build_snapshot(
    layout: Layout,
    decide: Decide,
    render: Render,
    wall: float,
    before: Snapshot | None = None,
    serials: Mapping[str, int] | None = None,
) -> tuple[Snapshot, frozenset[str]]:
    """A snapshot from nothing, and every name that reads differently than in `before`.

    A zone keeps its serial over a reload that changed nothing in it; `serials` are the last
    ones that an earlier run of this program handed out.
    """
    known = {**(serials or {}), **(before.serials if before else {})}
    draft = {
        name: build_node(place, known.get(place.zone.name, 0), decide, render)
        for name, place in layout.places.items()
    }
    old: Mapping[str, Node] = before.nodes if before else {}
    changed = {
        name for name in draft.keys() | old.keys() if _differs(draft.get(name), old.get(name))
    }
    moved = {(draft.get(name) or old[name]).zone.name for name in changed} | {
        zone for zone in layout.zones if before is None or zone not in before.serials
    }
    fresh = {
        zone: next_serial(known.get(zone, 0), wall) if zone in moved else known[zone]
        for zone in layout.zones
    }
    for zone in moved & layout.zones.keys():
        draft[zone] = build_node(layout.places[zone], fresh[zone], decide, render)
    return Snapshot(layout, render, fresh, draft), frozenset(changed | moved)


def build_node(place: Place, serial: int, decide: Decide, render: Render) -> Node:
    """Everything at one name, as it is to be told now."""
    zone = place.zone
    rows: list[Row] = []
    faults: set[str] = set()
    if place.is_apex:
        rows.append(Row(zone.spelling, "SOA", zone.soa.content(serial), zone.soa.ttl))
    rows += place.static
    for record in place.records:
        decision = decide(record.key)
        if decision.is_fault:
            faults.add(record.key.type)
        rows += (
            Row(record.spelling, record.key.type, content, record.ttl)
            for content in decision.contents
        )
    rendered = None if faults else render(rows or [no_data(place.name)], zone.id)
    return Node(zone, tuple(rows), frozenset(faults), rendered)


def no_data(name: str) -> Row:
    """The row that says: this name exists, what was asked for does not."""
    return Row(name, ENT, "", 0)


def _differs(node: Node | None, other: Node | None) -> bool:
    if node is None or other is None:
        return True
    return (node.rows, node.faults) != (other.rows, other.faults)
