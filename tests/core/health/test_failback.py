"""When a member that came back serves again, held against a description in plain words."""

import math
from dataclasses import dataclass, field, replace
from itertools import product

import pytest

from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.model.records import Record
from tests.core.building import KEY, Driver, at, capture, record

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
PASS, FAIL = passed(), failed(1, "exit code 1")

FLAT, TIERS = {A: 1, B: 1, C: 1}, {A: 2, B: 1, C: 1}
MOVES = [*product(("turn", "clear"), (A, B)), ("turn", C), ("restart", "")]


def built(priorities: dict[str, int], failback: float) -> Record:
    dests = [f"{address}@{priority}" for address, priority in priorities.items()]
    return replace(record(*dests), failback=failback)


@dataclass
class Described:
    """A member that comes back waits, until it is let in or nobody else can serve.

    Whoever serves does not wait any more.
    """

    priorities: dict[str, int]
    up: set[str] = field(default_factory=lambda: {A, B, C})
    waiting: set[str] = field(default_factory=set)

    def turn(self, member: str) -> None:
        if member in self.up:
            self.up.discard(member)
            self.waiting.discard(member)
        else:
            self.up.add(member)
            self.waiting.add(member)

    def serve(self) -> set[str]:
        able = self.up - self.waiting or self.up
        best = max((self.priorities[member] for member in able), default=0)
        serving = {member for member in able if self.priorities[member] == best}
        self.waiting -= serving
        return serving


def restarted(driver: Driver) -> Driver:
    memory = capture(driver.health_map, {}, at(driver.clock))
    later = Driver(driver.health_map.records[KEY].record)
    later.clock = driver.clock
    restore(later.health_map, memory, at(later.clock), 3600)
    return later


@pytest.mark.parametrize("priorities", [FLAT, TIERS])
def test_manual_failback_does_what_is_described(priorities: dict[str, int]) -> None:
    for moves in product(MOVES, repeat=4):
        described = Described(priorities)
        driver = Driver(built(priorities, math.inf))
        driver.round({A: PASS, B: PASS, C: PASS})
        described.serve()
        for move, member in moves:
            if move == "turn":
                described.turn(member)
                driver.hear(member, PASS if member in described.up else FAIL)
                driver.close()
            elif move == "clear":
                described.waiting.discard(member)
                driver.health_map.readmit_member(KEY, member, at(driver.clock))
            else:
                driver = restarted(driver)
            served = described.serve()
            assert driver.served() == served, moves
            rows = driver.health_map.records[KEY].rows
            assert {r.member.content for r in rows if r.is_waiting} == described.waiting, moves


def test_a_member_that_had_to_serve_is_one_that_others_wait_for() -> None:
    driver = Driver(built({A: 2, B: 1}, 600))
    driver.round({A: PASS, B: PASS})
    driver.round({A: PASS, B: FAIL})
    driver.round({A: PASS, B: PASS})
    assert driver.round({A: FAIL, B: PASS}) == {B}
    assert driver.round({A: PASS, B: PASS}) == {B}
    driver.wait(601)
    assert driver.served() == {A}


def test_who_waits_in_one_view_may_serve_in_another() -> None:
    item = built({A: 2, B: 1}, math.inf)
    a, b = item.dests
    item = replace(item, dests=(replace(a, views=("office", "lab")), replace(b, views=("office",))))
    driver = Driver(item)
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: PASS})
    driver.round({A: PASS, B: PASS})
    for _ in range(2):
        pools = {pool.view: pool.contents for pool in driver.health_map.records[KEY].decision.pools}
        assert pools == {"office": (B,), "lab": (A,)}
        driver = restarted(driver)
    driver.health_map.readmit_member(KEY, A, at(driver.clock))
    driver.health_map.decide_marked()
    pools = {pool.view: pool.contents for pool in driver.health_map.records[KEY].decision.pools}
    assert pools == {"office": (A,), "lab": (A,)}


def test_clearing_a_member_of_one_name_lets_it_in_under_no_other() -> None:
    other = KEY._replace(name=f"other.{KEY.zone}")
    item = built({A: 2, B: 1}, math.inf)
    driver = Driver(item, replace(item, key=other))
    for results in ({A: PASS, B: PASS}, {A: FAIL, B: PASS}, {A: PASS, B: PASS}):
        driver.round(results)
        driver.close(other)
    driver.health_map.readmit_member(KEY, A, at(driver.clock))
    assert (driver.served(), driver.served(other)) == ({A}, {B})


def test_one_check_of_several_that_comes_back_is_no_return() -> None:
    item = replace(record(A, B, checks=("one", "two"), require=1), failback=math.inf)
    driver = Driver(item)
    for address, check in product((A, B), (0, 1)):
        driver.hear(address, PASS, check=check)
    driver.close()
    for check, result in ((1, FAIL), (1, PASS), (0, FAIL)):
        driver.hear(A, result, check=check)
        assert driver.served() == {A, B}


def test_an_address_that_left_while_it_waited_is_new_when_it_is_there_again() -> None:
    driver = Driver(built({"web.example": 1}, math.inf))
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", A, B)
    for result in (PASS, FAIL, PASS):
        driver.round({A: result, B: PASS})
    assert driver.served() == {B}
    driver.resolve("web.example", B)
    driver.resolve("web.example", A, B)
    assert driver.round({A: PASS, B: PASS}) == {A, B}
