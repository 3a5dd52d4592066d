"""The snapshot: the immutable view that every lookup reads, replaced whole on change.

What PowerDNS is told about one name is rendered to bytes once, when the name is built; a
lookup is a dictionary access. Only the names that a change touched are built again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import translate

from dnslb_backend.core.choices import Choice, Render
from dnslb_backend.core.decision import Decision
from dnslb_backend.core.layout import Layout, Place
from dnslb_backend.core.menus import Menu
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.zones import Row, Zone, next_serial
from dnslb_backend.errors import NotReadyError

RENDERED_AHEAD = 64
"""Rows of one name that are rendered for transfers whenever it changes: no lookup needs them."""

Decide = Callable[[RecordKey], Decision]

ENT = "ENT"
"""The row type that tells PowerDNS: the name exists, but has no record of any type."""


NAME_EXISTS = ("TYPE65280", "\\# 0")
"""Type and content of a row that says so where ENT cannot be said: in a transfer.

The type is one for private use (RFC 6895), written as RFC 3597 says, that nobody asks for.
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One name: what it may answer, and the answer to ANY.

    `rows` are those that everybody is given, `menus` what depends on who asks. `faults` are
    the types whose answer is not known; `answer` is None then, since ANY has no truthful one.
    `listed` are the rows that a transfer shows, None where that was never known. `listing` is
    their rendering; None where they are so many that it is left to the transfer.
    """

    zone: Zone
    rows: tuple[Row, ...]
    menus: tuple[Menu, ...]
    faults: frozenset[str]
    answer: bytes | Choice | None
    listed: tuple[Row, ...] | None
    listing: bytes | None

    def all_rows(self) -> list[Row]:
        """Every row that some client may be given."""
        return [*self.rows, *(row for menu in self.menus for row in menu.all_rows())]

    def reads_as(self, other: "Node | None") -> bool:
        """Whether nobody could tell the two apart."""
        return other is not None and (self.rows, self.menus, self.faults) == (
            other.rows,
            other.menus,
            other.faults,
        )


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

    def lookup(self, name: str, qtype: str) -> bytes | Choice:
        """The answer for a canonical name and a type or ANY.

        It is bytes for PowerDNS, or a Choice where it depends on who asks. Raises NotReadyError
        where the truth is not known yet.
        """
        node = self.nodes.get(name)
        if node is None:
            return self.nothing
        if qtype == "ANY":
            if node.answer is None:
                raise NotReadyError(f"{name}: health is not known yet{_consequence(name, node)}")
            return node.answer
        return self._lookup_type(name, node, qtype)

    def rows(self, zone: str) -> list[Row]:
        """The rows that a transfer of a zone shows, its SOA first. Raises NotReadyError."""
        self.transfer(zone)
        return [row for node in self._nodes_of(zone) for row in node.listed or ()]

    def transfer(self, zone: str) -> list[bytes]:
        """As `rows`, rendered name by name. Raises NotReadyError.

        A secondary cannot tell clients apart and cannot say that it does not know. So it is
        given what clients in no view are, all that policies choose from, and of what is not
        known now, what was known last.
        """
        found = []
        for node in self._nodes_of(zone):
            if node.listed is None:
                raise NotReadyError(f"{zone}: health is not known yet, it cannot be transferred")
            if node.listed:
                found.append(node.listing or self.render(node.listed, node.zone.id))
        return found

    def _nodes_of(self, zone: str) -> Iterator[Node]:
        yield self.nodes[zone]
        yield from (self.nodes[name] for name in self.layout.names[zone] if name != zone)

    def search(self, pattern: str, limit: int) -> list[tuple[int, Row]]:
        """At most `limit` rows whose name or content matches a glob of `*` and `?`, with zone."""
        matches = re.compile(translate(pattern.replace("[", "[[]")), re.IGNORECASE).match
        found: list[tuple[int, Row]] = []
        for node in self.nodes.values():
            for row in node.all_rows():
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
            node = build_node(
                place, self.serials[place.zone.name], decide, self.render, nodes[name].listed
            )
            if not node.reads_as(nodes[name]):
                nodes[name] = node
                changed.add(name)
        serials = dict(self.serials)
        for zone in {nodes[name].zone.name for name in changed}:
            serials[zone] = next_serial(serials[zone], wall)
            nodes[zone] = build_node(
                self.layout.places[zone], serials[zone], decide, self.render, nodes[zone].listed
            )
            changed.add(zone)
        return Snapshot(self.layout, self.render, serials, nodes), frozenset(changed)

    def _lookup_type(self, name: str, node: Node, qtype: str) -> bytes | Choice:
        if qtype in node.faults:
            raise NotReadyError(f"{name} {qtype}: health is not known yet")
        rows = [row for row in node.rows if row.qtype == qtype]
        menus = [menu for menu in node.menus if menu.type == qtype]
        if menus:
            return Choice(rows, menus, no_data(name), node.zone.id, self.render)
        if rows:
            return self.render(rows, node.zone.id)
        if qtype == "SOA":
            # PowerDNS asks for SOA to find where a zone begins, and takes any row for one.
            return self.nothing
        return self.render((no_data(name),), node.zone.id)


def _consequence(name: str, node: Node) -> str:
    if name != node.zone.name:
        return ""
    return "; with consistent-backends=yes in pdns.conf its whole zone is SERVFAIL meanwhile"


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
        name: build_node(
            place, known.get(place.zone.name, 0), decide, render, _last_listed(before, place)
        )
        for name, place in layout.places.items()
    }
    old: Mapping[str, Node] = before.nodes if before else {}
    changed = {
        name
        for name in draft.keys() | old.keys()
        if name not in draft or not draft[name].reads_as(old.get(name))
    }
    moved = {(draft.get(name) or old[name]).zone.name for name in changed} | {
        zone for zone in layout.zones if before is None or zone not in before.serials
    }
    # Those of zones that are gone stay known: they may come back.
    fresh = known | {
        zone: next_serial(known.get(zone, 0), wall) for zone in moved & layout.zones.keys()
    }
    for zone in moved & layout.zones.keys():
        place = layout.places[zone]
        draft[zone] = build_node(place, fresh[zone], decide, render, _last_listed(before, place))
    return Snapshot(layout, render, fresh, draft), frozenset(changed | moved)


def build_node(
    place: Place,
    serial: int,
    decide: Decide,
    render: Render,
    last_listed: tuple[Row, ...] | None = None,
) -> Node:
    """Everything at one name, as it is to be told now.

    `last_listed` are the rows of this name that transfers have shown so far, None: never any.
    """
    zone = place.zone
    rows: list[Row] = []
    menus: list[Menu] = []
    faults: set[str] = set()
    unknown: set[str] = set()
    if place.is_apex:
        rows.append(Row(zone.spelling, "SOA", zone.soa.content(serial), zone.soa.ttl))
    rows += place.static
    for record, table in place.records:
        decision = decide(record.key)
        menu = Menu(record, decision, table)
        if decision.is_fault:
            unknown.add(record.key.type)
        if not menu.is_fixed:
            menus.append(menu)
        elif decision.is_fault:
            faults.add(record.key.type)
        else:
            rows += menu.all_rows()
    # PowerDNS lists the types that are ours in its proofs, and would take this for one.
    empty = no_data(place.name)._replace(auth=not (place.records or place.static))
    answer: bytes | Choice | None = None
    if not faults:
        answer = (
            Choice(rows, menus, empty, zone.id, render)
            if menus
            else render(rows or [empty], zone.id)
        )
    listed = _listed(place, rows, menus, unknown, last_listed)
    listing = answer if isinstance(answer, bytes) and rows else None
    if listing is None and listed is not None and len(listed) <= RENDERED_AHEAD:
        listing = render(listed, zone.id)
    return Node(zone, tuple(rows), tuple(menus), frozenset(faults), answer, listed, listing)


def _listed(
    place: Place,
    rows: Sequence[Row],
    menus: Sequence[Menu],
    unknown: Set[str],
    last_listed: tuple[Row, ...] | None,
) -> tuple[Row, ...] | None:
    """The rows of a name that a transfer shows; of types that are unknown, the last ones.

    A name where nobody may serve exists: where it has nothing else, a row says so.
    """
    if unknown and last_listed is None:
        return None
    found = (
        *rows,
        *(row for menu in menus if menu.type not in unknown for row in menu.common_rows()),
        *(row for row in last_listed or () if row.qtype in unknown),
    )
    sign = Row(place.name, *NAME_EXISTS, place.zone.soa.minimum)
    if found or not place.records or (unknown and sign not in (last_listed or ())):
        return found
    return (sign,)


def _last_listed(before: Snapshot | None, place: Place) -> tuple[Row, ...] | None:
    """The rows of a name that transfers of its zone have shown; None if there never were any."""
    if before is None or place.zone.name not in before.layout.zones:
        return None
    node = before.nodes.get(place.name)
    return () if node is None or node.zone.name != place.zone.name else node.listed


def no_data(name: str) -> Row:
    """The row that says: this name exists, what was asked for does not."""
    return Row(name, ENT, "", 0)
