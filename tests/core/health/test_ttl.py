from dataclasses import replace
from typing import Any

import pytest

from dnslb_backend.core.health.members import Member, MemberStatus
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.health.ttl import answer_ttl
from dnslb_backend.core.model.rules import Thresholds
from tests.core.building import KEY, ZONE, Driver, at, record

A, B = "192.0.2.1", "192.0.2.2"
PASS, FAIL = passed(), failed(1, "no")
AUTO = replace(record(A, B, fall=3), ttl=1, ttl_range=(1, 60))


def ttl(driver: Driver) -> int | None:
    return driver.health_map.records[KEY].decision.ttl


def test_while_all_is_calm_it_is_the_time_a_failure_takes_to_be_believed() -> None:
    driver = Driver(AUTO)
    driver.round({A: PASS, B: PASS})
    assert ttl(driver) == 15


def test_it_is_short_while_a_change_is_being_confirmed_and_while_one_is_down() -> None:
    driver = Driver(AUTO)
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: PASS})
    assert (driver.served(), ttl(driver)) == ({A, B}, 1)
    driver.round({A: PASS, B: PASS})
    assert ttl(driver) == 15
    for _ in range(3):
        driver.round({A: FAIL, B: PASS})
    assert (driver.served(), ttl(driver)) == ({B}, 1)


def test_it_is_short_while_draining() -> None:
    driver = Driver(AUTO)
    driver.round({A: PASS, B: PASS})
    order = Override("1", A, Action.DRAIN, ZONE)
    driver.health_map.set_overrides([order], at(driver.clock))
    assert ttl(driver) == 1


def test_it_stays_within_its_bounds() -> None:
    driver = Driver(replace(AUTO, ttl_range=(1, 10)))
    driver.round({A: PASS, B: PASS})
    assert ttl(driver) == 10


def test_a_configured_ttl_never_moves() -> None:
    driver = Driver(record(A, B, fall=3))
    driver.round({A: PASS, B: FAIL})
    assert ttl(driver) == 5


MEMBER = Member(A, A, A, 1, 1, ())
STEADY = NEVER_PROBED._replace(last_known=Health.UP)


def row(state: TargetState, **more: Any) -> MemberStatus:
    return replace(MemberStatus(MEMBER, state, state.health, 1, 1, True), **more)


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        ([row(STEADY)], 15),
        ([], 1),
        ([row(STEADY), row(NEVER_PROBED)], 1),
        ([row(STEADY._replace(last_known=Health.DOWN))], 1),
        ([row(STEADY._replace(stale=True))], 1),
        ([row(STEADY._replace(streak=1))], 1),
        ([row(STEADY, waits_in=frozenset({""}))], 1),
        ([row(STEADY, override=Override("1", A, Action.UP))], 1),
    ],
)
def test_it_is_short_while_the_answer_may_change_soon(
    rows: list[MemberStatus], seconds: int
) -> None:
    assert answer_ttl(AUTO, rows) == seconds


@pytest.mark.parametrize(
    ("fall", "fast", "seconds"), [(1, None, 5), (3, None, 15), (3, 1.5, 8), (1, 1.5, 5)]
)
def test_it_is_the_time_in_which_a_failure_counts(
    fall: int, fast: float | None, seconds: int
) -> None:
    item = replace(AUTO, thresholds=Thresholds(fall=fall))
    item = replace(item, timing=replace(item.timing, fast_interval=fast))
    assert answer_ttl(item, [row(STEADY)]) == seconds


def test_it_has_a_lower_bound() -> None:
    assert answer_ttl(replace(AUTO, ttl_range=(20, 60)), [row(STEADY)]) == 20
