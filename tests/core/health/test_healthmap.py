"""The health map, told of rounds as the scheduler tells it."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import PENDING, DecisionKind
from dnslb_backend.core.health.evaluation import evaluate_with
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override
from dnslb_backend.core.health.record_state import RestoredRecord
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.health.transitions import reason
from dnslb_backend.core.model.plan import compare_records
from dnslb_backend.core.model.records import AllDown, Dest, MinHealthy, Record, RecordKey
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.core.building import KEY, TIMING, ZONE, Driver, at, plan, record, timed
from tests.core.restatement import enabled

A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
PASS, FAIL, ERROR = passed(), failed(1, "exit code 1"), check_error("no such program")


# -- the first round ----------------------------------------------------------------------


def test_nothing_is_known_until_the_first_round_has_ended() -> None:
    driver = Driver(record(A, B))
    driver.health_map.open_cycle(KEY)
    driver.hear(A, PASS)
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.PENDING
    assert driver.health_map.pending() == [KEY]
    driver.hear(B, PASS)
    driver.close()
    assert driver.served() == {A, B}
    assert driver.health_map.pending() == []


def test_with_nothing_known_after_the_first_round_it_is_a_fault_of_ours() -> None:
    driver = Driver(record(A))
    driver.round({A: ERROR})
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.SERVFAIL


def test_with_nothing_known_and_a_fallback_the_fallback_serves() -> None:
    driver = Driver(record(A, fallback=[C]))
    assert driver.round({A: ERROR}) == {C}


def test_a_member_unknown_since_start_is_not_served() -> None:
    driver = Driver(record(A, B))
    assert driver.round({A: ERROR, B: PASS}) == {B}


def test_a_dest_that_was_never_resolved_is_a_fault_of_ours() -> None:
    driver = Driver(record("web.example"))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", status=Status.FAILED)
    driver.close()
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.SERVFAIL


@pytest.mark.parametrize("status", [Status.EMPTY, Status.NXDOMAIN])
def test_a_dest_that_resolves_to_nothing_is_no_data(status: Status) -> None:
    driver = Driver(record("web.example"))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", status=status)
    driver.close()
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.NODATA


# -- when a result counts -----------------------------------------------------------------


def test_a_result_counts_when_it_arrives() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.open_cycle(KEY)
    driver.health_map.targets.begin(driver.target(B))
    driver.hear(A, FAIL)
    assert driver.served() == {B}


def test_a_change_that_leaves_nobody_waits_for_the_round() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    driver.health_map.open_cycle(KEY)
    driver.hear(A, FAIL)
    assert driver.served() == {A}, "B may still come back in this round"
    driver.hear(B, PASS)
    assert driver.served() == {B}


def test_when_the_round_has_ended_the_name_is_left_empty() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    driver.health_map.open_cycle(KEY)
    driver.hear(A, FAIL)
    driver.hear(B, FAIL)
    assert driver.served() == {A}
    driver.close()
    assert driver.served() == set()
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.NODATA


def test_it_also_waits_for_a_probe_that_another_record_had_begun() -> None:
    other = RecordKey(ZONE, f"other.{ZONE}", "A")
    driver = Driver(record(A, B), record(B, key=other))
    driver.round({A: PASS, B: FAIL})
    driver.health_map.targets.begin(driver.target(B))
    driver.hear(A, FAIL)
    assert driver.served() == {A}
    driver.hear(B, FAIL)
    assert driver.served() == set()


def test_probes_that_others_begin_afterwards_do_not_put_it_off_for_ever() -> None:
    others = [RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in "ab"]
    driver = Driver(record(A, B), record(A, key=others[0]), record(B, key=others[1]))
    driver.round({A: PASS, B: PASS})
    for key, address in zip(others, (A, B), strict=True):
        driver.round({address: PASS}, key)
    # The probes of the others overlap: at no moment there is none under way.
    driver.health_map.targets.begin(driver.target(A))
    driver.hear(B, FAIL)
    driver.health_map.targets.begin(driver.target(B))
    driver.hear(A, FAIL)
    assert driver.served() == {A}
    driver.health_map.targets.begin(driver.target(A))
    driver.hear(B, FAIL)
    assert driver.served() == set()


def test_a_probe_that_was_called_off_is_not_waited_for() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    driver.health_map.targets.begin(driver.target(B))
    driver.hear(A, FAIL)
    driver.health_map.cancel_probe(driver.target(B), at(driver.clock))
    assert driver.served() == set()


# -- many results at once --------------------------------------------------------------------


def test_what_comes_together_is_decided_once() -> None:
    many = [f"192.0.2.{number}" for number in range(1, 101)]
    driver = Driver(record(*many))
    driver.round(dict.fromkeys(many, PASS))
    driver.health_map.take_changes()
    before = driver.health_map.records[KEY].decision
    for address in many[1:]:
        driver.health_map.record(driver.health_map.observe(driver.target(address), FAIL, at(60)))
        assert driver.health_map.records[KEY].decision is before
    changes = driver.health_map.take_changes()
    assert driver.served() == {many[0]}
    assert {(moved.content, moved.at) for moved in changes.transitions} == {
        (address, at(60).wall) for address in many[1:]
    }


def test_a_member_that_comes_as_another_goes_leaves_no_gap() -> None:
    driver = Driver(record(A, B, fallback=[C]))
    driver.round({A: PASS, B: FAIL})
    driver.health_map.take_changes()
    driver.health_map.record(driver.health_map.observe(driver.target(A), FAIL, at(60)))
    driver.health_map.record(driver.health_map.observe(driver.target(B), PASS, at(60)))
    moved = {
        (move.content, move.to_served) for move in driver.health_map.take_changes().transitions
    }
    assert moved == {(A, False), (B, True)}


def test_every_change_of_health_is_reported_with_its_own_time() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.take_changes()
    for second, (address, result) in enumerate([(A, FAIL), (B, FAIL), (A, PASS), (A, FAIL)]):
        driver.health_map.record(
            driver.health_map.observe(driver.target(address), result, at(60 + second))
        )
    told = [
        (move.content, move.to_health, move.at - at(60).wall)
        for move in driver.health_map.take_changes().transitions
    ]
    assert told == [
        (A, Health.DOWN, 0),
        (B, Health.DOWN, 1),
        (A, Health.UP, 2),
        (A, Health.DOWN, 3),
    ]


def test_new_addresses_are_probed_before_anything_is_decided() -> None:
    driver = Driver(record("one.example", "two.example"))
    driver.health_map.open_cycle(KEY)
    for host, address in (("one.example", A), ("two.example", B)):
        driver.health_map.record_resolution(KEY, host, Resolution(Status.FOUND, (address,)), at(1))
    assert [target.address for target in driver.health_map.targets_of(KEY)] == [A, B]
    assert driver.round({A: PASS, B: PASS}) == {A, B}


# -- decisions ------------------------------------------------------------------------------

RESULTS = st.one_of(
    st.just(FAIL), st.just(PASS), st.integers(-2, 5).map(lambda p: passed(priority=p))
)


@given(
    st.lists(st.tuples(st.integers(-1, 5), RESULTS), min_size=1, max_size=8),
    st.integers(-1, 10),
)
def test_decides_as_the_original(members: list[tuple[int, Result]], min_count: int) -> None:
    addresses = [f"192.0.2.{i + 1}" for i in range(len(members))]
    named = list(zip(addresses, members, strict=True))
    dests = [f"{address}@{prio}" for address, (prio, _) in named]
    driver = Driver(record(*dests, prio_min_cnt=min_count))
    served = driver.round({address: result for address, (_, result) in named})
    priorities: dict[str, int | None] = {}
    for address, (prio, result) in named:
        measured = prio if result.priority is None else result.priority
        priorities[address] = measured if result is not FAIL else None
    assert served == enabled(priorities, min_count)


class PlainDriver(Driver):
    """Takes every result through rise and fall, also one that only repeats the last one."""

    def tell(self, target: TargetKey, result: Result, moment: Instant) -> None:
        self.health_map.record(self.health_map.observe(target, result, moment))


STEPS = st.one_of(
    st.tuples(st.sampled_from([A, B]), st.sampled_from([PASS, PASS, FAIL, FAIL, ERROR])),
    st.sampled_from(["open", "close", "silence"]),
)


@given(st.lists(STEPS, max_size=30), st.sampled_from([1, 2]))
@example([(A, PASS), (B, FAIL), "open", (A, FAIL), "close", (B, FAIL)], 1)
def test_a_result_that_only_repeats_the_last_one_is_recorded_alike(
    steps: list[str | tuple[str, Result]], needed: int
) -> None:
    shared = replace(record(A, B), thresholds=Thresholds(needed, needed))
    drivers = [
        driver(shared, replace(shared, key=RecordKey(ZONE, "other", "A")))
        for driver in (Driver, PlainDriver)
    ]
    for step in steps:
        for driver in drivers:
            match step:
                case "open":
                    driver.health_map.open_cycle(KEY)
                    for address in (A, B):
                        driver.health_map.targets.begin(driver.target(address))
                case "close":
                    driver.close()
                case "silence":
                    driver.wait(100)
                case (address, Result() as result):
                    driver.hear(str(address), result)
        brief, plain = (driver.health_map for driver in drivers)
        for key, state in plain.records.items():
            assert replace(brief.records[key], flips=state.flips) == state
        for target in plain.targets:
            assert brief.target(target) == plain.target(target)
            assert brief.targets.is_in_flight(target) == plain.targets.is_in_flight(target)
        assert brief.has_news == plain.has_news


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.integers(0, 1), RESULTS | st.just(ERROR)),
        max_size=30,
    ),
    st.sampled_from([0.0, math.inf]),
)
def test_what_one_target_moves_is_what_a_look_at_all_members_finds(
    heard: list[tuple[str, int, Result]], failback: float
) -> None:
    base = record(f"{A}@3", f"{B}@2", f"{C}@1", checks=("one", "two"), require=1, prio_min_cnt=2)
    driver = Driver(replace(base, failback=failback))
    driver.round({A: PASS, B: PASS, C: FAIL})
    for address, check, result in heard:
        driver.hear(address, result, check=check)
        state = driver.health_map.records[KEY]
        rows, decision = evaluate_with(state, driver.health_map.targets, ActiveOverrides(()))
        assert state.decision == decision
        assert [(r.effective, r.priority, r.is_served, r.is_waiting) for r in state.rows] == [
            (r.effective, r.priority, r.is_served, r.is_waiting) for r in rows
        ]


def test_a_shared_address_takes_the_highest_static_priority() -> None:
    driver = Driver(record("one.example@1", "two.example@5", f"{B}@3"))
    driver.health_map.open_cycle(KEY)
    driver.resolve("one.example", A)
    driver.resolve("two.example", A)
    driver.hear(A, PASS)
    driver.hear(B, PASS)
    driver.close()
    assert driver.served() == {A}


@pytest.mark.parametrize(
    ("all_down", "kind", "served"),
    [
        (AllDown.NODATA, DecisionKind.NODATA, set()),
        (AllDown.FALLBACK, DecisionKind.FALLBACK, {C}),
        (AllDown.ALL, DecisionKind.ALL, {A, B}),
        (AllDown.LAST, DecisionKind.LAST, {A}),
        (AllDown.SERVFAIL, DecisionKind.SERVFAIL, set()),
    ],
)
def test_when_all_are_down(all_down: AllDown, kind: DecisionKind, served: set[str]) -> None:
    driver = Driver(record(A, B, fallback=[C], all_down=all_down))
    driver.round({A: PASS, B: FAIL})
    assert driver.round({A: FAIL, B: FAIL}) == served
    assert driver.health_map.records[KEY].decision.kind is kind
    assert driver.round({A: PASS, B: PASS}) == {A, B}


def test_below_min_healthy_all_members_serve_and_the_last_answer_is_that_of_before() -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 5)]
    item = record(*addresses, "192.0.2.9@0", all_down=AllDown.LAST)
    driver = Driver(replace(item, min_healthy=MinHealthy(50, is_percent=True)))
    results = dict.fromkeys([*addresses, "192.0.2.9"], PASS)
    assert driver.round(results) == set(addresses)
    assert driver.round(dict.fromkeys(addresses[:2], FAIL)) == set(addresses[2:])
    assert driver.round({addresses[2]: FAIL}) == set(addresses)
    state = driver.health_map.records[KEY]
    assert state.decision.kind is DecisionKind.PANIC
    reasons = {row.member.content: reason(row, state.decision) for row in state.rows}
    assert reasons[addresses[0]].startswith("served because too few are healthy")
    assert reasons[addresses[3]] == PASS.text
    assert driver.round({addresses[3]: FAIL}) == set(addresses[2:])
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.LAST
    assert driver.round(dict.fromkeys(addresses[:2], PASS)) == set(addresses[:2])


@pytest.mark.parametrize("pause", [False, True])
def test_the_last_answer_is_not_that_of_the_last_survivor(pause: bool) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 5)]
    views = tuple(Dest(a, is_literal=True, views=("office",)) for a in addresses[2:])
    item = record(*addresses, all_down=AllDown.LAST)
    driver = Driver(replace(item, dests=(*item.dests[:2], *views)))
    driver.round(dict.fromkeys(addresses, PASS))
    driver.health_map.open_cycle(KEY)
    for address in addresses:
        driver.health_map.record(driver.health_map.observe(driver.target(address), FAIL, at(60)))
        if pause:
            driver.health_map.decide_marked()
    driver.close()
    decision = driver.health_map.records[KEY].decision
    assert (decision.kind, decision.contents) == (DecisionKind.LAST, tuple(addresses[:2]))
    assert [pool.contents for pool in decision.pools] == [tuple(addresses[2:])]


def test_failures_confirmed_between_check_cycles_leave_the_last_answer_as_it_was() -> None:
    """Targets at a fast_interval fall one by one, outside any cycle of the record."""
    addresses = [f"192.0.2.{number}" for number in range(1, 5)]
    driver = Driver(record(*addresses, all_down=AllDown.LAST, fall=2))
    driver.round(dict.fromkeys(addresses, PASS))
    driver.round(dict.fromkeys(addresses, FAIL))
    seen = []
    for address in addresses:
        driver.hear(address, FAIL)
        seen.append(driver.served())
    assert seen == [*(set(addresses[n:]) for n in (1, 2, 3)), set(addresses)]
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.LAST


def test_the_last_answer_goes_without_those_that_are_gone_or_drained() -> None:
    driver = Driver(record("web.example", all_down=AllDown.LAST))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", A, B, C)
    driver.round({A: PASS, B: PASS, C: PASS})
    driver.round({A: FAIL, B: FAIL, C: FAIL})
    driver.resolve("web.example", A, B)
    assert driver.served() == {A, B}
    driver.health_map.set_overrides([Override("1", B, Action.DRAIN)], at(driver.clock))
    assert driver.served() == {A}
    driver.resolve("web.example")
    assert driver.health_map.records[KEY].decision.kind is DecisionKind.NODATA


@pytest.mark.parametrize("all_down", [AllDown.ALL, AllDown.LAST])
def test_weights_hold_when_all_are_down(all_down: AllDown) -> None:
    item = record(A, B, C, all_down=all_down)
    weighted = zip(item.dests, (0, 5, 1), strict=True)
    driver = Driver(replace(item, dests=tuple(replace(d, weight=w) for d, w in weighted)))
    driver.round({A: PASS, B: PASS, C: PASS})
    driver.round({A: FAIL, B: FAIL, C: FAIL})
    decision = driver.health_map.records[KEY].decision
    assert (decision.kind.value, decision.weights) == (all_down.value, (0, 5, 1))


# -- flapping ---------------------------------------------------------------------------------


def flapping(
    *dests: str, all_down: AllDown | None = None, fallback: tuple[str, ...] = ()
) -> Driver:
    """A and whoever else turn so often that they are held; their last results are passes."""
    item = record(*dests, all_down=all_down, fallback=fallback)
    driver = Driver(replace(item, thresholds=Thresholds(damping=Damping(flips=2, hold=60))))
    names = [each.host for each in item.dests]
    for result in (PASS, FAIL, PASS):
        driver.round(dict.fromkeys(names, result))
    return driver


@pytest.mark.parametrize("fallback", [(), (C,)])
def test_damping_leaves_nobody_without_an_answer(fallback: tuple[str, ...]) -> None:
    driver = flapping(f"{A}@2", f"{B}@1", fallback=fallback)
    assert driver.served() == {A}
    (row, *_) = driver.health_map.records[KEY].rows
    assert row.effective is Health.DOWN
    why = reason(row, driver.health_map.records[KEY].decision)
    assert why == "flapping, held down for 60 s; served as no other member can"
    assert driver.round({A: FAIL, B: PASS}) == {B}
    assert driver.round({A: FAIL, B: FAIL}) == set(fallback)


def test_a_flapping_member_gives_way_to_one_that_is_well() -> None:
    item = replace(record(A, B), thresholds=Thresholds(damping=Damping(flips=2, hold=60)))
    driver = Driver(item)
    for result in (PASS, FAIL, PASS):
        driver.round({A: result, B: PASS})
    assert driver.served() == {B}
    assert driver.round({A: PASS, B: FAIL}) == {A}


def test_a_drained_member_does_not_serve_though_it_flaps_alone() -> None:
    driver = flapping(A)
    driver.health_map.set_overrides([Override("1", A, Action.DRAIN)], at(driver.clock))
    assert driver.served() == set()


# -- CNAMEs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [DecisionKind.SERVE, DecisionKind.ALL, DecisionKind.LAST, DecisionKind.FALLBACK]
)
def test_of_cnames_the_first_is_that_of_the_configuration(kind: DecisionKind) -> None:
    key = KEY._replace(type="CNAME")
    names = {"zz.example.": 1, "aa.example.": 1, "mm.example.": 2}
    item = record(
        key=key, all_down=AllDown(kind) if kind is not DecisionKind.SERVE else AllDown.NODATA
    )
    dests = tuple(
        Dest(name, prio, is_literal=True, check_address=address, content=name)
        for (name, prio), address in zip(names.items(), (A, B, C), strict=True)
    )
    fallback = tuple(Dest(name, is_literal=True) for name in ("zz.example.", "aa.example."))
    driver = Driver(replace(item, dests=dests, fallback=fallback, prio_min_cnt=3))
    driver.round({A: PASS, B: PASS, C: PASS}, key)
    if kind is not DecisionKind.SERVE:
        driver.round({A: FAIL, B: FAIL, C: FAIL}, key)
    first = {DecisionKind.SERVE: "mm", DecisionKind.LAST: "mm"}.get(kind, "zz")
    decision = driver.health_map.records[key].decision
    assert (decision.kind, decision.contents[0]) == (kind, f"{first}.example.")


def test_a_fallback_host_shares_the_addresses_of_a_dest() -> None:
    driver = Driver(record("web.example", fallback=["web.example"]))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", A, B)
    driver.hear(A, FAIL)
    driver.hear(B, FAIL)
    driver.close()
    assert driver.served() == {A, B}
    rows = {row.member.content: row for row in driver.health_map.records[KEY].rows}
    assert rows[A].is_served
    assert rows[A].measured is Health.DOWN
    assert not rows[A].is_fallback


def test_an_unchecked_fallback_has_a_row_of_its_own() -> None:
    driver = Driver(record(A, fallback=["sorry.example"]))
    driver.health_map.open_cycle(KEY)
    driver.resolve("sorry.example", C)
    driver.hear(A, FAIL)
    driver.close()
    spare = driver.health_map.records[KEY].rows[-1]
    assert (spare.member.content, spare.member.host) == (C, "sorry.example")
    assert (spare.is_served, spare.is_fallback, spare.priority) == (True, True, None)


def test_the_cached_fallback_stands_in_when_it_cannot_be_resolved() -> None:
    driver = Driver(record(A, fallback=["sorry.example"]))
    driver.resolve("sorry.example", C)
    driver.round({A: PASS})
    driver.wait(1000)
    driver.resolve("sorry.example", status=Status.FAILED)
    assert driver.round({A: FAIL}) == {C}


# -- resolving ------------------------------------------------------------------------------


def resolved(*addresses: str) -> Driver:
    driver = Driver(record("web.example"))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", *addresses)
    for address in addresses:
        driver.hear(address, PASS)
    driver.close()
    return driver


@pytest.mark.parametrize("later", [1, 100_000])
def test_a_failed_resolution_keeps_the_addresses(later: float) -> None:
    driver = resolved(A, B)
    driver.clock += later
    driver.resolve("web.example", status=Status.FAILED)
    assert driver.served() == {A, B}
    host = driver.health_map.records[KEY].hosts["web.example"]
    assert host.is_overdue(driver.clock, TIMING.dns_ttl) is (later > TIMING.dns_ttl)


def test_nxdomain_removes_the_addresses_after_dns_ttl() -> None:
    driver = resolved(A)
    driver.resolve("web.example", status=Status.NXDOMAIN)
    assert driver.served() == {A}
    driver.clock += TIMING.dns_ttl
    driver.resolve("web.example", status=Status.NXDOMAIN)
    assert driver.served() == set()


def test_an_empty_answer_removes_the_addresses_at_once() -> None:
    driver = resolved(A)
    driver.resolve("web.example", status=Status.EMPTY)
    assert driver.served() == set()


def test_an_address_that_leaves_takes_its_history_along() -> None:
    driver = resolved(A, B)
    driver.resolve("web.example", B)
    assert driver.served() == {B}
    assert list(driver.health_map.targets) == [driver.target(B)]


# -- silence ----------------------------------------------------------------------------------


def test_a_member_not_heard_for_too_long_is_unknown_and_keeps_its_place() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    driver.wait(TIMING.stale_after + 1)
    assert driver.served() == {A}
    rows = driver.health_map.records[KEY].rows
    assert {row.effective for row in rows} == {Health.UNKNOWN}
    assert driver.round({A: FAIL, B: PASS}) == {B}


def test_which_targets_are_stale_follows_the_configuration() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.wait(TIMING.stale_after + 1)
    assert set(driver.health_map.targets.stale) == {driver.target(A), driver.target(B)}
    driver.adopt(record(A, checks=("another",)))
    assert list(driver.health_map.targets.stale) == [driver.target(A)]
    driver.hear(A, PASS)
    assert not driver.health_map.targets.stale


def test_a_failure_that_is_held_back_is_no_silence() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    for _ in range(5):
        driver.wait(TIMING.stale_after - 1)
        driver.health_map.defer_result(driver.target(A), at(driver.clock))
    driver.wait(TIMING.stale_after - 1)
    assert driver.health_map.target(driver.target(A)).health is Health.UP
    driver.wait(2)
    assert driver.health_map.target(driver.target(A)).health is Health.UNKNOWN


def test_errors_keep_the_health_and_then_become_silence() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    assert driver.round({A: ERROR}) == {A}
    driver.wait(TIMING.stale_after + 1)
    assert driver.health_map.records[KEY].rows[0].effective is Health.UNKNOWN
    assert driver.served() == {A}


def test_who_is_asked_more_seldom_while_down_falls_silent_the_later() -> None:
    driver = Driver(timed(record(A, rise=3), down_interval=60))
    driver.round({A: PASS})
    driver.round({A: FAIL})
    driver.wait(60)
    row = driver.health_map.records[KEY].rows[0]
    assert row.effective is Health.DOWN
    assert driver.round({A: PASS}) == set(), "three passes are asked for"
    driver.round({A: FAIL})
    driver.wait(TIMING.stale_after + 60)
    assert driver.health_map.records[KEY].rows[0].effective is Health.UNKNOWN


def test_one_address_behind_two_dests_is_for_the_views_of_both() -> None:
    both, views = record(A, B), {"office": ("office",), "lab": ("lab",), "all": ()}
    for one, other, expected in (
        ("office", "lab", ("office", "lab")),
        ("office", "all", ()),
        ("all", "lab", ()),
    ):
        dests = tuple(
            Dest(host, views=views[view])
            for host, view in (("a.example", one), ("b.example", other))
        )
        driver = Driver(replace(both, dests=dests))
        driver.resolve("a.example", A)
        driver.resolve("b.example", A)
        (member,) = driver.health_map.records[KEY].members
        assert member.views == expected


def test_an_order_finds_a_member_by_the_address_it_serves() -> None:
    elsewhere = Dest("pool.example", check_address=C)
    driver = Driver(replace(record(A), dests=(elsewhere,)))
    driver.resolve("pool.example", A, B)
    driver.round({C: PASS})
    driver.health_map.set_overrides([Override("1", A, Action.DRAIN)], at(driver.clock))
    assert driver.served() == {B}


def test_a_step_of_the_wall_clock_makes_nobody_stale() -> None:
    driver = Driver(record(A))
    driver.round({A: PASS})
    now = at(driver.clock)
    driver.health_map.expire_stale([driver.target(A)], now._replace(wall=now.wall + 36_000))
    assert driver.health_map.records[KEY].rows[0].effective is Health.UP


# -- overrides -----------------------------------------------------------------------------------


def order(action: Action, target: str = A, name: str = "") -> Override:
    return Override("1", target, action, ZONE if name else "", name)


def serving_both() -> Driver:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: FAIL})
    return driver


@pytest.mark.parametrize(
    ("override", "served", "effective"),
    [
        (order(Action.DRAIN), set(), Health.UP),
        (order(Action.DOWN), set(), Health.DOWN),
        (order(Action.UP, B), {A, B}, Health.UP),
        (order(Action.UP, "192.0.2.*"), {A, B}, Health.UP),
        (order(Action.DOWN, A, f"other.{ZONE}"), {A}, Health.UP),
        (order(Action.DOWN, A, f"www.{ZONE}"), set(), Health.DOWN),
    ],
)
def test_an_override_lies_over_what_was_measured(
    override: Override, served: set[str], effective: Health
) -> None:
    driver = serving_both()
    driver.health_map.open_cycle(KEY)
    driver.health_map.set_overrides([override], at(driver.clock))
    assert driver.served() == served
    rows = {row.member.content: row for row in driver.health_map.records[KEY].rows}
    assert rows[B if override.action is Action.UP else A].effective is effective
    assert (rows[A].measured, rows[B].measured) == (Health.UP, Health.DOWN)
    driver.health_map.set_overrides([], at(driver.clock))
    assert driver.served() == {A}


@pytest.mark.parametrize(
    ("wall", "authors", "why"),
    [
        (20, {"1": "alice"}, "drain cleared by alice: exit code 0"),
        (20, {}, "drain cleared: exit code 0"),
        (60, {}, "drain expired: exit code 0"),
        (5, {}, "drain pending again: exit code 0"),
    ],
)
def test_a_transition_says_how_an_override_ended(
    wall: float, authors: dict[str, str], why: str
) -> None:
    driver = Driver(record(A, B))
    driver.round({A: passed("exit code 0"), B: PASS})
    drain = Override("1", A, Action.DRAIN, starts=at(8).wall, expires=at(60).wall)
    driver.health_map.set_overrides([drain], at(10))
    driver.health_map.take_changes()
    driver.health_map.set_overrides([], at(wall), lambda number: authors.get(number, ""))
    (back,) = driver.health_map.take_changes().transitions
    assert (back.content, back.to_served, back.reason) == (A, True, why)
    driver.round({A: FAIL, B: PASS})
    (later,) = driver.health_map.take_changes().transitions
    assert later.reason == "exit code 1"


def test_a_transition_says_which_override_is_left_of_two() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    drain = Override("1", A, Action.DRAIN, name=KEY.name, created=1.0)
    down = Override("2", "*", Action.DOWN, author="bob", created=2.0)
    driver.health_map.set_overrides([drain, down], at(10))
    driver.health_map.take_changes()
    driver.health_map.set_overrides([down], at(20), lambda _: "alice")
    (moved,) = driver.health_map.take_changes().transitions
    assert moved.reason == "drain cleared by alice: override down by bob"


@pytest.mark.parametrize("priority", [0, -3])
def test_whoever_is_ordered_up_serves_whatever_the_check_said(priority: int) -> None:
    driver = Driver(record(f"{A}@7", B))
    driver.round({A: passed(priority=priority, weight=0), B: FAIL})
    driver.health_map.set_overrides([order(Action.UP)], at(driver.clock))
    (row, _) = driver.health_map.records[KEY].rows
    assert (row.is_served, row.priority, row.weight) == (True, 7, 1)
    driver.round({A: passed(priority=3, weight=9), B: FAIL})
    driver.health_map.set_overrides([], at(driver.clock))
    driver.health_map.set_overrides([order(Action.UP)], at(driver.clock))
    (row, _) = driver.health_map.records[KEY].rows
    assert (row.is_served, row.priority, row.weight) == (True, 3, 9)


# -- what is reported ------------------------------------------------------------------------------


def test_transitions_say_what_changed_and_why() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.take_changes()
    driver.round({A: FAIL, B: PASS})
    changes = driver.health_map.take_changes()
    (moved,) = changes.transitions
    assert (moved.content, moved.from_health, moved.to_health) == (A, Health.UP, Health.DOWN)
    assert (moved.from_served, moved.to_served) == (True, False)
    assert (moved.from_priority, moved.to_priority) == (1, None)
    assert moved.reason == "exit code 1"
    assert changes.answers == {KEY}
    assert driver.health_map.take_changes().transitions == ()


def test_a_fallback_leaves_because_members_serve_again() -> None:
    driver = Driver(record(A, fallback=["sorry.example"]))
    driver.health_map.open_cycle(KEY)
    driver.resolve("sorry.example", B, C)
    driver.round({A: FAIL})
    driver.health_map.take_changes()
    driver.resolve("sorry.example", B)
    (gone,) = driver.health_map.take_changes().transitions
    assert (gone.content, gone.reason) == (C, "no longer an address of the fallback")
    driver.round({A: PASS})
    _, left = driver.health_map.take_changes().transitions
    assert (left.content, left.reason) == (B, "members serve again")


def test_a_round_without_news_changes_no_answer() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.take_changes()
    driver.round({A: PASS, B: PASS})
    changes = driver.health_map.take_changes()
    assert (changes.answers, changes.transitions) == (frozenset(), ())
    assert changes.touched == frozenset()


def test_a_round_with_other_words_touches_the_record_only() -> None:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    driver.health_map.take_changes()
    driver.round({A: PASS, B: passed("with other words")})
    changes = driver.health_map.take_changes()
    assert (changes.answers, changes.transitions) == (frozenset(), ())
    assert changes.touched == {KEY}


# -- a new configuration --------------------------------------------------------------------------


def test_an_unchanged_record_is_left_alone() -> None:
    driver = serving_both()
    assert driver.adopt(record(A, B)) == []
    assert driver.served() == {A}


@pytest.mark.parametrize(
    "changed",
    [
        record(A, B, checks=("other",)),
        record(A, B, checks=("check", "other"), require=1),
        timed(record(A, B), interval=7),
        record(f"{A}@3", B),
    ],
)
def test_health_follows_the_member_over_a_reload(changed: Record) -> None:
    driver = serving_both()
    assert driver.adopt(changed) == [KEY]
    assert driver.served() == {A}
    health = {row.member.content: row.measured for row in driver.health_map.records[KEY].rows}
    assert health == {A: Health.UP, B: Health.DOWN}


ONE, TWO = (RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in ("one", "two"))


@pytest.mark.parametrize(("giver", "taker"), [(ONE, TWO), (TWO, ONE)])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("left", [(C,), ()], ids=["changed", "removed"])
@pytest.mark.parametrize("had", [(D,), ()], ids=["changed", "added"])
def test_health_follows_a_target_that_moves_to_another_record(
    giver: RecordKey, taker: RecordKey, is_first: bool, left: tuple[str, ...], had: tuple[str, ...]
) -> None:
    before = [record(A, B, C, key=giver)] + [record(*had, key=taker)] * bool(had)
    driver = Driver(*before)
    driver.round({A: PASS, B: FAIL, C: PASS}, giver)
    after = [record(A, B, *had, key=taker)] + [record(*left, key=giver)] * bool(left)
    driver.adopt(*(after if is_first else after[::-1]))
    health = {row.member.content: row.measured for row in driver.health_map.records[taker].rows}
    assert health == {A: Health.UP, B: Health.DOWN, **dict.fromkeys(had, Health.UNKNOWN)}
    gone = TargetKey(C, None, "check")
    assert bool(driver.health_map.targets.users(gone)) == bool(left)


@pytest.mark.parametrize("order", [1, -1])
def test_checks_that_become_one_target_leave_the_same_health_in_every_order(order: int) -> None:
    driver = Driver(record(A, key=ONE, checks=("a",)), record(A, key=TWO, checks=("b",)))
    driver.round({A: PASS}, ONE)
    driver.round({A: FAIL}, TWO)
    driver.adopt(*(record(A, key=key, checks=("c",)) for key in (ONE, TWO)[::order]))
    for key in (ONE, TWO):
        (row,) = driver.health_map.records[key].rows
        assert row.measured is Health.UP


@pytest.mark.parametrize("order", [1, -1])
def test_what_an_earlier_run_knew_of_a_shared_target_counts_in_every_order(order: int) -> None:
    driver = Driver(*(record(A, key=key) for key in (ONE, TWO)[::order]))
    known = TargetState(last_known=Health.UP, result=PASS)
    past = RestoredRecord({}, {A: (known,)}, (), PENDING, ())
    driver.health_map.restore({TWO: past}, (), at(0))
    for key in (ONE, TWO):
        (row,) = driver.health_map.records[key].rows
        assert row.measured is Health.UP


def test_a_changed_record_keeps_its_answer_until_its_round_has_ended() -> None:
    driver = serving_both()
    driver.adopt(record(C))
    assert driver.served() == {A}
    assert driver.round({C: PASS}) == {C}


def test_a_priority_that_a_reload_changes_counts_without_another_result() -> None:
    driver = Driver(record(f"{A}@2", f"{B}@1"))
    driver.round({A: PASS, B: PASS})
    assert driver.served() == {A}
    driver.adopt(record(f"{A}@2", f"{B}@3"))
    driver.close()
    assert driver.served() == {B}


def test_a_removed_record_is_forgotten() -> None:
    driver = serving_both()
    driver.health_map.take_changes()
    driver.adopt()
    assert driver.health_map.records == {}
    assert list(driver.health_map.targets) == []
    assert driver.health_map.take_changes().answers == {KEY}


def test_shared_targets_count_for_every_record_and_outlive_one() -> None:
    other = RecordKey(ZONE, f"other.{ZONE}", "A")
    driver = Driver(record(A), record(A, B, key=other))
    assert set(driver.health_map.targets.users(driver.target(A))) == {KEY, other}
    driver.round({A: PASS, B: PASS}, other)
    driver.adopt(record(A, B, key=other))
    assert set(driver.health_map.targets.users(driver.target(A, other))) == {other}
    assert driver.served(other) == {A, B}


# -- coming back ----------------------------------------------------------------------------------


def returning(failback: float) -> Driver:
    """A preferred member that was down and has just come back, beside one that serves."""
    driver = Driver(replace(record(f"{A}@2", f"{B}@1"), failback=failback))
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: PASS})
    driver.round({A: PASS, B: PASS})
    return driver


def test_a_member_that_comes_back_serves_at_once() -> None:
    assert returning(0).served() == {A}


def test_with_failback_it_waits_while_others_serve() -> None:
    driver = returning(30)
    assert driver.served() == {B}
    driver.wait(10)
    assert driver.served() == {B}
    driver.wait(20)
    assert driver.served() == {A}


def test_it_does_not_wait_when_nobody_else_serves() -> None:
    driver = returning(math.inf)
    assert driver.round({A: PASS, B: FAIL}) == {A}


def test_with_manual_failback_it_waits_for_an_operator() -> None:
    driver = returning(math.inf)
    driver.wait(100_000)
    driver.round({A: PASS, B: PASS})
    assert driver.served() == {B}
    driver.health_map.readmit_member(KEY, A, at(driver.clock))
    assert driver.served() == {A}


def test_the_first_result_of_a_member_is_no_return() -> None:
    driver = Driver(replace(record(f"{A}@2", f"{B}@1"), failback=30))
    assert driver.round({A: PASS, B: PASS}) == {A}


def test_a_fall_is_known_before_it_happens() -> None:
    driver = Driver(record(A, fall=2))
    driver.round({A: PASS})
    target = driver.target(A)

    def is_fall(result: Result) -> bool:
        return driver.health_map.observe(target, result, at(driver.clock)).is_fall

    assert not is_fall(FAIL)
    driver.round({A: FAIL})
    assert is_fall(FAIL)
    assert not is_fall(ERROR)
    driver.round({A: FAIL})
    assert not is_fall(FAIL)


def test_a_plan_that_comes_with_its_differences_touches_only_those() -> None:
    kept, changed, gone, new = (KEY._replace(name=f"{n}.{KEY.zone}") for n in "abcd")
    driver = Driver(*(record("192.0.2.1", key=key) for key in (kept, changed, gone)))
    before = dict(driver.health_map.records)
    after = plan(
        record("192.0.2.1", key=kept),
        record("192.0.2.2", key=changed),
        record("192.0.2.3", key=new),
    )
    change = compare_records({k: s.record for k, s in before.items()}, after.records)
    assert tuple(change) == ([changed, new], [gone])
    driver.health_map.take_changes()
    assert driver.health_map.apply_plan(after, at(1), change) == change
    assert driver.health_map.records[kept] is before[kept]
    assert driver.health_map.records.keys() == after.records.keys()
    assert driver.health_map.pending() == [kept, changed, new]
    assert driver.health_map.take_changes().answers == {changed, gone, new}
    assert [target.address for target in driver.health_map.targets] == [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
    ]
