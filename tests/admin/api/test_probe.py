"""/api/v1/probe: the checks of a name, run because somebody wants to see them."""

import json
from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.api.probe import ProbeResponse
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.health.results import Outcome, Result
from dnslb_backend.core.health.target import Health
from tests.admin.node import BROKEN, OPERATE_TOKEN, READ_TOKEN, Node
from tests.core.building import KEY

PATH = "/api/v1/probe"
OPERATE = {"Authorization": f"Bearer {OPERATE_TOKEN}"}


async def probe(client: aiohttp.ClientSession, **asked: Any) -> ProbeResponse:
    async with client.post(PATH, json={"name": KEY.name, **asked}, headers=OPERATE) as response:
        assert response.status == 200
        return ProbeResponse.model_validate_json(await response.text())


async def test_a_row_for_each_target(client: aiohttp.ClientSession, node: Node) -> None:
    node.settle()
    report = await probe(client)
    assert [(row.address, row.outcome, row.health) for row in report.probes] == [
        (address, Outcome.PASS, Health.UP) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    ]
    first = report.probes[0]
    assert (first.name, first.type, first.contents) == (KEY.name, "A", ("10.0.0.1",))
    assert first.asked == "check"


class TryingNode(Node):
    """What it finds is what the test says; it remembers what it was asked."""

    asked: tuple[str, str]
    trial = ProbeReport(KEY, ("a", "b"), "10.0.0.1", "GET /", BROKEN, Health.UP, Health.DOWN, 0)

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        self.asked = name, qtype
        return [self.trial]


class TestTheRow:
    @pytest.fixture
    def node(self) -> TryingNode:
        return TryingNode()

    async def test_it_says_what_came_back_and_what_that_would_do(
        self, client: aiohttp.ClientSession, node: TryingNode
    ) -> None:
        result = Result(Outcome.FAIL, -2, "timed out", priority=3, weight=7, duration=2.0014)
        node.trial = ProbeReport(KEY, ("a", "b"), "x", "GET /", result, Health.UP, Health.UP, 1)
        (row,) = (await probe(client, type="aaaa")).probes
        assert node.asked == (KEY.name, "AAAA")
        assert row.contents == ("a", "b")
        assert (row.code, row.text, row.priority, row.weight) == (-2, "timed out", 3, 7)
        assert row.duration_ms == 2001.4
        assert (row.health, row.would_be, row.streak) == (Health.UP, Health.UP, 1)


async def test_it_makes_traffic_and_wants_the_role(client: aiohttp.ClientSession) -> None:
    for headers, status in ({}, 401), ({"Authorization": f"Bearer {READ_TOKEN}"}, 403):
        async with client.post(PATH, json={"name": KEY.name}, headers=headers) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": 1}, 422, "name"),
        ({"name": "www", "type": "A A"}, 422, "type"),
        ({"name": "www", "surprise": 1}, 422, "surprise"),
    ],
)
async def test_a_bad_request_names_its_field(
    client: aiohttp.ClientSession, body: dict[str, Any], status: int, field: str
) -> None:
    async with client.post(PATH, json=body, headers=OPERATE) as response:
        assert response.status == status
        problem = json.loads(await response.text())
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_an_unknown_name_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post(PATH, json={"name": "nope"}, headers=OPERATE) as response:
        assert response.status == 422
        assert "no such record: nope" in json.loads(await response.text())["detail"]
