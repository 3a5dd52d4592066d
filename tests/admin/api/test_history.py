"""/api/v1/history: what happened, newest first, a page at a time."""

import json
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.api.history import HistoryDecision, HistoryReport, HistoryTransition
from dnslb_backend.core.health.history import (
    MAX_LIMIT,
    ChangeKind,
    HistoryQuery,
    Position,
    StoredChange,
)
from dnslb_backend.core.health.service import Service, Severity
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import StoreError
from tests.admin.node import BROKEN, OK, Node
from tests.core.building import KEY, at

PATH = "/api/v1/history"


async def history(client: aiohttp.ClientSession, **query: str) -> HistoryReport:
    async with client.get(PATH, params=query) as response:
        assert response.status == 200
        return HistoryReport.model_validate_json(await response.text())


async def test_what_happened_newest_first(client: aiohttp.ClientSession, node: Node) -> None:
    node.settle()
    node.clock = 60
    node.round({"10.0.0.1": BROKEN, "10.0.0.2": OK, "10.0.0.3": OK})
    report = await history(client, event="transition")
    assert (report.source, report.before) == ("sqlite", None)
    latest = report.events[0]
    assert isinstance(latest, HistoryTransition)
    assert (latest.node, latest.name, latest.type) == ("ns1", KEY.name, "A")
    assert (latest.content, latest.from_health, latest.to_health) == (
        "10.0.0.1",
        Health.UP,
        Health.DOWN,
    )
    assert (latest.from_served, latest.to_served) == (True, False)
    assert (latest.from_priority, latest.to_priority) == (2, None)
    assert latest.reason == "503 Service Unavailable"
    ids = [event.id for event in report.events]
    assert ids == sorted(ids, reverse=True)
    assert datetime.fromisoformat(latest.at).timestamp() == pytest.approx(at(60).wall, abs=1)


async def test_a_decision_is_newer_than_the_transitions_that_led_to_it(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    await history(client)
    node.clock = 60
    node.round(dict.fromkeys(("10.0.0.1", "10.0.0.2", "10.0.0.3"), BROKEN))
    decision, *others = (await history(client, within="30")).events
    assert isinstance(decision, HistoryDecision)
    assert {event.event for event in others} == {"transition"}
    assert (decision.node, decision.name, decision.type) == ("ns1", KEY.name, "A")
    assert (decision.before, decision.after) == (Service.SERVING, Service.NO_ANSWER)
    assert (decision.served, decision.total, decision.up) == (0, 3, 0)
    assert (decision.severity, decision.reason) == (Severity.ERROR, "3 of 3 members DOWN")
    assert (await history(client, event="decision", within="30")).events == (decision,)
    assert (await history(client, event="transition", within="30")).events == tuple(others)
    async with client.get(PATH, params={"event": "decision"}) as response:
        first = json.loads(await response.text())["events"][0]
    assert (first["event"], first["from"], first["to"]) == ("decision", "serving", "no answer")


async def test_pages_go_backwards_and_miss_nothing(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.settle()
    node.clock = 60
    node.round(dict.fromkeys(("10.0.0.1", "10.0.0.2", "10.0.0.3"), BROKEN))
    whole = [event.id for event in (await history(client)).events]
    assert len(whole) > 8
    seen: list[int] = []
    before: str | None = ""
    while before is not None:
        page = await history(client, limit="2", before=before)
        seen += [event.id for event in page.events]
        before = page.before
    assert seen == whole


async def test_one_name_also_one_that_is_gone(client: aiohttp.ClientSession, node: Node) -> None:
    gone = RecordKey("old.example", "api.old.example", "A")
    moved = Transition(
        at(1).wall,
        *(gone, "10.9.9.9", "10.9.9.9", Health.UP, Health.DOWN, True, False, 1, None, "gone"),
    )
    node.settle()
    node.remembered.append(StoredChange(1000, "ns2", moved))
    for name in ("api.old.example.", "API.old.example."):
        assert [event.id for event in (await history(client, name=name)).events] == [1000]
    for name in ("www", "www.lb.example"):
        names = {event.name for event in (await history(client, name=name)).events}
        assert names == {KEY.name}


class AskedNode(Node):
    """Remembers what it was asked."""

    asked: HistoryQuery

    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        self.asked = query
        return [], "mariadb"


class TestTheQuestion:
    @pytest.fixture
    def node(self) -> AskedNode:
        return AskedNode()

    async def test_it_is_handed_on(self, client: aiohttp.ClientSession, node: AskedNode) -> None:
        since, until = "2026-01-01T00:00:00Z", "2026-01-02T01:00:00+01:00"
        report = await history(
            client,
            since=since,
            until=until,
            node="ns2",
            limit="7",
            before="99-7",
            name="www",
            label="dc=fra",
            event="transition",
        )
        assert (report.source, report.events) == ("mariadb", ())
        day = datetime.fromisoformat(since).timestamp()
        kind = ChangeKind.TRANSITION
        assert node.asked == HistoryQuery(
            *(KEY.name, day, day + 86400, "ns2", Position(99, 7), 7, "dc=fra", kind)
        )

    async def test_a_page_may_begin_beyond_every_id(
        self, client: aiohttp.ClientSession, node: AskedNode
    ) -> None:
        await history(client, before=f"1-{10**19 - 1}")
        assert node.asked.before == Position(1, 2**63 - 1)

    async def test_a_time_before_now_is_counted_by_the_nodes_clock(
        self, client: aiohttp.ClientSession, node: AskedNode
    ) -> None:
        await history(client, within="90.5")
        assert node.asked.since == node.now().wall - 90.5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        (f"limit={MAX_LIMIT + 1}", "limit"),
        ("limit=many", "limit"),
        *((f"before={text}", "before") for text in ("0-1", "7", "1-", "-1", "1-2-3", "1-x")),
        ("event=restart", "event"),
        (f"before={2**63}", "before"),
        ("since=yesterday", "since"),
        ("since=1700000000", "since"),
        ("until=2026-01-01T00:00:00", "until"),
        ("within=0", "within"),
        ("within=inf", "within"),
        ("within=nan", "within"),
        ("since=2026-01-01T00:00:00Z&within=1", "since"),
        ("name=..", "name"),
        ("node=" + "x" * 256, "node"),
        ("surprise=1", "surprise"),
    ],
)
async def test_a_bad_question_names_its_field(
    client: aiohttp.ClientSession, query: str, field: str
) -> None:
    async with client.get(f"{PATH}?{query}") as response:
        assert response.status == 422
        problem: dict[str, Any] = json.loads(await response.text())
    assert [error["field"] for error in problem["errors"]] == [field]


class ForgetfulNode(Node):
    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        raise StoreError("the local file cannot be used: disk full")


class TestNoStore:
    @pytest.fixture
    def node(self) -> ForgetfulNode:
        return ForgetfulNode()

    async def test_it_is_said(self, client: aiohttp.ClientSession) -> None:
        async with client.get(PATH) as response:
            assert response.status == 503
            assert "disk full" in json.loads(await response.text())["detail"]
