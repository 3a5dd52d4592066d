"""The words for members and records, which commands and page take from the API."""

from collections.abc import Callable
from dataclasses import replace

import aiohttp
import pytest

from dnslb_backend.admin.api.status import StatusReport
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.model.records import AllDown, MinHealthy
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.admin.node import BROKEN, OK, Node
from tests.core.building import at, record

DOWN = {"10.0.0.1": BROKEN, "10.0.0.2": BROKEN}


async def status_of(client: aiohttp.ClientSession) -> StatusReport:
    async with client.get("/api/v1/status") as response:
        return StatusReport.model_validate_json(await response.text())


@pytest.mark.parametrize(
    ("all_down", "fallback", "service", "summary"),
    [
        (AllDown.NODATA, (), "no answer", "no answer, 0 of 2 served"),
        (AllDown.SERVFAIL, (), "SERVFAIL", "SERVFAIL, 0 of 2 served"),
        (AllDown.ALL, (), "serving DOWN members", "serving DOWN members, 2 of 2 served"),
        (AllDown.FALLBACK, ("192.0.2.9",), "fallback", "fallback, 0 of 2 served"),
    ],
)
async def test_what_clients_are_given_when_all_members_are_down(
    client: aiohttp.ClientSession,
    node: Node,
    all_down: AllDown,
    fallback: tuple[str, ...],
    service: str,
    summary: str,
) -> None:
    node.adopt(record("10.0.0.1", "10.0.0.2", all_down=all_down, fallback=fallback))
    node.settle(DOWN)
    (row,) = (await status_of(client)).records
    assert (row.service, row.summary, row.members_total) == (service, summary, 2)


async def test_a_record_with_fewer_healthy_members_than_it_needs(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.adopt(replace(record("10.0.0.1", "10.0.0.2", "10.0.0.3"), min_healthy=MinHealthy(2)))
    node.settle({**DOWN, "10.0.0.3": OK})
    (row,) = (await status_of(client)).records
    assert (row.decision, row.service, row.summary) == ("panic", "panic", "panic, 3 of 3 served")


async def test_a_record_before_its_first_cycle_and_one_that_serves(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.adopt(record("10.0.0.8", "10.0.0.9"))
    (row,) = (await status_of(client)).records
    assert (row.service, row.summary) == ("pending", "pending, 0 of 2 served")
    node.settle({"10.0.0.8": OK, "10.0.0.9": BROKEN})
    (row,) = (await status_of(client)).records
    assert (row.service, row.summary) == ("serving", "1 of 2 served")
    assert (row.members_served, row.members_total) == (1, 2)


def _override(action: Action) -> Callable[[Node], None]:
    given = Override("7", "10.0.0.1", action, created=at(60).wall)
    return lambda node: node.health_map.set_overrides([given], at(60))


def _turn_often(node: Node) -> None:
    for result in (BROKEN, OK, BROKEN, OK):
        node.hear("10.0.0.1", result)


def _return(node: Node) -> None:
    for result in (BROKEN, OK):
        node.hear("10.0.0.1", result)


@pytest.mark.parametrize(
    ("happens", "state"),
    [
        (lambda node: None, "UP"),
        (lambda node: node.hear("10.0.0.1", BROKEN), "DOWN"),
        (_override(Action.DRAIN), "DRAINED"),
        (_override(Action.UP), "FORCED UP"),
        (_override(Action.DOWN), "FORCED DOWN"),
        (_turn_often, "FLAPPING"),
        (_return, "WAITING"),
        (lambda node: node.wait(1000), "STALE"),
    ],
)
async def test_a_member_in_a_word_or_two(
    client: aiohttp.ClientSession, node: Node, happens: Callable[[Node], None], state: str
) -> None:
    rules = Thresholds(damping=Damping(flips=3))
    node.adopt(replace(record("10.0.0.1", "10.0.0.2"), thresholds=rules, failback=60))
    node.settle()
    happens(node)
    node.health_map.decide_marked()
    assert (await status_of(client)).members[0].state == state


async def test_explain_has_the_same_words(client: aiohttp.ClientSession, node: Node) -> None:
    node.adopt(record("10.0.0.1", "10.0.0.2"))
    node.settle({"10.0.0.1": BROKEN, "10.0.0.2": OK})
    async with client.get("/api/v1/explain", params={"name": "www"}) as response:
        (found,) = (await response.json())["records"]
    assert found["service"] == "serving"
    assert [(row["state"], row["outcome"]) for row in found["members"]] == [
        ("DOWN", "left out"),
        ("UP", "answered"),
    ]
