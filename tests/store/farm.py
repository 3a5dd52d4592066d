"""A daemon's map without its checks: records whose members the test lets pass and fail."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dnslb_backend.clock import now
from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.results import Result, failed, passed
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import Dest, Record, RecordKey
from dnslb_backend.core.model.views import View
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.pdns.wire.rows import render_rows
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import STATE, TableRow
from dnslb_backend.store.mirror.record_rows import record_rows
from dnslb_backend.store.mirror.rows import Stamp
from tests.core.building import TIMING, ZONE, capture, plan

COMPARED = tuple(
    name for name in STATE.columns if name not in ("node", "row_key", "session", "checks")
)
"""All but who wrote it, and what has times of the monotonic clock in it."""

PASS, FAIL = passed("200 in 3 ms"), failed(-2, "timed out after 2 s")


def farm_record(name: str, *members: str, interval: float = 5.0, **changes: object) -> Record:
    """`members` are addresses, or any text where what is served is no address."""
    key = RecordKey(ZONE, f"{name}.{ZONE}", "A")
    record = Record(
        key=key,
        spelling=key.name,
        ttl=5,
        dests=tuple(Dest(member, is_literal=True) for member in members),
        checks=(f"check {name}",),
        timing=replace(TIMING, interval=interval),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def many_records(count: int, members: int, interval: float = 5.0) -> list[Record]:
    """So many records with so many members each, no address twice."""
    return [
        farm_record(
            f"n{number:05}",
            *(f"10.{number >> 8 & 255}.{number & 255}.{member}" for member in range(members)),
            interval=interval,
        )
        for number in range(count)
    ]


class Farm:
    """The map, the snapshot, and the way from one to the other."""

    def __init__(self, *records: Record, static: Iterable[ZoneRow] = ()) -> None:
        self.static = list(static)
        self.map = HealthMap()
        self.plan = self._plan(records)
        self.map.apply_plan(self.plan, now())
        self.snapshot = self._build(None, {})

    def reload(self, *records: Record) -> None:
        self.plan = self._plan(records)
        self.map.apply_plan(self.plan, now())
        self.snapshot = self._build(self.snapshot, {})

    def restore_serials(self, serials: Mapping[str, int]) -> None:
        self.snapshot = self._build(None, serials)

    def check(self, name: str, result: Result, *addresses: str) -> None:
        """A round of one record in which these members, or all, answer with `result`."""
        key = RecordKey(ZONE, f"{name}.{ZONE}", "A")
        self.map.open_cycle(key)
        for target in self.map.targets_of(key):
            if not addresses or target.address in addresses:
                self.map.record(self.map.observe(target, result, now()))
        self.map.close_cycle(key, now())

    def check_all(self, result: Result = PASS) -> None:
        for key in self.map.records:
            self.check(key.name.removesuffix(f".{ZONE}"), result)

    def settle(self) -> tuple[Changes, Snapshot]:
        """What the daemon does after anything happened: a new snapshot, and what to offer."""
        changes = self.map.take_changes()
        names = {key.name for key in changes.answers}
        self.snapshot, _ = self.snapshot.with_answers(names, self.decide, now().wall)
        return changes, self.snapshot

    def decide(self, key: RecordKey) -> Decision:
        return self.map.records[key].decision

    def served(self, name: str) -> set[str]:
        return set(self.decide(RecordKey(ZONE, f"{name}.{ZONE}", "A")).contents)

    def state_rows(self) -> set[TableRow]:
        """lb_state as it ought to be, in the columns that COMPARED names."""
        memory = capture(self.map, {}, now())
        rows = (
            row
            for item in memory.records.values()
            for table, row in record_rows(
                item, Stamp("", ""), self.map.records[item.key].record.timing.interval
            )
            if table is STATE
        )
        return {tuple(row[STATE.columns.index(name)] for name in COMPARED) for row in rows}

    def _plan(self, records: Iterable[Record]) -> Plan:
        found = list(records)
        names = {view for record in found for dest in record.dests for view in dest.views}
        views = {name: View(name, ("10.0.0.0/8",)) for name in names}
        return replace(plan(*found, static=self.static), views=views)

    def _build(self, before: Snapshot | None, serials: Mapping[str, int]) -> Snapshot:
        layout = build_name_index(self.plan)
        built, _ = build_snapshot(layout, self.decide, render_rows, now().wall, before, serials)
        return built


async def stored_state(store: Store, node: str = "ns1") -> set[TableRow]:
    """lb_state of one node as it is, in the columns that COMPARED names."""
    query = Select(STATE, COMPARED, (Where("node", "=", node),))
    rows = await store.read(query)
    assert len(set(rows)) == len(rows)
    return set(rows)
