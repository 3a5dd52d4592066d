"""What a plan would change, asked before it does."""

from dataclasses import replace

from dnslb_backend.core.health.decision import PENDING, DecisionKind
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override
from dnslb_backend.core.health.plan_preview import (
    RecordPreview,
    ZonePreview,
    preview_record,
    preview_zones,
)
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.model.records import AllDown, Record
from dnslb_backend.core.model.zones import ResourceRecord
from tests.core.building import KEY, Driver, at, record, timed, zone

OK = passed("ok")
BAD = failed(-6, "503")


def preview(driver: Driver, after: Record | None, *overrides: Override) -> RecordPreview:
    found = preview_record(driver.health_map, KEY, after, ActiveOverrides(overrides))
    assert found is not None
    return found


def test_a_record_that_is_the_same_would_not_change() -> None:
    driver = Driver(record("10.0.0.1"))
    assert preview_record(driver.health_map, KEY, record("10.0.0.1"), ActiveOverrides(())) is None


def test_a_member_that_is_left_out_would_not_serve() -> None:
    driver = Driver(record("10.0.0.1", "10.0.0.2"))
    driver.round({"10.0.0.1": OK, "10.0.0.2": OK})
    found = preview(driver, record("10.0.0.1"))
    assert (found.change, found.keys) == ("changed", ("dest",))
    assert (found.added, found.removed) == ((), ("10.0.0.2",))
    assert found.before is not None
    assert found.after is not None
    assert found.before.contents == ("10.0.0.1", "10.0.0.2")
    assert found.after.contents == ("10.0.0.1",)
    assert found.is_answer_changed


def test_a_new_member_would_not_serve_before_it_is_probed() -> None:
    driver = Driver(record("10.0.0.1"))
    driver.round({"10.0.0.1": OK})
    found = preview(driver, record("10.0.0.1", "10.0.0.2"))
    assert found.added == ("10.0.0.2",)
    assert not found.is_answer_changed


def test_what_is_known_counts_under_a_changed_check_as_well() -> None:
    driver = Driver(record("10.0.0.1", "10.0.0.2"))
    driver.round({"10.0.0.1": OK, "10.0.0.2": BAD})
    after = timed(record("10.0.0.1", "10.0.0.2", checks=("other",)), interval=9.0)
    found = preview(driver, after)
    assert found.keys == ("interval",)
    assert not found.is_answer_changed
    both = preview_record(driver.health_map, KEY, after, ActiveOverrides(()), is_check_changed=True)
    assert both is not None
    assert both.keys == ("check", "interval")


def test_another_answer_for_an_outage_would_be_given_at_once() -> None:
    driver = Driver(record("10.0.0.1"))
    driver.round({"10.0.0.1": BAD})
    found = preview(driver, record("10.0.0.1", all_down=AllDown.ALL))
    assert found.keys == ("all_down",)
    assert found.after is not None
    assert (found.after.kind, found.after.contents) == (DecisionKind.ALL, ("10.0.0.1",))


def test_overrides_go_on() -> None:
    driver = Driver(record("10.0.0.1@2", "10.0.0.2@2"))
    driver.round({"10.0.0.1": OK, "10.0.0.2": OK})
    drain = Override("1", "10.0.0.1", Action.DRAIN)
    driver.health_map.set_overrides([drain], at(driver.clock))
    found = preview(driver, record("10.0.0.1@3", "10.0.0.2@3"), drain)
    assert not found.is_answer_changed


def test_a_new_record_is_not_known_yet_and_a_removed_one_has_no_answer() -> None:
    driver = Driver()
    found = preview(driver, record("10.0.0.1"))
    assert (found.change, found.before, found.after) == ("added", None, PENDING)
    driver = Driver(record("10.0.0.1"))
    driver.round({"10.0.0.1": OK})
    found = preview(driver, None)
    assert (found.change, found.removed, found.after) == ("removed", ("10.0.0.1",), None)
    assert found.is_answer_changed


def test_nothing_changes_by_asking() -> None:
    driver = Driver(record("10.0.0.1", "10.0.0.2"))
    driver.round({"10.0.0.1": OK, "10.0.0.2": OK})
    driver.health_map.take_changes()
    before = driver.health_map.records[KEY]
    kept = (before.record, before.rows, before.decision, before.members)
    targets = list(driver.health_map.targets)
    preview(driver, record("10.0.0.9", checks=("other",)))
    state = driver.health_map.records[KEY]
    assert (state.record, state.rows, state.decision, state.members) == kept
    assert list(driver.health_map.targets) == targets
    assert not driver.health_map.take_changes().answers


def test_zones_differ_in_their_rows_and_keys() -> None:
    row = ResourceRecord("a.lb.example", "A", "192.0.2.1", 60)
    old, other = zone(static=[row]), zone("other.example")
    new = replace(zone(static=[row._replace(content="192.0.2.2")]), also_notify=("192.0.2.54",))
    assert preview_zones({old.name: old}, {new.name: new, other.name: other}) == [
        ZonePreview(
            "lb.example",
            "changed",
            ("static", "also_notify"),
            ("a.lb.example A 192.0.2.2",),
            ("a.lb.example A 192.0.2.1",),
        ),
        ZonePreview("other.example", "added", (), ("other.example NS ns1.other.example.",), ()),
    ]
    assert preview_zones({old.name: old}, {old.name: old}) == []
