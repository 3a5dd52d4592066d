"""How many addresses of one host name are used."""

from dataclasses import replace

from dnslb_backend.core.health.changes import Overflow
from dnslb_backend.core.health.resolutions import Status
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
