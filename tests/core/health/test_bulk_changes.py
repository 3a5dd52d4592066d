"""What is about very many records at once, a target or an override, is worked off in parts; none of
its changes is lost where that is a matter of few records."""

import pytest

from dnslb_backend.core.health.healthmap import DECIDED_AT_ONCE
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import Result, failed, passed
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey
from tests.core.building import ZONE, Driver, at, record

ADDRESS = "10.0.0.1"
PASS, FAIL = passed("200 OK"), failed(0, "refused")


def keys(count: int) -> list[RecordKey]:
    return [RecordKey(ZONE, f"n{number}.{ZONE}", "A") for number in range(count)]


def driver(count: int) -> Driver:
    """So many records of one target that is UP, with nothing left to report."""
    made = Driver(*(record(ADDRESS, key=key) for key in keys(count)))
    made.hear(ADDRESS, PASS, keys(count)[0])
    for key in keys(count):
        made.health_map.close_cycle(key, at(1))
    made.health_map.take_changes()
    return made


def change(made: Driver, *results: Result) -> None:
    """The target gives these results, before anything is decided."""
    target = made.target(ADDRESS, next(iter(made.health_map.records)))
    for number, result in enumerate(results):
        observed = made.health_map.observe(target, result, at(2 + number))
        made.health_map.record(observed)


def test_each_part_has_as_many_records_as_it_may_and_each_record_comes_once() -> None:
    made = driver(120)
    change(made, FAIL)
    parts = list(made.health_map.take_in_parts(50))
    assert max(len(part.answers | part.touched) for part in parts) <= 50
    seen = [change.key for part in parts for change in part.transitions]
    assert sorted(seen) == sorted(keys(120))
    assert sorted(each.key for part in parts for each in part.decisions) == sorted(keys(120))
    assert made.health_map.take_changes().touched == frozenset()


def test_what_was_decided_elsewhere_comes_in_parts_as_well() -> None:
    made = driver(120)
    change(made, FAIL)
    for key in keys(120):
        made.health_map.close_cycle(key, at(3))
    parts = list(made.health_map.take_in_parts(50))
    assert max(len(part.transitions) for part in parts) <= 50
    assert sum(len(part.transitions) for part in parts) == 120


def test_few_records_report_every_change_of_health() -> None:
    made = driver(DECIDED_AT_ONCE)
    change(made, FAIL, PASS, FAIL)
    transitions = made.health_map.take_changes().transitions
    for key in keys(DECIDED_AT_ONCE):
        found = [each.to_health for each in transitions if each.key == key]
        assert found == [Health.DOWN, Health.UP, Health.DOWN]


def test_of_very_many_the_last_change_counts() -> None:
    count = 3 * DECIDED_AT_ONCE
    made = driver(count)
    change(made, FAIL, PASS)
    made.health_map.decide_marked()
    for key in keys(count):
        (row,) = made.health_map.records[key].rows
        assert (row.measured, made.served(key)) == (Health.UP, {ADDRESS})


@pytest.mark.parametrize("count", [3, 3 * DECIDED_AT_ONCE])
def test_an_override_of_any_number_of_records_is_reported_once_for_each(count: int) -> None:
    made = driver(count)
    drain = Override("1", "10.0.0.*", Action.DRAIN, author="ann")
    made.health_map.set_overrides([drain], at(5))
    decided = [key for key in keys(count) if not made.health_map.records[key].decision.contents]
    assert len(decided) == min(count, DECIDED_AT_ONCE)
    parts = list(made.health_map.take_in_parts(50))
    drained = [each for part in parts for each in part.transitions]
    assert sorted(each.key for each in drained) == sorted(keys(count))
    # The last member of a name is drained at once as well, though probes may be under way.
    for key in keys(count):
        assert made.served(key) == set()
    made.health_map.set_overrides([], at(6), lambda _: "bob")
    made.health_map.set_overrides([Override("2", "nothing", Action.DOWN)], at(6.1))
    cleared = [each for part in made.health_map.take_in_parts(50) for each in part.transitions]
    assert sorted(each.key for each in cleared) == sorted(keys(count))
    assert {each.reason for each in cleared} == {"drain cleared by bob: 200 OK"}
