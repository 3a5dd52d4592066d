"""/api/v1/explain: what DNS says, and how that comes about."""

import json
import time
from dataclasses import replace

import aiohttp
import pytest

from dnslb_backend.admin.api.explain import ExplainReport
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import Policy, RecordKey
from tests.admin.node import BROKEN, OK, Node
from tests.core.building import KEY, ZONE, at, record

PATH = "/api/v1/explain"


async def explain(client: aiohttp.ClientSession, **query: str) -> ExplainReport:
    async with client.get(PATH, params={"name": KEY.name, **query}) as response:
        assert response.status == 200
        return ExplainReport.model_validate_json(await response.text())


async def test_every_step_to_the_answer(client: aiohttp.ClientSession, node: Node) -> None:
    node.round({"10.0.0.1": OK, "10.0.0.2": BROKEN, "10.0.0.3": OK})
    report = await explain(client, type="a")
    assert (report.name, report.type, report.zone, report.verdict) == (
        KEY.name,
        "A",
        ZONE,
        "NOERROR",
    )
    assert [(row.type, row.content, row.ttl) for row in report.answer] == [("A", "10.0.0.1", 5)]
    (told,) = report.records
    assert (told.decision, told.threshold, told.prio_min_cnt) == (DecisionKind.SERVE, 2, 1)
    assert told.answer == ("10.0.0.1",)
    assert [(row.content, row.health, row.picked, row.reason) for row in told.members] == [
        ("10.0.0.1", Health.UP, True, "200 OK"),
        ("10.0.0.2", Health.DOWN, False, "503 Service Unavailable"),
        ("10.0.0.3", Health.UP, False, "standby (priority 2 is serving)"),
    ]


async def test_an_override_is_shown_beside_what_was_measured(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    order = Override("1", "10.0.0.1", Action.DRAIN, author="night-shift", created=at(1).wall)
    node.health_map.set_overrides([order], at(2))
    first = (await explain(client)).records[0].members[0]
    assert (first.health, first.effective, first.picked) == (Health.UP, Health.UP, False)
    assert first.override is not None
    assert (first.override.action, first.override.expires) == (Action.DRAIN, None)
    assert first.reason == "override drain by night-shift"


async def test_what_if_changes_the_answer_and_nothing_else(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    report = await explain(client, down="10.0.0.[12]")
    assert [row.content for row in report.answer] == ["10.0.0.3"]
    assert report.down == "10.0.0.[12]"
    assert node.served() == {"10.0.0.1", "10.0.0.2"}
    assert node.overrides() == []


async def test_what_if_a_target_had_another_weight(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.adopt(replace(record("10.0.0.1", "10.0.0.2"), policy=Policy.WEIGHTED))
    node.settle()
    report = await explain(client, weight="10.0.0.1=0")
    assert report.weight == "10.0.0.1=0"
    assert [row.weight for row in report.records[0].members] == [0, 1]
    assert [row.content for row in report.answer] == ["10.0.0.2"]
    assert node.overrides() == []
    both = await explain(client, weight="10.0.0.*=7", down="10.0.0.2")
    assert [row.weight for row in both.records[0].members] == [7, 7]
    assert [row.content for row in both.answer] == ["10.0.0.1"]


async def test_what_if_a_weight_counts_nowhere(client: aiohttp.ClientSession, node: Node) -> None:
    node.settle()
    params = {"name": KEY.name, "weight": "10.0.0.1=5"}
    async with client.get(PATH, params=params) as response:
        assert response.status == 422
        (error,) = json.loads(await response.text())["errors"]
    assert error["field"] == "weight"
    assert 'policy = "weighted" or "sticky"' in error["message"]


async def test_what_if_of_nobody_is_refused(client: aiohttp.ClientSession, node: Node) -> None:
    node.settle()
    async with client.get(PATH, params={"name": KEY.name, "down": "10.0.0.99"}) as response:
        assert response.status == 422
        problem = json.loads(await response.text())
    assert [error["field"] for error in problem["errors"]] == ["down"]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [(f"nope.{ZONE}", "NXDOMAIN"), ("www.example.net.", "REFUSED"), (ZONE, "NOERROR")],
)
async def test_names_without_a_balanced_record(
    client: aiohttp.ClientSession, name: str, verdict: str
) -> None:
    report = await explain(client, name=name)
    assert (report.verdict, report.records) == (verdict, ())


async def test_a_fault_of_ours_is_told(client: aiohttp.ClientSession) -> None:
    report = await explain(client)
    assert (report.verdict, report.answer) == ("SERVFAIL", ())
    assert "no member's health is known" in report.records[0].warnings[0]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "name"),
        ("name=", "name"),
        ("name=..", "name"),
        ("name=" + "x" * 64, "name"),
        ("name=www&type=A%20A", "type"),
        ("name=www&type=" + "A" * 21, "type"),
        ("name=www&type=BOGUS", "type"),
        ("name=www&type=TYPE65536", "type"),
        ("name=nope", "name"),
        ("name=www&client=" + "1" * 65, "client"),
        ("name=www&down=" + "x" * 1025, "down"),
        *((f"name=www&weight={text}", "weight") for text in ("5", "a=", "a=x", "=5", "a=65536")),
        ("name=www&up=x", "up"),
    ],
)
async def test_a_bad_question_names_its_field(
    client: aiohttp.ClientSession, query: str, field: str
) -> None:
    async with client.get(f"{PATH}?{query}") as response:
        assert response.status == 422
        problem = json.loads(await response.text())
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_record_of_a_thousand_is_explained_at_once(
    client: aiohttp.ClientSession, node: Node, no_collection: None
) -> None:
    addresses = [f"10.1.{number // 250}.{number % 250}" for number in range(1000)]
    key = RecordKey(ZONE, f"many.{ZONE}", "A")
    node.adopt(record(*addresses, key=key))
    node.round(dict.fromkeys(addresses, OK), key)
    began = time.perf_counter()
    report = await explain(client, name=key.name)
    # 0.1 s on an idle machine.
    assert time.perf_counter() - began < 2
    assert len(report.records[0].members) == 1000
