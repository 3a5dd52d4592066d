"""A member flaps that changes often within a window, and no other does."""

from dnslb_backend.core.health.flapping import FLIPS, WINDOW, Flips
from dnslb_backend.core.health.results import failed, passed
from tests.core.building import KEY, Driver, record

A, B = "192.0.2.1", "192.0.2.2"
PASS, FAIL = passed(), failed(1, "exit code 1")


def test_so_many_changes_of_one_member_within_the_window() -> None:
    flips = Flips()
    for number in range(FLIPS - 1):
        flips.add(A, 10.0 * number)
        flips.add(B, 10.0 * number)
    assert flips.flapping(50.0) == 0
    flips.add(A, 50.0)
    assert flips.flapping(50.0) == 1
    assert flips.flapping(WINDOW) == 1
    assert flips.flapping(WINDOW + 0.1) == 0


def test_changes_that_are_far_apart_are_not_flapping() -> None:
    flips = Flips()
    for number in range(20):
        flips.add(A, WINDOW / 2 * number)
    assert flips.flapping(WINDOW * 10) == 0


def test_a_reload_goes_on_counting_and_a_first_result_is_no_change() -> None:
    driver = Driver(record(A))
    for result in (PASS, *(FAIL, PASS) * 2):
        driver.round({A: result})
    driver.health_map.take_changes()
    driver.adopt(record(A, B))
    driver.round({A: FAIL, B: PASS})
    driver.health_map.take_changes()
    flips = driver.health_map.records[KEY].flips
    assert flips.flapping(1_700_000_000 + driver.clock) == 0
    driver.round({A: PASS, B: PASS})
    driver.health_map.take_changes()
    assert flips.flapping(1_700_000_000 + driver.clock) == 1
