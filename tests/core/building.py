"""Records, plans and moments for the core's tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.saved_state import SavedState, capture_record
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import CheckQuestion, ballot
from dnslb_backend.core.model.records import AllDown, Dest, Record, RecordKey, Timing
from dnslb_backend.core.model.rules import Thresholds
from dnslb_backend.core.model.views import View
from dnslb_backend.core.model.zones import ResourceRecord, Soa, Zone, assign_ids

ZONE = "lb.example"
KEY = RecordKey(ZONE, f"www.{ZONE}", "A")
TIMING = Timing(interval=5, timeout=2, dns_timeout=1, dns_ttl=300, stale_after=18)


def at(seconds: float) -> Instant:
    return Instant(1_700_000_000 + seconds, seconds)


def zone(name: str = ZONE, static: Iterable[ResourceRecord] = ()) -> Zone:
    soa = Soa(f"ns1.{name}", f"hostmaster.{name}")
    return Zone(name, name, soa, (f"ns1.{name}",), tuple(static), assign_ids([name])[name])


def dest(text: str) -> Dest:
    host, _, prio = text.partition("@")
    return Dest(host, int(prio or 1), is_literal=host[0].isdigit())


def record(
    *dests: str,
    key: RecordKey = KEY,
    fallback: Iterable[str] = (),
    all_down: AllDown | None = None,
    checks: tuple[str, ...] = ("check",),
    require: int | None = None,
    rise: int = 1,
    fall: int = 1,
    prio_min_cnt: int = 1,
    timing: Timing = TIMING,
) -> Record:
    spare = tuple(dest(text) for text in fallback)
    return Record(
        key=key,
        spelling=key.name,
        ttl=5,
        dests=tuple(dest(text) for text in dests),
        checks=checks,
        timing=timing,
        require=len(checks) if require is None else require,
        thresholds=Thresholds(rise, fall),
        prio_min_cnt=prio_min_cnt,
        fallback=spare,
        all_down=all_down or (AllDown.FALLBACK if spare else AllDown.NODATA),
    )


def plan(
    *records: Record,
    static: Iterable[ResourceRecord] = (),
    questions: Mapping[str, CheckQuestion] | None = None,
) -> Plan:
    zones = {item.key.zone for item in records} | {ZONE}
    built = {name: zone(name, static if name == ZONE else ()) for name in sorted(zones)}
    views = {name: View(name) for item in records for each in item.dests for name in each.views}
    asked = questions or {check: CheckQuestion(check) for item in records for check in item.checks}
    return Plan(built, {item.key: item for item in records}, views, asked, ballot(records, asked))


class Driver:
    """A health map told of whole rounds, the way the scheduler tells it."""

    def __init__(self, *records: Record, agreement: Agreement | None = None) -> None:
        self.health_map = HealthMap(agreement)
        self.clock = 0.0
        self.adopt(*records)

    def adopt(self, *records: Record) -> Sequence[RecordKey]:
        changed = self.health_map.apply_plan(plan(*records), at(self.clock)).changed
        self._check_stale()
        return changed

    def hear(self, address: str, result: Result, key: RecordKey = KEY, check: int = 0) -> None:
        self.clock += 0.1
        self.tell(self.target(address, key, check), result, at(self.clock))
        self.health_map.decide_marked()
        self._check_stale()

    def tell(self, target: TargetKey, result: Result, moment: Instant) -> None:
        if not self.health_map.repeat(target, result, moment):
            self.health_map.record(self.health_map.observe(target, result, moment))

    def target(self, address: str, key: RecordKey = KEY, check: int = 0) -> TargetKey:
        return TargetKey(address, None, self.health_map.records[key].record.checks[check])

    def resolve(self, host: str, *addresses: str, status: Status | None = None) -> None:
        kind = status or (Status.FOUND if addresses else Status.EMPTY)
        self.clock += 0.1
        self.health_map.record_resolution(KEY, host, Resolution(kind, addresses), at(self.clock))
        self.health_map.decide_marked()

    def round(self, results: dict[str, Result], key: RecordKey = KEY) -> set[str]:
        """One round in which every named address answers; the set that is served after it."""
        self.health_map.open_cycle(key)
        for address, result in results.items():
            self.health_map.targets.begin(self.target(address, key))
            self.hear(address, result, key)
        self.close(key)
        return self.served(key)

    def close(self, key: RecordKey = KEY) -> None:
        self.clock += 0.1
        self.health_map.close_cycle(key, at(self.clock))

    def served(self, key: RecordKey = KEY) -> set[str]:
        self.health_map.decide_marked()
        return set(self.health_map.records[key].decision.contents)

    def wait(self, seconds: float) -> None:
        """Let time pass and the map look for targets that fell silent."""
        self.clock += seconds
        self.health_map.expire_stale(list(self.health_map.targets), at(self.clock))
        self.health_map.readmit(at(self.clock))
        self.health_map.decide_marked()
        self._check_stale()

    def _check_stale(self) -> None:
        targets = self.health_map.targets
        assert set(targets.stale) == {each for each in targets if targets.seen(each).stale}


def capture(health: HealthMap, serials: Mapping[str, int], at: Instant) -> SavedState:
    """Everything that a later run needs, as of now."""
    records = {key: capture_record(state, health, at) for key, state in health.records.items()}
    return SavedState(records, dict(serials), health.overrides, taken=at.wall, elapsed=0.0)


def timed(base: Record, **changes: float) -> Record:
    return replace(base, timing=replace(base.timing, **changes))
