"""A member that came back is given its weight in steps, each decided by time alone."""

from dataclasses import replace

import pytest

from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.health.transitions import reason
from dnslb_backend.core.model.records import Policy, Record
from tests.core.building import KEY, Driver, at, capture, record

A, B = "192.0.2.1", "192.0.2.2"
PASS, FAIL = passed("200 OK"), failed(1, "exit code 1")
LENGTH = 100.0


def ramping(**keys: float) -> Record:
    weighted = replace(record(A, B), policy=Policy.WEIGHTED, slow_start=LENGTH)
    return replace(weighted, **keys)  # type: ignore[arg-type]


def state_of(driver: Driver) -> RecordState:
    return driver.health_map.records[KEY]


def weights(driver: Driver) -> tuple[int, ...]:
    driver.health_map.decide_marked()
    return state_of(driver).decision.weights


def came_back(item: Record) -> Driver:
    """A driver at 1000 s, when A has just come back from DOWN."""
    driver = Driver(item)
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: PASS})
    driver.clock = 999.9
    driver.hear(A, PASS)
    driver.health_map.take_changes()
    return driver


def pass_time(driver: Driver, seconds: float) -> int:
    """So many seconds with a sweep in each; how many of them changed the answer."""
    changes = 0
    for _ in range(int(seconds)):
        driver.clock += 1
        driver.health_map.readmit(at(driver.clock))
        changes += KEY in driver.health_map.take_changes().answers
    return changes


def test_a_weight_grows_in_ten_steps_and_no_more() -> None:
    driver = came_back(ramping())
    seen = [weights(driver)]
    for _ in range(10):
        assert pass_time(driver, 10) == 1
        seen.append(weights(driver))
    assert seen == [*((5 + 10 * step, 100) for step in range(10)), (100, 100)]
    assert pass_time(driver, 300) == 0
    assert not state_of(driver).ramps


def test_steps_that_were_missed_are_one_change() -> None:
    driver = came_back(ramping())
    driver.clock += 55
    assert pass_time(driver, 1) == 1
    assert weights(driver) == (55, 100)


def test_operators_see_how_much_it_has() -> None:
    driver = came_back(ramping())
    (row, _) = state_of(driver).rows
    assert (row.weight, row.share, row.is_ramping) == (1, 5, True)
    assert reason(row, state_of(driver).decision) == "200 OK (slow start: 5 % of its weight)"
    pass_time(driver, 101)
    (row, _) = state_of(driver).rows
    assert not row.is_ramping
    assert reason(row, state_of(driver).decision) == "200 OK"


def test_who_did_not_come_back_from_down_has_all_its_weight_at_once() -> None:
    driver = Driver(ramping())
    driver.round({A: PASS, B: PASS})
    assert weights(driver) == (100, 100)
    target = driver.target(A)
    driver.health_map.mark_unknown(target, at(driver.clock))
    driver.hear(A, PASS)
    for action in (Action.DOWN, Action.DRAIN):
        driver.health_map.set_overrides([Override("1", A, action)], at(driver.clock))
        driver.health_map.set_overrides([], at(driver.clock))
    assert weights(driver) == (100, 100)


@pytest.mark.parametrize(
    "item", [ramping(slow_start=0.0), replace(record(A, B), policy=Policy.WEIGHTED)]
)
def test_without_it_weights_are_as_configured(item: Record) -> None:
    assert weights(came_back(item)) == (1, 1)


def test_one_that_fails_again_begins_again() -> None:
    driver = came_back(ramping())
    pass_time(driver, 50)
    driver.hear(A, FAIL)
    pass_time(driver, 10)
    driver.hear(A, PASS)
    assert weights(driver) == (5, 100)


def test_a_reload_changes_nothing_of_it() -> None:
    driver = came_back(ramping())
    pass_time(driver, 50)
    assert weights(driver) == (55, 100)
    driver.adopt(ramping(ttl=7))
    driver.round({A: PASS, B: PASS})
    assert weights(driver) == (55, 100)
    pass_time(driver, 50)
    assert weights(driver) == (100, 100)


def test_a_reload_that_turns_it_off_ends_it() -> None:
    driver = came_back(ramping())
    driver.adopt(ramping(slow_start=0.0))
    assert weights(driver) == (1, 1)
    assert pass_time(driver, 5) == 1


@pytest.mark.parametrize(("after", "weight"), [(1, 55), (20, 75), (60, 100)])
def test_it_goes_on_over_a_restart(after: float, weight: int) -> None:
    driver = came_back(ramping())
    pass_time(driver, 50)
    saved = replace(capture(driver.health_map, {}, at(driver.clock)), elapsed=after)
    later = Driver(ramping())
    later.clock = driver.clock + after
    restore(later.health_map, saved, at(later.clock), 300)
    later.round({A: PASS, B: PASS})
    assert weights(later) == (weight, 100)
    pass_time(later, 100)
    assert weights(later) == (100, 100)


def test_with_failback_it_begins_when_the_member_serves_again() -> None:
    driver = came_back(ramping(failback=30.0))
    pass_time(driver, 29)
    assert driver.served() == {B}
    pass_time(driver, 2)
    assert driver.served() == {A, B}
    assert weights(driver) == (5, 100)


def test_an_operator_readmits_it_to_a_slow_start() -> None:
    driver = came_back(ramping(failback=1e9))
    pass_time(driver, 500)
    driver.health_map.readmit_member(KEY, A, at(driver.clock))
    assert weights(driver) == (5, 100)


def test_a_weight_override_holds_at_once() -> None:
    driver = came_back(ramping())
    order = Override("1", A, Action.WEIGHT, weight=3, author="ann")
    driver.health_map.set_overrides([order], at(driver.clock))
    assert weights(driver) == (300, 100)
    (row, _) = state_of(driver).rows
    assert reason(row, state_of(driver).decision) == "200 OK (override weight 3 by ann)"
    pass_time(driver, 20)
    driver.health_map.set_overrides([], at(driver.clock))
    assert weights(driver) == (25, 100)
