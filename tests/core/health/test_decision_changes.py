"""When what clients of a record are given changes, it is reported once, with how serious it is."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.model.records import AllDown, Dest, MinHealthy, Record
from tests.core.building import KEY, ZONE, Driver, at, capture, record

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
PASS, FAIL, ERROR = passed(), failed(1, "exit code 1"), check_error("no such program")


def changes(driver: Driver) -> tuple[DecisionChange, ...]:
    return driver.health_map.take_changes().decisions


def said(found: Iterable[DecisionChange]) -> list[tuple[str, str, str, str]]:
    return [(c.before.service, c.after.service, c.after.severity, c.reason) for c in found]


def serving(*dests: str, **keys: AllDown | tuple[str, ...]) -> Driver:
    """A record of which every member is UP, and that is reported."""
    driver = Driver(record(*dests, **keys))  # type: ignore[arg-type]
    driver.round(dict.fromkeys((dest.partition("@")[0] for dest in dests), PASS))
    driver.health_map.take_changes()
    return driver


def drain(*targets: str) -> list[Override]:
    return [Override(target, target, Action.DRAIN, created=at(1).wall) for target in targets]


@pytest.mark.parametrize(
    ("all_down", "fallback", "service", "severity"),
    [
        (AllDown.NODATA, (), "no answer", "error"),
        (AllDown.SERVFAIL, (), "SERVFAIL", "error"),
        (AllDown.FALLBACK, ("192.0.2.9",), "fallback", "warning"),
        (AllDown.ALL, (), "serving DOWN members", "warning"),
        (AllDown.LAST, (), "serving DOWN members", "warning"),
    ],
)
def test_a_record_that_loses_all_members_and_recovers(
    all_down: AllDown, fallback: tuple[str, ...], service: str, severity: str
) -> None:
    driver = serving(A, B, all_down=all_down, fallback=fallback)
    driver.round({A: FAIL, B: FAIL})
    (lost,) = changes(driver)
    assert said([lost]) == [("serving", service, severity, "2 of 2 members DOWN")]
    assert (lost.key, lost.after.total, lost.after.up) == (KEY, 2, 0)
    driver.round({A: PASS, B: PASS})
    assert said(changes(driver)) == [(service, "serving", "info", "2 of 2 members UP")]


def test_a_record_with_fewer_healthy_members_than_it_needs_is_a_warning() -> None:
    driver = Driver(replace(record(A, B, C), min_healthy=MinHealthy(2)))
    driver.round({A: PASS, B: PASS, C: PASS})
    driver.health_map.take_changes()
    driver.round({A: FAIL, B: FAIL})
    lost = ("serving", "panic", "warning", "2 of 3 members DOWN, 1 UP")
    assert said(changes(driver)) == [lost]
    driver.round({A: PASS, B: PASS})
    assert said(changes(driver)) == [("panic", "serving", "info", "3 of 3 members UP")]


def test_a_record_of_views_is_in_panic_where_one_of_them_is() -> None:
    dests = tuple(Dest(one, is_literal=True, views=("near",)) for one in (A, B, C))
    driver = Driver(replace(record(), dests=dests, min_healthy=MinHealthy(2)))
    driver.round({A: PASS, B: PASS, C: PASS})
    driver.health_map.take_changes()
    driver.round({A: FAIL, B: FAIL})
    assert said(changes(driver)) == [("serving", "panic", "warning", "2 of 3 members DOWN, 1 UP")]


def test_the_last_healthy_member_of_several_is_a_warning_until_another_is_back() -> None:
    driver = serving(A, B, C)
    driver.round({A: FAIL})
    assert changes(driver) == ()
    driver.round({B: FAIL})
    last = ("serving", "serving", "warning", "last healthy member: 1 of 3 members UP")
    assert said(changes(driver)) == [last]
    driver.round({B: FAIL, C: PASS})
    assert changes(driver) == ()
    driver.round({B: PASS})
    assert said(changes(driver)) == [("serving", "serving", "info", "2 of 3 members UP")]


def test_the_standby_of_another_tier_counts_as_healthy() -> None:
    driver = serving(f"{A}@2", f"{B}@1", f"{C}@1")
    driver.round({A: FAIL})
    assert changes(driver) == ()


def test_a_record_of_one_member_has_no_last_one() -> None:
    driver = serving(A)
    driver.round({A: FAIL})
    driver.round({A: PASS})
    assert said(changes(driver)) == []


def test_drained_members_are_not_healthy_also_where_they_were_standby() -> None:
    driver = serving(f"{A}@2", f"{B}@1")
    driver.health_map.set_overrides(drain(B), at(50))
    last = ("serving", "serving", "warning", "last healthy member: 1 of 2 members UP")
    assert said(changes(driver)) == [last]
    driver.round({A: FAIL})
    reason = "1 of 2 members DOWN, 1 drained"
    assert said(changes(driver)) == [("serving", "no answer", "error", reason)]
    driver.health_map.set_overrides([], at(60))
    reason = "last healthy member: 1 of 2 members UP"
    assert said(changes(driver)) == [("no answer", "serving", "warning", reason)]


@pytest.mark.parametrize(
    ("results", "change"),
    [
        ({A: PASS, B: PASS}, ("pending", "serving", "info", "2 of 2 members UP")),
        ({A: FAIL, B: FAIL}, ("pending", "no answer", "error", "2 of 2 members DOWN")),
        ({A: ERROR, B: ERROR}, ("pending", "SERVFAIL", "error", "2 of 2 members UNKNOWN")),
        ({A: FAIL, B: ERROR}, ("pending", "no answer", "error", "1 of 2 members DOWN, 1 UNKNOWN")),
    ],
)
def test_the_first_answer_of_a_record(
    results: dict[str, Result], change: tuple[str, str, str, str]
) -> None:
    driver = Driver(record(A, B))
    assert changes(driver) == ()
    driver.round(results)
    (first,) = changes(driver)
    assert said([first]) == [change]
    assert first.is_start


def test_a_destination_without_addresses_has_no_members() -> None:
    driver = Driver(record("web.example"))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example")
    driver.close()
    assert said(changes(driver)) == [("pending", "no answer", "error", "no members")]


def test_what_is_undone_before_anything_is_published_is_no_change() -> None:
    driver = serving(A)
    driver.hear(A, FAIL)
    driver.hear(A, PASS)
    assert changes(driver) == ()


def test_what_is_held_until_the_end_of_the_cycle_is_no_change_yet() -> None:
    driver = serving(A)
    driver.health_map.open_cycle(KEY)
    driver.hear(A, FAIL)
    assert changes(driver) == ()
    driver.close()
    assert said(changes(driver)) == [("serving", "no answer", "error", "1 of 1 members DOWN")]


def test_the_last_healthy_member_that_falls_within_its_cycle_is_no_recovery() -> None:
    driver = serving(A, B)
    driver.round({A: FAIL})
    assert len(changes(driver)) == 1
    driver.health_map.open_cycle(KEY)
    driver.hear(B, FAIL)
    assert changes(driver) == ()
    driver.close()
    assert said(changes(driver)) == [("serving", "no answer", "error", "2 of 2 members DOWN")]


def test_a_reload_goes_on_from_what_was_reported_and_a_removed_record_is_silent() -> None:
    driver = serving(A, B)
    driver.round({A: FAIL, B: FAIL})
    driver.health_map.take_changes()
    driver.adopt(record(A, B, C))
    driver.round({A: FAIL, B: FAIL, C: FAIL})
    assert changes(driver) == ()
    driver.hear(C, PASS)
    driver.adopt()
    assert changes(driver) == ()


def test_what_is_restored_is_no_change_but_what_differs_from_it_is() -> None:
    driver = serving(A, B)
    driver.round({A: FAIL, B: FAIL})
    memory = replace(capture(driver.health_map, {ZONE: 7}, at(driver.clock)), elapsed=1.0)
    later = Driver(record(A, B))
    restore(later.health_map, memory, at(later.clock), 300.0)
    assert changes(later) == ()
    later.round({A: PASS, B: PASS})
    assert said(changes(later)) == [("no answer", "serving", "info", "2 of 2 members UP")]


def for_views(**views: str) -> Record:
    dests = tuple(
        Dest(address, is_literal=True, views=(view,) if view != "common" else ())
        for view, address in views.items()
    )
    return replace(record(), dests=dests)


def test_a_record_of_views_alone_serves_while_each_of_them_has_members() -> None:
    driver = Driver(for_views(near=A, far=B))
    driver.round({A: PASS, B: PASS})
    assert said(changes(driver)) == [("pending", "serving", "info", "2 of 2 members UP")]
    driver.round({B: FAIL})
    assert said(changes(driver)) == [("serving", "no answer", "error", "1 of 2 members DOWN, 1 UP")]


def test_clients_in_no_view_that_lose_their_members_are_a_change() -> None:
    driver = Driver(for_views(near=A, common=B))
    driver.round({A: PASS, B: PASS})
    changes(driver)
    driver.round({B: FAIL})
    assert said(changes(driver)) == [("serving", "no answer", "error", "1 of 2 members DOWN, 1 UP")]
