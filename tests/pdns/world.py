"""A small configuration and its snapshot, whose decisions a test changes at will."""

from dataclasses import replace

from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import Dest, Record, RecordKey, Timing
from dnslb_backend.core.model.zones import ResourceRecord, Soa, Zone, assign_ids
from dnslb_backend.pdns.wire.rows import render_rows

TIMING = Timing(interval=5, timeout=2, dns_timeout=1)

WALL = 1_790_000_000.0

LB = "lb.example"
OTHER = "other.example"

STATIC = (
    ("ns1", "A", "192.0.2.53"),
    ("alias", "CNAME", "www.lb.example."),
    ("far-alias", "CNAME", "alias.lb.example."),
    ("*.wild", "A", "192.0.2.77"),
    ("*.wildalias", "CNAME", "www.lb.example."),
    ("leaf.b.deep", "TXT", '"a \\"quoted\\" text; with \\\\ and \\009" "and more"'),
    ("mail", "MX", "10 www.lb.example."),
    ("_sip._tcp", "SRV", "1 2 5060 www.lb.example."),
    ("sub", "NS", "ns.sub.lb.example."),
    ("ns.sub", "A", "192.0.2.99"),
    ("a\\.b", "A", "192.0.2.44"),
    ("sp\\032ace", "A", "192.0.2.45"),
    ("sla/sh", "A", "192.0.2.46"),
)


class World:
    """Two zones: `lb.example` with static rows and balanced ones, `other.example` with one.

    `nested` is the name of a third one, with nothing in it.
    """

    def __init__(self, nested: str = "") -> None:
        ids = assign_ids([LB, OTHER, *filter(None, [nested])])
        self.zones = {
            LB: _zone(LB, "LB.example", ids, STATIC),
            OTHER: _zone(OTHER, OTHER, ids, ()),
        }
        if nested:
            self.zones[nested] = _zone(nested, nested, ids, ())
        self.decisions: dict[RecordKey, Decision] = {}
        self.records: dict[RecordKey, Record] = {}
        self.serve("www", "A", "10.0.0.1", "10.0.0.2")
        self.serve("www", "AAAA", "2001:db8::1")
        self.serve("V4", "A", "10.0.0.4")
        self.serve("empty", "A")
        self.serve("api", "A", "10.0.0.9", zone=OTHER)
        self.add("pending", "A", Decision(DecisionKind.PENDING))
        self.snapshot = self.build()

    def serve(self, name: str, qtype: str, *contents: str, zone: str = LB) -> RecordKey:
        """Add a record that serves these; nothing served is NODATA."""
        kind = DecisionKind.SERVE if contents else DecisionKind.NODATA
        return self.add(name, qtype, Decision(kind, contents), zone)

    def add(self, name: str, qtype: str, decision: Decision, zone: str = LB) -> RecordKey:
        spelling = f"{name}.{zone}" if name else zone
        key = RecordKey(zone, canonical_name(f"{spelling}."), qtype)
        self.records[key] = Record(key, spelling, 5, (Dest("192.0.2.1"),), (), TIMING)
        self.decisions[key] = decision
        return key

    def build(self) -> Snapshot:
        layout = build_name_index(Plan(self.zones, self.records))
        snapshot, _ = build_snapshot(layout, self.decisions.__getitem__, render_rows, WALL)
        return snapshot

    def rebuild(self) -> frozenset[str]:
        """What a reload does; the names that read differently since."""
        layout = build_name_index(Plan(self.zones, self.records))
        self.snapshot, changed = build_snapshot(
            layout, self.decisions.__getitem__, render_rows, WALL, self.snapshot
        )
        return changed

    def forget(self, name: str, qtype: str, zone: str = LB) -> None:
        del self.records[RecordKey(zone, canonical_name(f"{name}.{zone}."), qtype)]

    def notify(self, secondary: str) -> None:
        """From now on lb.example has a secondary, whose network may transfer it."""
        zone = replace(self.zones[LB], also_notify=(secondary,), allow_axfr=("192.0.2.0/24",))
        self.zones[LB] = zone
        self.rebuild()

    def drop_zone(self, zone: str) -> None:
        del self.zones[zone]
        self.records = {key: record for key, record in self.records.items() if key.zone != zone}

    def change(self, name: str, qtype: str, *contents: str, zone: str = LB) -> frozenset[str]:
        """Another answer from now on; the names that read differently."""
        key = self.serve(name, qtype, *contents, zone=zone)
        return self.decide(key, self.decisions[key])

    def decide(self, key: RecordKey, decision: Decision) -> frozenset[str]:
        self.decisions[key] = decision
        self.snapshot, changed = self.snapshot.with_answers(
            [key.name], self.decisions.__getitem__, WALL
        )
        return changed

    def current(self) -> Snapshot:
        return self.snapshot


def _zone(
    name: str, spelling: str, ids: dict[str, int], static: tuple[tuple[str, str, str], ...]
) -> Zone:
    rows = tuple(
        ResourceRecord(f"{owner}.{name}", qtype, content, 300) for owner, qtype, content in static
    )
    soa = Soa(f"ns1.{name}", f"hostmaster.{name}")
    return Zone(name, spelling, soa, (f"ns1.{LB}", f"ns2.{LB}"), rows, ids[name])
