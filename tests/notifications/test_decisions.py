"""Which changes of decisions are events."""

import pytest

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.model.records import AllDown, RecordKey
from dnslb_backend.notifications.decisions import DecisionChange, DecisionTracker, Severity
from tests.core.building import KEY, ZONE, Driver, record
from tests.notifications.scenes import DOWN, UP, A, B

OTHER = RecordKey(ZONE, f"other.{ZONE}", "A")
BOTH_UP, BOTH_DOWN = {A: UP, B: UP}, {A: DOWN, B: DOWN}


def observed(driver: Driver, tracker: DecisionTracker) -> list[DecisionChange]:
    return tracker.observe(driver.health_map.take_changes(), 7.0)


def kinds(changes: list[DecisionChange]) -> list[tuple[str, str]]:
    return [(change.before, change.after) for change in changes]


def test_a_first_check_that_passes_is_no_event() -> None:
    driver = Driver(record(A, B))
    tracker = DecisionTracker(driver.health_map)
    driver.round(BOTH_UP)
    assert observed(driver, tracker) == []


def test_a_first_check_that_fails_is_one() -> None:
    driver = Driver(record(A, B))
    tracker = DecisionTracker(driver.health_map)
    driver.round(BOTH_DOWN)
    assert kinds(observed(driver, tracker)) == [("pending", "nodata")]


def test_what_was_down_at_the_start_is_reported_when_it_serves() -> None:
    driver = Driver(record(A, B))
    driver.round(BOTH_DOWN)
    driver.health_map.take_changes()
    tracker = DecisionTracker(driver.health_map)
    driver.round(BOTH_UP)
    assert kinds(observed(driver, tracker)) == [("nodata", "serve")]


def test_a_member_that_fails_beside_others_is_no_decision() -> None:
    driver = Driver(record(A, B))
    driver.round(BOTH_UP)
    tracker = DecisionTracker(driver.health_map)
    driver.round({A: DOWN, B: UP})
    assert observed(driver, tracker) == []


def test_a_decision_counts_members_without_the_fallback() -> None:
    driver = Driver(record(A, B, fallback=("192.0.2.9",)))
    driver.resolve("192.0.2.9", "192.0.2.9")
    driver.round(BOTH_UP)
    tracker = DecisionTracker(driver.health_map)
    driver.round(BOTH_DOWN)
    (change,) = observed(driver, tracker)
    assert (change.after, change.served, change.total) == (DecisionKind.FALLBACK, 0, 2)


@pytest.mark.parametrize(
    ("all_down", "severity"),
    [
        (AllDown.ALL, Severity.WARNING),
        (AllDown.LAST, Severity.WARNING),
        (AllDown.NODATA, Severity.ERROR),
        (AllDown.SERVFAIL, Severity.ERROR),
    ],
)
def test_severity_is_that_of_the_answer(all_down: AllDown, severity: Severity) -> None:
    driver = Driver(record(A, B, all_down=all_down))
    driver.round(BOTH_UP)
    tracker = DecisionTracker(driver.health_map)
    driver.round(BOTH_DOWN)
    (failing,) = observed(driver, tracker)
    driver.round(BOTH_UP)
    (serving,) = observed(driver, tracker)
    assert (failing.severity, serving.severity) == (severity, Severity.INFO)


def test_a_record_that_is_removed_is_no_event_and_is_forgotten() -> None:
    driver = Driver(record(A, B), record(A, B, key=OTHER))
    driver.round(BOTH_UP)
    driver.close(OTHER)
    tracker = DecisionTracker(driver.health_map)
    driver.adopt(record(A, B))
    assert observed(driver, tracker) == []
    driver.adopt(record(A, B), record("192.0.2.5", key=OTHER))
    driver.round({"192.0.2.5": UP}, OTHER)
    assert observed(driver, tracker) == []
    driver.round({"192.0.2.5": DOWN}, OTHER)
    (change,) = observed(driver, tracker)
    assert (change.key, change.before) == (OTHER, DecisionKind.SERVE)
    assert change.key != KEY
