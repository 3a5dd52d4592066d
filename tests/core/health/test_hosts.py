"""How many addresses of one host name are used."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.changes import Overflow
from dnslb_backend.core.health.hosts import HostState, apply_resolution
from dnslb_backend.core.health.hosts import limited as lower_limit
from dnslb_backend.core.health.resolutions import Resolution, Status, found
from dnslb_backend.core.health.results import passed
from tests.core.building import KEY, Driver, record

HOST = "web.example"


def addresses(*numbers: int) -> list[str]:
    return [f"192.0.2.{number}" for number in numbers]


def limited(limit: int) -> Driver:
    driver = Driver(replace(record(HOST), max_addresses=limit))
    driver.health_map.open_cycle(KEY)
    return driver


def used(driver: Driver) -> list[str]:
    return [member.content for member in driver.health_map.records[KEY].members]


def test_of_too_many_addresses_the_lowest_are_used() -> None:
    driver = limited(3)
    driver.resolve(HOST, *addresses(2, 9, 10, 20, 100))
    assert used(driver) == addresses(2, 9, 10)
    assert driver.health_map.records[KEY].hosts[HOST].ignored == 2


def test_those_in_use_stay_while_a_long_list_rotates() -> None:
    driver = limited(3)
    driver.resolve(HOST, *addresses(20, 30, 40))
    for answer in ((1, 2, 20, 30, 40), (5, 20, 30, 40, 50), (20, 30, 40)):
        driver.resolve(HOST, *addresses(*answer))
        assert used(driver) == addresses(20, 30, 40)
    driver.resolve(HOST, *addresses(1, 2, 20, 40, 50))
    assert used(driver) == addresses(1, 20, 40), "one of them has gone"


def test_it_is_reported_once_when_it_begins_and_when_it_ends() -> None:
    driver = limited(2)
    for count in (2, 4, 5, 2, 2):
        driver.resolve(HOST, *addresses(*range(1, count + 1)))
    assert driver.health_map.take_changes().overflows == (
        Overflow(KEY, HOST, 2, 2),
        Overflow(KEY, HOST, 0, 2),
    )
    assert driver.health_map.take_changes().overflows == ()


def test_a_name_that_is_gone_ignores_nothing() -> None:
    driver = limited(1)
    driver.resolve(HOST, *addresses(1, 2))
    driver.clock += 1000
    driver.resolve(HOST, status=Status.NXDOMAIN)
    assert driver.health_map.records[KEY].hosts[HOST].ignored == 0


def test_a_lower_limit_holds_though_the_resolver_is_silent() -> None:
    driver = limited(3)
    driver.resolve(HOST, *addresses(1, 2, 3))
    driver.round(dict.fromkeys(addresses(1, 2, 3), passed()))
    driver.adopt(replace(record(HOST), max_addresses=2))
    driver.health_map.open_cycle(KEY)
    driver.resolve(HOST, status=Status.FAILED)
    driver.close()
    assert driver.served() == set(addresses(1, 2))


def test_fallback_hosts_are_limited_as_well() -> None:
    driver = Driver(replace(record("192.0.2.200", fallback=[HOST]), max_addresses=2))
    driver.health_map.open_cycle(KEY)
    driver.resolve(HOST, *addresses(1, 2, 3))
    driver.close()
    assert driver.served() == set(addresses(1, 2))


# -- the table of the module ----------------------------------------------------------------

OLD = HostState(("192.0.2.1",), resolved=100.0, is_answered=True)
BLIND = HostState()
GONE, SILENT = Resolution(Status.NXDOMAIN), Resolution(Status.FAILED, text="timed out")


@pytest.mark.parametrize(
    ("before", "resolution", "mono", "after"),
    [
        (OLD, found(("192.0.2.2",)), 101, (("192.0.2.2",), 101, True)),
        (BLIND, found(("192.0.2.2",)), 101, (("192.0.2.2",), 101, True)),
        (OLD, found(()), 101, ((), 101, True)),
        (OLD, GONE, 399, (("192.0.2.1",), 100, True)),
        (OLD, GONE, 400, ((), 100, True)),
        (BLIND, GONE, 101, ((), None, True)),
        (OLD, SILENT, 9999, (("192.0.2.1",), 100, True)),
        (BLIND, SILENT, 101, ((), None, False)),
    ],
)
def test_each_resolution_leaves_the_addresses_of_the_table(
    before: HostState,
    resolution: Resolution,
    mono: float,
    after: tuple[tuple[str, ...], float | None, bool],
) -> None:
    state = apply_resolution(before, resolution, mono, 300, limit=9)
    assert (state.addresses, state.resolved, state.is_answered) == after
    assert (state.last, state.ignored) == (resolution, 0)


@pytest.mark.parametrize(
    ("state", "mono", "is_overdue"),
    [
        (BLIND, 9999, False),
        (OLD, 9999, False),
        (replace(OLD, last=GONE), 9999, False),
        (replace(OLD, last=SILENT), 400, False),
        (replace(OLD, last=SILENT), 401, True),
        (replace(OLD, last=SILENT, resolved=None), 0, True),
        (replace(BLIND, last=SILENT), 9999, False),
    ],
)
def test_addresses_are_overdue_while_lookups_fail_past_dns_ttl(
    state: HostState, mono: float, is_overdue: bool
) -> None:
    assert state.is_overdue(mono, 300) is is_overdue


@given(
    st.lists(st.integers(1, 20), unique=True).map(sorted),
    st.sets(st.integers(1, 20)),
    st.integers(1, 6),
)
def test_a_limit_keeps_used_addresses_first_and_then_the_first_found(
    answer: list[int], used: set[int], limit: int
) -> None:
    before = HostState(tuple(addresses(*sorted(used))), resolved=1.0, is_answered=True)
    resolution = found(tuple(addresses(*answer)))
    state = apply_resolution(before, resolution, 2.0, 300, limit)
    wanted = [n for n in answer if n in used] + [n for n in answer if n not in used]
    assert state.addresses == tuple(addresses(*sorted(wanted[:limit])))
    assert state.ignored == len(answer) - len(state.addresses)
    assert state.last is not None
    assert state.last.addresses == state.addresses


@pytest.mark.parametrize(("limit", "kept", "ignored"), [(1, 1, 4), (2, 2, 3), (3, 3, 2), (4, 3, 2)])
def test_a_lower_limit_cuts_what_is_known(limit: int, kept: int, ignored: int) -> None:
    state = HostState(tuple(addresses(1, 2, 3)), 1.0, is_answered=True, ignored=2)
    cut = lower_limit(state, limit)
    assert (cut.addresses, cut.ignored) == (tuple(addresses(1, 2, 3))[:kept], ignored)
