"""What an order would do, and when it ends."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.override_guard import loses_service
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override, next_change
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.model.records import RecordKey
from tests.core.building import KEY, ZONE, Driver, at, record

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
OTHER = RecordKey(ZONE, f"other.{ZONE}", "A")
PASS, FAIL = passed(), failed(1, "exit code 1")


def order(target: str, action: Action = Action.DRAIN, name: str = "", number: int = 1) -> Override:
    return Override(str(number), target, action, name=name, created=number)


def unserved(driver: Driver, orders: list[Override]) -> tuple[RecordKey, ...]:
    moved = set(orders).symmetric_difference(driver.health_map.overrides)
    return without_service(driver, orders, moved)


def without_service(
    driver: Driver, orders: list[Override], moved: Iterable[Override]
) -> tuple[RecordKey, ...]:
    health, active = driver.health_map, ActiveOverrides(orders)
    covered = health.covered(moved)
    return tuple(
        key for key in health.records if key in covered and loses_service(health, key, active)
    )


@pytest.fixture
def driver() -> Driver:
    driver = Driver(record(A, B), record(A, key=OTHER))
    driver.round({A: PASS, B: PASS})
    driver.round({A: PASS}, OTHER)
    return driver


@pytest.mark.parametrize("action", [Action.DRAIN, Action.DOWN])
def test_the_last_serving_member_is_missed(driver: Driver, action: Action) -> None:
    assert unserved(driver, [order(B, action)]) == ()
    assert unserved(driver, [order(A, action)]) == (OTHER,)
    assert unserved(driver, [order("192.0.2.*", action)]) == (KEY, OTHER)
    assert unserved(driver, [order(A, action, KEY.name)]) == ()


def test_orders_are_weighed_together(driver: Driver) -> None:
    orders = [order(B, number=1), order(A, name=KEY.name, number=2)]
    assert unserved(driver, orders) == (KEY,)
    assert unserved(driver, [*orders, order(B, Action.UP, KEY.name, 3)]) == ()


def test_taking_back_an_order_can_leave_nobody(driver: Driver) -> None:
    driver.round({A: PASS, B: FAIL})
    holding = [order(B, Action.UP), order(A, name=KEY.name, number=2)]
    driver.health_map.set_overrides(holding, at(driver.clock))
    assert driver.served() == {B}
    assert unserved(driver, holding) == ()
    assert unserved(driver, holding[1:]) == (KEY,)


TARGETS = st.sampled_from([A, B, C, "192.0.2.*", "192.0.2.[12]", "*", "web.example", "w*"])
ORDERS = st.builds(
    order,
    *(TARGETS, st.sampled_from(Action), st.sampled_from(["", KEY.name, OTHER.name])),
    st.integers(0, 1000),
)


@given(st.lists(ORDERS, max_size=6, unique_by=lambda each: each.id), st.integers(0, 6))
def test_a_look_at_what_moves_finds_what_a_look_at_everything_finds(
    orders: list[Override], kept: int
) -> None:
    driver = Driver(record(A, B, "web.example"), record(A, key=OTHER))
    driver.resolve("web.example", C)
    driver.round({A: PASS, B: PASS, C: FAIL})
    driver.round({A: PASS}, OTHER)
    driver.health_map.set_overrides(orders[:kept], at(driver.clock))
    found = unserved(driver, orders)
    everywhere = without_service(driver, orders, [order("*")])
    assert found == everywhere
    driver.health_map.set_overrides(orders, at(driver.clock))
    for key, state in driver.health_map.records.items():
        for row in state.rows:
            matching = [o for o in orders if o.matches(key.name, *row.member.aliases)]
            held = [o for o in matching if o.action is not Action.WEIGHT]
            assert (row.override in held) if held else (row.override is None)


def test_a_record_that_serves_nobody_has_nobody_to_lose(driver: Driver) -> None:
    driver.round({A: FAIL, B: FAIL})
    assert unserved(driver, [order("*")]) == ()


def test_a_member_of_a_lower_tier_is_no_loss_but_a_gain() -> None:
    driver = Driver(record(f"{A}@2", f"{B}@1"))
    driver.round({A: PASS, B: PASS})
    assert driver.served() == {A}
    assert unserved(driver, [order(A)]) == ()


def test_clients_of_a_view_can_do_with_what_is_for_all_but_not_the_other_way() -> None:
    item = record(A, B)
    item = replace(item, dests=(item.dests[0], replace(item.dests[1], views=("office",))))
    driver = Driver(item)
    driver.round({A: PASS, B: PASS})
    assert unserved(driver, [order(B)]) == ()
    assert unserved(driver, [order(A)]) == (KEY,)


@pytest.mark.parametrize(
    ("target", "name", "is_known"),
    [
        (A, "", True),
        ("192.0.2.?", "", True),
        ("192.0.2.9", "", False),
        (B, KEY.name, True),
        (B, OTHER.name, False),
        ("web.example", "", True),
        ("web.*", "", True),
    ],
)
def test_an_order_is_about_somebody(target: str, name: str, is_known: bool) -> None:
    driver = Driver(record(A, B, "web.example"), record(A, key=OTHER))
    assert bool(driver.health_map.covered([order(target, name=name)])) == is_known


def test_the_next_order_to_begin_or_to_end() -> None:
    orders = [
        Override("1", A, Action.UP, expires=30),
        Override("2", A, Action.UP, expires=20),
        Override("3", A, Action.UP, starts=10),
    ]
    assert [next_change(orders, wall) for wall in (0, 10, 19.9, 20, 30)] == [10, 20, 20, 30, None]
    assert next_change([], 0) is None


def test_an_order_finds_its_records_after_addresses_have_moved(driver: Driver) -> None:
    driver.adopt(record("web.example"), record(B, key=OTHER))
    driver.health_map.open_cycle(KEY)
    for known, gone in ((A, C), (C, A)):
        driver.resolve("web.example", known)
        assert driver.health_map.covered([order(known)]) == {KEY}
        assert driver.health_map.covered([order(gone)]) == set()
    assert driver.health_map.covered([order("web.example")]) == {KEY}
    driver.adopt(record(B, key=OTHER))
    assert driver.health_map.covered([order("*")]) == {OTHER}
