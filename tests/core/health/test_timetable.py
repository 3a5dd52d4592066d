"""The timetable against a model that knows one target at a time, and so no other one's trouble."""

import heapq
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result, failed, passed
from dnslb_backend.core.health.schedule import phase_start, probe_interval
from dnslb_backend.core.health.target import NEVER_PROBED, TargetState, observe
from dnslb_backend.core.health.timetable import (
    FIRST_PAUSE,
    JUST_PROBED,
    LONGEST_PAUSE,
    Timetable,
)
from dnslb_backend.core.model.quorum import QuorumRules
from dnslb_backend.core.model.records import Record, RecordKey, Timing
from tests.core.building import ZONE, at, plan, record

END = 24.0
ADDRESSES = [f"192.0.2.{number}" for number in range(1, 5)]


@dataclass(frozen=True)
class Reload:
    """From `time` on these records hold."""

    time: float
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Script:
    """Reloads, and by address what its n-th probe takes (s) and brings."""

    reloads: tuple[Reload, ...]
    probes: dict[str, list[tuple[float, bool]]]

    def probe(self, target: TargetKey, number: int) -> tuple[float, Result]:
        seconds, is_pass = self.probes[target.address][number % len(self.probes[target.address])]
        return seconds, passed() if is_pass else failed(1, "exit code 1")


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    # Odd figures: no two things happen at exactly the same moment.
    seconds = st.sampled_from([0.0137, 0.4713, 1.9371, 2.7193, 7.3319])
    timing = Timing(
        interval=draw(st.sampled_from([1.0, 5.0])),
        timeout=9.0,
        dns_timeout=1.0,
        shift=draw(st.sampled_from([None, 0.25])),
        fast_interval=draw(st.sampled_from([None, 0.31, 1.7])),
        down_interval=draw(st.sampled_from([None, 0.43, 1.0, 11.3])),
        stale_after=1e6,
    )
    rise, fall = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def configured() -> tuple[Record, ...]:
        return tuple(
            replace(
                record(
                    *draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True)),
                    key=RecordKey(ZONE, f"{name}.{ZONE}", "A"),
                    rise=rise,
                    fall=fall,
                    timing=timing,
                ),
                ttl=draw(st.integers(1, 2)),
            )
            for name in draw(st.lists(st.sampled_from("abc"), unique=True))
        )

    moments = st.integers(10, 230).map(lambda tenths: tenths / 10 + 0.0217)
    times = [0.0, *sorted(draw(st.lists(moments, max_size=3, unique=True)))]
    results = st.lists(st.tuples(seconds, st.booleans()), min_size=1, max_size=8)
    return Script(
        tuple(Reload(time, configured()) for time in times),
        {address: draw(results) for address in ADDRESSES},
    )


# -- the model: what one target is due for, whatever happens to others ------------------------


def expected(script: Script, target: TargetKey) -> list[float]:
    """When its probes begin."""
    begun: list[float] = []
    state, end, result = NEVER_PROBED, None, passed()
    added: dict[RecordKey, tuple[float, Record]] = {}
    users_before: Set[RecordKey] = set()
    for reload, until in zip(
        script.reloads, [*(r.time for r in script.reloads[1:]), END], strict=True
    ):
        added = {
            each.key: (
                added[each.key]
                if each.key in added and added[each.key][1] == each
                else (reload.time, each)
            )
            for each in reload.records
        }
        users = {k: v for k, v in added.items() if target.address in [d.host for d in v[1].dests]}
        if not users.keys() & users_before:
            # Whether health passes from one record to another is not what is tested here.
            assume(not users or not users_before)
            state = NEVER_PROBED
        users_before = users.keys()
        if not users:
            end = None
            continue
        since, owner = users[min(users)]
        due = reload.time if any(v[0] == reload.time for v in users.values()) else None
        if end is None and due is None:
            due = next_due(state, begun[-1], reload.time, since, owner)
        while True:
            if end is not None:
                if end >= until:
                    break
                state = observe(state, result, at(end), owner.thresholds)
                due, end = next_due(state, begun[-1], end, since, owner), None
            assert due is not None
            if due >= until:
                break
            seconds, result = script.probe(target, len(begun))
            begun.append(due)
            end = due + seconds
    return begun


def next_due(state: TargetState, begun: float, now: float, since: float, owner: Record) -> float:
    """By its own pace after it began, else at the next tick of the record."""
    interval = owner.timing.interval
    if (own := probe_interval(owner.timing, state)) != interval:
        return max(begun + own, now)
    return next(tick for tick in ticks(owner, since) if tick > now)


def ticks(owner: Record, since: float) -> Iterator[float]:
    """All but the first, which is at once."""
    tick = phase_start(str(owner.key), owner.timing.interval, owner.timing.shift, at(since))
    while True:
        if tick >= since + owner.timing.interval / 2:
            yield tick
        tick += owner.timing.interval


# -- the timetable, driven as the scheduler drives it -----------------------------------------


class Run:
    """All targets at once, in virtual time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.map = HealthMap()
        self.timetable = Timetable(self.map, early=0.001)
        self.begun: dict[TargetKey, list[float]] = {}
        self.under_way: dict[TargetKey, int] = {}
        self.ends: list[tuple[float, int, TargetKey, Result]] = []
        self.numbers = iter(range(10**9))
        reloads = list(script.reloads)
        while True:
            reload_time = reloads[0].time if reloads else END
            end_time = self.ends[0][0] if self.ends else END
            now = min(reload_time, end_time, self.timetable.next_due())
            if now >= END:
                return
            if now == reload_time:
                self.reload(reloads.pop(0))
            elif now == end_time:
                self.end()
            else:
                self.begin(now)

    def reload(self, reload: Reload) -> None:
        change = self.map.apply_plan(plan(*reload.records), at(reload.time))
        for key in (*change.removed, *change.changed):
            self.timetable.remove(key)
        for key in change.changed:
            self.timetable.add(key, at(reload.time))
        unused = self.map.targets.take_unused()
        for target in unused:
            self.under_way.pop(target, None)
        self.timetable.forget(unused)
        self.begin(reload.time)

    def begin(self, now: float) -> None:
        for due in self.timetable.take(now, 1000):
            for target in due.targets:
                if self.timetable.begin(target, due.at, now):
                    begun = self.begun.setdefault(target, [])
                    seconds, result = self.script.probe(target, len(begun))
                    begun.append(max(due.at, now))
                    number = self.under_way[target] = next(self.numbers)
                    heapq.heappush(self.ends, (begun[-1] + seconds, number, target, result))

    def end(self) -> None:
        now, number, target, result = heapq.heappop(self.ends)
        if self.under_way.get(target) == number:
            del self.under_way[target]
            self.map.record(self.map.observe(target, result, at(now)))
            self.timetable.end(target, now)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(scripts())
def test_every_target_is_probed_as_if_there_were_no_other_one(script: Script) -> None:
    run = Run(script)
    for address in ADDRESSES:
        target = TargetKey(address, None, "check")
        begun = run.begun.get(target, [])
        wanted = expected(script, target)
        assert [round(t, 6) for t in begun] == [round(t, 6) for t in wanted]


# -- single cases -----------------------------------------------------------------------------

HERE, OTHER = (RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in ("a", "b"))
A = TargetKey(ADDRESSES[0], None, "check")
TIMING = Timing(interval=5, timeout=2, dns_timeout=1, shift=0, stale_after=18)


def timetable(*records: Record) -> Timetable:
    health = HealthMap()
    health.apply_plan(plan(*records), at(0))
    made = Timetable(health)
    for key in health.records:
        made.add(key, Instant(0, 0))
    return made


def test_a_shared_target_is_due_at_the_ticks_of_one_record() -> None:
    pair = [record(A.address, key=key, timing=TIMING) for key in (OTHER, HERE)]
    made = timetable(*pair)
    first = list(made.take(0, 10))
    assert [due.targets for due in first] == [[A], [A]]
    assert [made.begin(A, due.at, 0) for due in first] == [TIMING, None]
    made.end(A, 0.5)
    due = {due.key: due.targets for due in made.take(5, 10)}
    assert due == {HERE: [A], OTHER: []}


@pytest.mark.parametrize("ended", [0.0, 0.5])
def test_a_probe_that_has_ended_counts_for_every_record_that_was_due_then(ended: float) -> None:
    made = timetable(*(record(A.address, key=key, timing=TIMING) for key in (OTHER, HERE)))
    one, other = list(made.take(0, 10))
    assert made.begin(A, one.at, 0)
    made.end(A, ended)
    assert not made.begin(A, other.at, ended)
    assert made.begin(A, 5.0, 5.0)


def test_a_target_that_was_probed_when_its_record_was_added_is_not_due_for_it() -> None:
    made = timetable(*(record(A.address, key=key, timing=TIMING) for key in (OTHER, HERE)))
    found = []
    for due in made.take(0, 10):
        found.append(due.targets)
        for target in due.targets:
            made.begin(target, due.at, 0)
            made.end(target, 0)
    assert found == [[A], []]


def test_a_check_that_cannot_be_run_pauses_longer_every_time() -> None:
    made = timetable(record(A.address, key=HERE, timing=replace(TIMING, interval=0.5)))
    begun, now = [], 0.0
    while now < 20:
        for due in made.take(now, 10):
            for target in due.targets:
                assert made.begin(target, due.at, now)
                begun.append(now)
                made.end(target, now, is_broken=True)
        now = made.next_due()
    gaps = [b - a for a, b in pairwise(begun)]
    assert gaps[:4] == [FIRST_PAUSE, 2.0, 4.0, 8.0]


def test_a_late_turn_begins_each_target_once_and_keeps_the_phase() -> None:
    made = timetable(record(A.address, key=HERE, timing=TIMING))
    for due in made.take(0, 10):
        made.begin(A, due.at, 0)
    made.end(A, 0.1)
    late = list(made.take(31.0, 10))
    assert [due.targets for due in late] == [[A]]
    assert made.next_due() == 35.0


def test_a_check_that_could_be_run_pauses_as_at_first_when_it_breaks_again() -> None:
    made = timetable(record(A.address, key=HERE, timing=replace(TIMING, interval=0.5)))
    begun, now = [], 0.0
    for is_broken in (True, True, False, True, False):
        while not (found := [t for due in made.take(now, 10) for t in due.targets]):
            now = made.next_due()
        assert found == [A]
        made.begin(A, now, now)
        begun.append(now)
        made.end(A, now, is_broken=is_broken)
    assert [b - a for a, b in pairwise(begun)] == [FIRST_PAUSE, 2.0, 0.5, FIRST_PAUSE]


def test_a_pause_has_an_end() -> None:
    made = timetable(record(A.address, key=HERE, timing=TIMING))
    now = 0.0
    for _ in range(20):
        made.begin(A, now, now)
        made.end(A, now, is_broken=True)
        now += 1000
    made.begin(A, now, now)
    made.end(A, now, is_broken=True)
    waited = now
    while not [t for due in made.take(waited, 10) for t in due.targets]:
        waited = max(made.next_due(), waited)
    assert LONGEST_PAUSE <= waited - now < LONGEST_PAUSE + TIMING.interval


def test_a_target_that_is_being_probed_is_not_due_at_its_own_pace() -> None:
    health = HealthMap()
    timing = replace(TIMING, down_interval=2.0)
    health.apply_plan(plan(record(A.address, key=HERE, timing=timing)), at(0))
    made = Timetable(health)
    made.add(HERE, Instant(0, 0))
    assert [due.targets for due in made.take(0, 10)] == [[A]]
    made.begin(A, 0, 0)
    health.record(health.observe(A, failed(1, "refused"), at(0.5)))
    made.end(A, 0.5)
    assert made.next_due() == 2.0
    assert made.begin(A, 1.0, 1.0)
    assert list(made.take(3.0, 10)) == []


def test_at_most_as_many_entries_are_taken_as_asked_for() -> None:
    keys = [RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in "abcd"]
    made = timetable(*(record(A.address, key=key, timing=TIMING) for key in keys))
    assert [len(list(made.take(0, limit))) for limit in (0, 1, 2, 9)] == [0, 1, 2, 1]


@pytest.mark.parametrize(("now", "is_due"), [(4.97, False), (4.985, True), (5.0, True)])
def test_what_is_due_in_a_moment_is_due(now: float, is_due: bool) -> None:
    made = timetable(record(A.address, key=HERE, timing=TIMING))
    for due in made.take(0, 10):
        made.begin(A, due.at, 0)
    made.end(A, 0.1)
    assert bool(list(made.take(now, 10))) is is_due


def test_targets_without_a_record_are_named_and_forgotten() -> None:
    health = HealthMap()
    health.apply_plan(plan(record(A.address, key=HERE)), at(0))
    made = Timetable(health)
    made.add(HERE, Instant(0, 0))
    assert (made.new_targets(HERE), health.targets.take_unused()) == ([A], [])
    made.begin(A, 0, 0)
    assert made.new_targets(HERE) == []
    health.apply_plan(plan(), at(1))
    made.remove(HERE)
    assert health.targets.take_unused() == [A]
    made.forget([A])
    assert health.targets.take_unused() == []
    assert list(made.take(99, 10)) == []


def test_a_target_that_was_just_probed_is_not_asked_again_between_its_ticks() -> None:
    made = timetable(record(A.address, key=HERE, timing=TIMING))
    assert not made.is_askable(A, 0.0)
    made.begin(A, 1.0, 1.0)
    assert not made.is_askable(A, 9.0)
    made.end(A, 1.1)
    assert not made.is_askable(A, 1.0 + JUST_PROBED)
    assert made.is_askable(A, 1.1 + JUST_PROBED)
    made.begin(A, 5.0, 5.0)
    made.end(A, 5.0, is_broken=True)
    assert not made.is_askable(A, 5.0 + FIRST_PAUSE - 0.1)


def test_a_node_that_probes_nothing_has_targets_due_at_no_tick() -> None:
    agreement = Agreement("ns1", QuorumRules("site", votes=False), at(0))
    health = HealthMap(agreement)
    health.apply_plan(plan(record(A.address, key=HERE, timing=TIMING)), at(0))
    made = Timetable(health)
    made.add(HERE, Instant(0, 0))
    for now in (0.0, 5.0, 10.0):
        assert [due.targets for due in made.take(now, 10)] == [[]]
    assert made.new_targets(HERE) == []
