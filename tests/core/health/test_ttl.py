from dataclasses import replace

from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import failed, passed
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
