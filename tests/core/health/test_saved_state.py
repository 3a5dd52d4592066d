"""A later run goes on where this one ended."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.resolutions import Status
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.health.saved_state import EMPTY, SavedHost, SavedState, restore
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.records import AllDown, Record, RecordKey
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.core.building import KEY, ZONE, Driver, at, capture, plan, record

A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
PASS, FAIL, ERROR = passed(), failed(1, "exit code 1"), check_error("no such program")
HOST = "web.example"


def remembered(driver: Driver) -> SavedState:
    return capture(driver.health_map, {ZONE: 7}, at(driver.clock))


def again(driver: Driver, *records: Record, after: float = 1.0, max_age: float = 300.0) -> Driver:
    """Another run, `after` seconds later, of `records` or of the same."""
    memory = replace(remembered(driver), elapsed=after)
    later = Driver(*(records or [state.record for state in driver.health_map.records.values()]))
    later.health_map.take_changes()
    later.clock = driver.clock + after
    restore(later.health_map, memory, at(later.clock), max_age)
    return later


def decision(driver: Driver, key: RecordKey = KEY) -> tuple[DecisionKind, set[str]]:
    return driver.health_map.records[key].decision.kind, driver.served(key)


# -- the answer ---------------------------------------------------------------------------


def test_the_first_answer_is_the_last_one() -> None:
    driver = Driver(record(f"{A}@2", f"{B}@2", f"{C}@1"))
    driver.round({A: PASS, B: FAIL, C: PASS})
    later = again(driver)
    assert decision(later) == (DecisionKind.SERVE, {A})
    assert later.health_map.pending() == []
    assert later.health_map.take_changes().transitions == ()


@pytest.mark.parametrize(
    ("all_down", "kind", "served"),
    [
        (AllDown.NODATA, DecisionKind.NODATA, set()),
        (AllDown.FALLBACK, DecisionKind.FALLBACK, {D}),
        (AllDown.ALL, DecisionKind.ALL, {A, B}),
        (AllDown.LAST, DecisionKind.LAST, {B}),
    ],
)
def test_so_is_the_answer_of_a_record_whose_members_are_all_down(
    all_down: AllDown, kind: DecisionKind, served: set[str]
) -> None:
    driver = Driver(record(A, B, fallback=[D], all_down=all_down))
    driver.round({A: FAIL, B: PASS})
    driver.round({A: FAIL, B: FAIL})
    assert decision(driver) == (kind, served)
    later = again(driver)
    assert decision(later) == (kind, served)
    assert later.health_map.pending() == []
    assert later.health_map.take_changes().transitions == ()


def test_a_fallback_that_has_to_be_resolved_is_remembered() -> None:
    driver = Driver(record(A, fallback=["sorry.example"]))
    driver.health_map.open_cycle(KEY)
    driver.resolve("sorry.example", C, D)
    driver.hear(A, FAIL)
    driver.close()
    assert decision(again(driver)) == (DecisionKind.FALLBACK, {C, D})


def test_a_fallback_in_place_of_members_nobody_knows_is_remembered() -> None:
    driver = Driver(record(A, fallback=[D]))
    driver.round({A: ERROR})
    assert decision(again(driver)) == (DecisionKind.FALLBACK, {D})


def test_what_was_never_answered_is_not_answered() -> None:
    driver = Driver(record(A))
    driver.health_map.open_cycle(KEY)
    driver.hear(A, PASS)
    later = again(driver)
    assert later.health_map.pending() == [KEY]
    assert later.health_map.records[KEY].decision.kind is DecisionKind.PENDING


def test_a_fault_is_no_answer() -> None:
    driver = Driver(record(A))
    driver.round({A: ERROR})
    assert again(driver).health_map.pending() == [KEY]


def test_an_answer_that_was_held_is_still_held() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.open_cycle(KEY)
    driver.health_map.targets.begin(driver.target(B))
    driver.hear(A, FAIL)
    driver.hear(B, FAIL)
    assert driver.served() == {B}
    later = again(driver)
    assert later.served() == {B}
    later.close()
    assert decision(later) == (DecisionKind.NODATA, set())


def test_a_name_without_addresses_is_remembered_as_no_data() -> None:
    driver = Driver(record(HOST))
    driver.health_map.open_cycle(KEY)
    driver.resolve(HOST)
    driver.close()
    later = again(driver)
    assert decision(later) == (DecisionKind.NODATA, set())
    assert later.health_map.pending() == []


def test_with_nothing_remembered_the_first_round_decides() -> None:
    driver = Driver(record(A))
    assert restore(driver.health_map, EMPTY, at(0), 300) == frozenset()
    assert driver.health_map.pending() == [KEY]


# -- what led to it -----------------------------------------------------------------------


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_counters_go_on(seen: int) -> None:
    driver = Driver(record(A, B, fall=3))
    driver.round({A: PASS, B: PASS})
    for _ in range(seen):
        driver.round({A: FAIL, B: PASS})
    later = again(driver)
    for left in range(3 - seen, 0, -1):
        assert later.served() == {A, B}, left
        later.round({A: FAIL, B: PASS})
    assert later.served() == {B}


def test_priority_and_weight_of_a_check_are_remembered() -> None:
    driver = Driver(record(A, B))
    driver.round({A: passed(priority=5, weight=9), B: passed(priority=0)})
    later = again(driver)
    rows = later.health_map.records[KEY].rows
    assert [(row.priority, row.weight) for row in rows] == [(5, 9), (0, 1)]
    assert later.served() == {A}


def test_a_member_that_waits_to_come_back_goes_on_waiting() -> None:
    driver = Driver(replace(record(A, B), failback=60.0))
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: PASS})
    driver.round({A: PASS, B: PASS})
    assert driver.served() == {B}
    later = again(driver, after=30)
    assert later.served() == {B}
    assert later.health_map.take_changes().transitions == ()
    later.wait(20)
    assert later.served() == {B}
    later.hear(A, PASS)
    later.hear(B, PASS)
    later.wait(15)
    assert later.served() == {A, B}


def test_a_flapping_member_stays_held() -> None:
    rules = Thresholds(damping=Damping(flips=2, window=300, hold=60))
    driver = Driver(replace(record(A, B), thresholds=rules))
    for answer in (PASS, FAIL, PASS, FAIL):
        driver.round({A: answer, B: PASS})
    later = again(driver, after=30)
    later.round({A: PASS, B: PASS})
    assert later.served() == {B}
    later.clock += 30
    later.round({A: PASS, B: PASS})
    assert later.served() == {A, B}


def test_turns_count_over_a_restart() -> None:
    rules = Thresholds(damping=Damping(flips=3, window=300, hold=60))
    driver = Driver(replace(record(A, B), thresholds=rules))
    for answer in (PASS, FAIL, PASS):
        driver.round({A: answer, B: PASS})
    soon, late = again(driver, after=200), again(driver, after=299)
    for run in (soon, late):
        run.clock += 2
        run.round({A: FAIL, B: PASS})
        run.round({A: PASS, B: PASS})
    assert (soon.served(), late.served()) == ({B}, {A, B})


def test_views_weights_and_ttl_of_an_answer_are_remembered() -> None:
    item = record(A, B, C)
    dests = (item.dests[0], replace(item.dests[1], views=("office",), weight=3), item.dests[2])
    driver = Driver(replace(item, dests=dests, ttl_range=(1, 60)))
    driver.round({A: PASS, B: PASS, C: PASS})
    before = driver.health_map.records[KEY].decision
    assert before.pools
    later = again(driver)
    assert later.health_map.records[KEY].decision == before
    saved = remembered(later).records[KEY]
    assert saved.decision == before
    assert [each.status.member.content for each in saved.members] == [A, B, C]


def test_every_check_of_a_member_is_remembered() -> None:
    driver = Driver(record(A, checks=("one", "two"), require=2, fall=2))
    driver.health_map.open_cycle(KEY)
    driver.hear(A, PASS, check=0)
    driver.hear(A, PASS, check=1)
    driver.close()
    driver.hear(A, FAIL, check=1)
    later = again(driver)
    assert later.served() == {A}
    assert later.health_map.target(later.target(A, check=0)).streak == 0
    assert later.health_map.target(later.target(A, check=1)).streak == 1


def test_addresses_are_remembered_whatever_their_age() -> None:
    driver = Driver(record(HOST))
    driver.health_map.open_cycle(KEY)
    driver.resolve(HOST, A, B)
    driver.hear(A, PASS)
    driver.hear(B, PASS)
    driver.close()
    later = again(driver, after=1e6)
    assert later.health_map.pending() == [KEY]
    assert [m.content for m in later.health_map.records[KEY].members] == [A, B]
    later.health_map.open_cycle(KEY)
    later.resolve(HOST, status=Status.FAILED)
    later.hear(A, PASS)
    later.hear(B, FAIL)
    later.close()
    assert later.served() == {A}


def test_the_age_of_a_resolution_goes_on() -> None:
    driver = Driver(record(HOST))
    driver.health_map.open_cycle(KEY)
    driver.resolve(HOST, A)
    driver.hear(A, PASS)
    driver.close()
    soon, late = again(driver, after=100), again(driver, after=299.8)
    soon.resolve(HOST, status=Status.NXDOMAIN)
    late.resolve(HOST, status=Status.NXDOMAIN)
    assert [bool(run.health_map.records[KEY].members) for run in (soon, late)] == [True, False]


def test_a_stale_member_keeps_its_place() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.wait(20)
    assert driver.health_map.records[KEY].rows[0].measured is Health.UNKNOWN
    later = again(driver)
    assert later.served() == {A, B}
    assert later.health_map.records[KEY].rows[0].measured is Health.UNKNOWN


def test_nothing_is_stale_just_because_nobody_ran() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    later = again(driver, after=200)
    later.wait(1)
    assert later.health_map.records[KEY].rows[0].measured is Health.UP


def test_overrides_hold_again_unless_they_have_expired() -> None:
    driver = Driver(record(A, B, C))
    driver.round({A: PASS, B: PASS, C: PASS})
    orders = [
        Override("1", A, Action.DRAIN, created=1, expires=at(50).wall),
        Override("2", B, Action.DOWN, created=2),
    ]
    driver.health_map.set_overrides(orders, at(driver.clock))
    assert driver.served() == {C}
    soon = again(driver)
    assert soon.served() == {C}
    assert soon.health_map.take_changes().transitions == ()
    late = again(driver, after=60)
    assert late.served() == {A, C}
    (moved,) = late.health_map.take_changes().transitions
    assert (moved.content, moved.to_served) == (A, True)


def test_serials_are_remembered() -> None:
    assert remembered(Driver(record(A))).serials == {ZONE: 7}


# -- age ----------------------------------------------------------------------------------


def test_health_that_is_too_old_is_unknown() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    later = again(driver, after=301)
    assert later.health_map.pending() == [KEY]
    assert all(row.measured is Health.UNKNOWN for row in later.health_map.records[KEY].rows)
    (moved,) = later.health_map.take_changes().transitions[:1]
    assert (moved.from_health, moved.to_health) == (Health.UP, Health.UNKNOWN)


def test_no_age_at_all_restores_no_health() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    assert again(driver, after=0, max_age=0).health_map.pending() == [KEY]


def test_one_member_alone_may_be_too_old() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.clock += 250
    driver.round({A: PASS})
    later = again(driver, after=100)
    assert later.served() == {A}
    assert later.health_map.pending() == []


@pytest.mark.parametrize("jump", [-1e6, -3600.0, -10.0, 0.0, 10.0, 3600.0, 1e6])
def test_a_wall_clock_that_was_set_does_no_harm(jump: float) -> None:
    """The time that really passed decides, where it is known."""
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    memory = replace(remembered(driver), elapsed=5.0)
    today = Instant(at(driver.clock + 5).wall + jump, 1e6)
    later = HealthMap()
    later.apply_plan(plan(record(A, B)), today)
    assert restore(later, memory, today, 300) == {KEY}
    state = later.records[KEY].rows[0].state
    assert state.last_check is not None
    assert 5 <= today.wall - state.last_check < 6
    old = HealthMap()
    old.apply_plan(plan(record(A, B)), today)
    assert restore(old, replace(memory, elapsed=500.0), today, 300) == frozenset()


@pytest.mark.parametrize(("jump", "is_believed"), [(-400, False), (-200, True), (200, True)])
def test_a_wall_clock_alone_is_believed_within_reason(jump: float, is_believed: bool) -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    memory = replace(remembered(driver), elapsed=None)
    today = Instant(at(driver.clock).wall + jump, 3.0)
    later = HealthMap()
    later.apply_plan(plan(record(A)), today)
    assert (restore(later, memory, today, 300) == {KEY}) == is_believed
    for row in later.records[KEY].rows:
        for moment in (row.state.last_check, row.state.last_change, row.state.last_up):
            assert moment is None or moment <= today.wall


# -- another configuration ----------------------------------------------------------------


def test_a_record_that_is_gone_is_forgotten() -> None:
    other = RecordKey(ZONE, f"other.{ZONE}", "A")
    driver = Driver(record(A))
    driver.round({A: PASS})
    later = again(driver, record(A, key=other))
    assert later.health_map.pending() == [other]


def test_a_new_dest_waits_for_its_first_check() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    later = again(driver, record(A, B))
    assert later.served() == {A}
    later.round({A: PASS, B: PASS})
    assert later.served() == {A, B}


def test_a_dest_that_was_removed_is_served_no_longer() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    assert again(driver, record(A)).served() == {A}


def test_health_follows_the_member_when_its_check_changed() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    assert again(driver, record(A, B, checks=("another",))).served() == {A}


results = st.sampled_from([PASS, FAIL, ERROR, passed(priority=2), passed(priority=-1)])


@given(st.lists(st.tuples(results, results, results), min_size=1, max_size=6))
def test_a_restart_between_any_two_rounds_changes_nothing(
    rounds: list[tuple[Result, Result, Result]],
) -> None:
    item = record(f"{A}@3", f"{B}@2", f"{C}@1", rise=2, fall=3, prio_min_cnt=2, fallback=[D])
    steady, restarted = Driver(item), Driver(item)
    for answers in rounds:
        told = dict(zip((A, B, C), answers, strict=True))
        steady.round(told)
        restarted = again(restarted)
        restarted.round(told)
        assert decision(steady) == decision(restarted)


def test_a_fault_that_is_configured_is_no_fault_of_the_restart() -> None:
    driver = Driver(record(A, all_down=AllDown.SERVFAIL))
    driver.round({A: FAIL})
    later = again(driver, after=1)
    assert later.health_map.records[KEY].decision.kind is DecisionKind.SERVFAIL
    assert later.health_map.pending() == []
    unknown = Driver(record(A))
    unknown.round({A: check_error("no such program")})
    assert again(unknown, after=1).health_map.pending() == [KEY]


# -- what is saved --------------------------------------------------------------------------


@pytest.mark.parametrize("ttl_range", [None, (2, 60)])
def test_the_saved_ttl_is_that_of_the_answer(ttl_range: tuple[int, int] | None) -> None:
    driver = Driver(replace(record(A), ttl=7, ttl_range=ttl_range))
    assert remembered(driver).records[KEY].ttl == 7, "nothing is decided yet"
    driver.round({A: FAIL})
    assert remembered(driver).records[KEY].ttl == (7 if ttl_range is None else 2)


def plain_records(memory: SavedState, wall: float) -> object:
    """All that is saved of records, its times in milliseconds before `wall`."""

    def plain(value: object) -> object:
        match value:
            case TargetState():
                return tuple(map(plain, value._replace(last_seen=0.0)))
            case float():
                return round(wall - value if value > 1e9 else value, 3)
            case tuple() | list():
                return tuple(map(plain, value))
            case _ if is_dataclass(value) and not isinstance(value, type):
                return tuple(plain(getattr(value, field.name)) for field in fields(value))
        return value

    return plain(list(memory.records.values()))


ANSWERS = st.sampled_from([PASS, FAIL, ERROR, passed("p", priority=3, weight=2)])


@given(
    st.lists(st.tuples(ANSWERS, ANSWERS, st.sampled_from([1.0, 20.0, 200.0])), max_size=8),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from([None, Damping(flips=2, window=300, hold=60)]),
    st.floats(-1e5, 1e5),
    st.floats(-1e8, 1e8),
)
def test_what_is_restored_is_what_was_saved_whatever_the_clocks_show(
    rounds: list[tuple[Result, Result, float]],
    failback: float,
    damping: Damping | None,
    mono_jump: float,
    wall_jump: float,
) -> None:
    rules = Thresholds(fall=2, damping=damping)
    driver = Driver(replace(record(A, HOST), thresholds=rules, failback=failback))
    driver.resolve(HOST, B)
    driver.round({A: PASS, B: PASS})
    for first, second, pause in rounds:
        driver.round({A: first, B: second})
        driver.wait(pause)
    before = remembered(driver)
    now = Instant(at(driver.clock).wall + wall_jump, driver.clock + mono_jump)
    later = HealthMap()
    later.apply_plan(plan(driver.health_map.records[KEY].record), now)
    restore(later, before, now, 1e9)
    after = capture(later, before.serials, now)
    assert plain_records(after, now.wall) == plain_records(before, at(driver.clock).wall)


# -- what can be restored -------------------------------------------------------------------


def restored_from(item: Record, **changed: Any) -> Driver:
    """Another run of this record, after what was saved of it was changed."""
    driver = Driver(item)
    driver.round({dest.host: PASS for dest in item.dests if dest.is_literal})
    memory = remembered(driver)
    memory = replace(memory, records={KEY: replace(memory.records[KEY], **changed)})
    later = Driver(item)
    later.clock = driver.clock
    restore(later.health_map, memory, at(later.clock), 300)
    return later


def test_a_content_of_another_type_than_addresses_is_restored() -> None:
    item = record(A)
    mail = replace(item.dests[0], content="10 mail.example.", check_address=A)
    item = replace(item, key=KEY._replace(type="MX"), dests=(mail,))
    driver = Driver(item)
    driver.health_map.open_cycle(item.key)
    driver.hear(A, PASS, item.key)
    driver.close(item.key)
    later = Driver(item)
    restore(later.health_map, remembered(driver), at(driver.clock), 300)
    assert decision(later, item.key) == (DecisionKind.SERVE, {"10 mail.example."})


STRANGE = Decision(DecisionKind.SERVE, ("198.51.100.1",), 1, (1,))


def test_an_answer_of_contents_that_no_member_had_is_not_restored() -> None:
    assert restored_from(record(A)).health_map.pending() == []
    assert restored_from(record(A), decision=STRANGE).health_map.pending() == [KEY]


@pytest.mark.parametrize(
    ("last", "served"),
    [((B,), {B}), ((B, "198.51.100.1"), {B}), (("198.51.100.1",), set())],
)
def test_of_the_last_good_members_only_known_ones_are_restored(
    last: tuple[str, ...], served: set[str]
) -> None:
    later = restored_from(record(A, B, all_down=AllDown.LAST), last_good=last)
    later.health_map.open_cycle(KEY)
    for address in (A, B):
        later.hear(address, FAIL)
    assert later.health_map.records[KEY].last_good == tuple(sorted(served))


def test_pools_with_unknown_contents_are_not_restored() -> None:
    pools = (Pool("near", (A,), (1,)), Pool("far", (A, "198.51.100.1"), (1, 1)))
    later = restored_from(record(A), last_pools=pools)
    assert later.health_map.records[KEY].last_pools == pools[:1]


@pytest.mark.parametrize("address", ["::1", "192.0.2.01", "rubbish"])
def test_addresses_of_another_type_or_spelling_are_not_restored(address: str) -> None:
    host = SavedHost(HOST, (address,), at(0).wall, True, None)
    later = restored_from(record(HOST), hosts=(host,))
    assert later.health_map.records[KEY].members == ()
    known = restored_from(record(HOST), hosts=(replace(host, addresses=(A,)),))
    assert [member.address for member in known.health_map.records[KEY].members] == [A]


def test_saved_times_are_unix_times() -> None:
    rules = Thresholds(damping=Damping(flips=3, window=300, hold=60))
    driver = Driver(replace(record(A, B), thresholds=rules, failback=100.0))
    for answer in (PASS, FAIL, PASS):
        driver.round({A: answer, B: PASS})
    row = remembered(driver).records[KEY].members[0]
    assert len(row.status.state.flips) == 2
    for _ in range(2):
        driver.round({A: FAIL, B: PASS})
    held = remembered(driver).records[KEY].members[0].status.state
    assert held.suppressed_until is not None
    assert row.waiting_since is not None
    now = at(driver.clock).wall
    assert all(now - 10 < time <= now for time in (*row.status.state.flips, row.waiting_since))
    assert now + 50 < held.suppressed_until <= now + 60


def test_the_end_of_a_hold_is_a_unix_time_even_if_a_check_that_never_changed_is_newer() -> None:
    rules = Thresholds(damping=Damping(flips=1, window=300, hold=60))
    driver = Driver(replace(record(A, checks=("one", "two")), thresholds=rules))
    for check, result in ((0, PASS), (0, FAIL), (1, FAIL)):
        driver.hear(A, result, check=check)
    driver.close()
    state = remembered(driver).records[KEY].members[0].status.state
    now = at(driver.clock).wall
    assert state.suppressed_until is not None
    assert now + 50 < state.suppressed_until <= now + 60


def test_a_resolution_in_the_future_counts_as_one_of_now() -> None:
    host = SavedHost(HOST, (A,), at(50).wall, True, None)
    later = restored_from(record(HOST, A), hosts=(host,))
    found = later.health_map.records[KEY].hosts[HOST]
    assert found.resolved == pytest.approx(later.clock)
