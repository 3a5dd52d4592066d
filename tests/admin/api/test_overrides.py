"""/api/v1/overrides: giving orders, listing them, taking them back."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.control import ClearResult, Readmitted
from dnslb_backend.admin.http.requests import BODY_LIMIT
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.model.records import Policy, RecordKey
from dnslb_backend.errors import ConflictError, OverrideNotFoundError, StoreError
from tests.admin.node import OPERATE_TOKEN, READ_TOKEN, Node
from tests.core.building import KEY, ZONE, at, record

PATH = "/api/v1/overrides"
OPERATE = {"Authorization": f"Bearer {OPERATE_TOKEN}"}


def rfc3339(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat()


async def give(client: aiohttp.ClientSession, **order: Any) -> tuple[int, dict[str, Any]]:
    async with client.post(PATH, json=order, headers=OPERATE) as response:
        return response.status, json.loads(await response.text())


async def test_an_order_holds_is_listed_and_is_taken_back(
    client: aiohttp.ClientSession, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.settle()
    now = node.now().wall
    with caplog.at_level(logging.INFO):
        status, order = await give(
            client, target="10.0.0.1", action="drain", reason="new disk", expires_in=90
        )
    assert status == 201
    assert order["author"] == "night-shift"
    assert (order["target"], order["action"], order["name"]) == ("10.0.0.1", "drain", "")
    ends = datetime.fromisoformat(order["expires"]).timestamp()
    assert ends == pytest.approx(now + 90, abs=0.01)
    assert node.served() == {"10.0.0.2"}
    assert "night-shift: drain 10.0.0.1 (new disk)" in caplog.text

    async with client.get(PATH) as response:
        report = await response.json()
    assert (report["node"], report["time"]) == ("ns1", order["created"])
    affects = {"records": 1, "members": 1, "first": [f"{KEY} 10.0.0.1"]}
    assert report["overrides"] == [order | {"affects": affects}]
    query = {"target": order["id"], "force": "true"}
    async with client.delete(PATH, params=query, headers=OPERATE) as response:
        assert response.status == 200
        assert (await response.json())["cleared"] == [order]
    assert node.served() == {"10.0.0.1", "10.0.0.2"}
    async with client.get(PATH) as response:
        assert (await response.json())["overrides"] == []


async def test_what_an_override_affects(client: aiohttp.ClientSession, node: Node) -> None:
    keys = [RecordKey(ZONE, f"r{number:02}.{ZONE}", "A") for number in range(100)]
    node.adopt(*(record("10.0.0.1", "10.0.0.2", key=key) for key in keys))
    await give(client, target="10.0.0.*", action="drain")
    await give(client, target="10.0.0.1", action="up")
    await give(client, target="10.0.0.1", action="down", name=keys[7].name)
    node.health_map.decide_marked()
    async with client.get(PATH) as response:
        found = [row["affects"] for row in (await response.json())["overrides"]]
    assert [(row["members"], row["records"], len(row["first"])) for row in found] == [
        *((100, 100, 20), (99, 99, 20), (1, 1, 1))
    ]
    assert found[0]["first"] == [f"{key} 10.0.0.2" for key in keys[:20]]
    assert found[2]["first"] == [f"{keys[7]} 10.0.0.1"]


async def test_a_weight(client: aiohttp.ClientSession, node: Node) -> None:
    node.adopt(replace(record("10.0.0.1", "10.0.0.2"), policy=Policy.WEIGHTED))
    node.settle()
    status, row = await give(client, target="10.0.0.1", action="weight", weight=20)
    assert (status, row["action"], row["weight"]) == (201, "weight", 20)
    await give(client, target="10.0.0.1", action="drain")
    async with client.get(PATH) as response:
        found = (await response.json())["overrides"]
    assert [each["affects"]["members"] for each in found] == [1, 1]
    async with client.get("/api/v1/status") as response:
        (member, _) = (await response.json())["members"]
    assert (member["weight"], member["configured_weight"]) == (20, 1)
    assert (member["override"]["action"], member["weight_override"]) == ("drain", row)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"action": "weight"}, "is needed for this action: a number from 0 to 65535"),
        ({"action": "drain", "weight": 5}, 'is only for the action "weight"'),
        ({"action": "weight", "weight": -1}, "greater than or equal to 0"),
        ({"action": "weight", "weight": 65536}, "less than or equal to 65535"),
    ],
)
async def test_a_weight_that_is_none(
    client: aiohttp.ClientSession, order: dict[str, Any], complaint: str
) -> None:
    status, problem = await give(client, target="10.0.0.1", **order)
    assert status == 422
    (error,) = problem["errors"]
    assert error["field"] == "weight"
    assert complaint in error["message"]


async def test_without_an_end_it_holds_until_it_is_cleared(client: aiohttp.ClientSession) -> None:
    _, order = await give(client, target="10.0.0.1", action="down")
    assert order["expires"] is None


async def test_an_end_as_a_time(client: aiohttp.ClientSession, node: Node) -> None:
    ends = rfc3339(node.now().wall + 60)
    status, order = await give(client, target="10.0.0.1", action="up", expires=ends)
    assert status == 201
    assert datetime.fromisoformat(order["expires"]) == datetime.fromisoformat(ends)


async def test_a_maintenance_window(client: aiohttp.ClientSession, node: Node) -> None:
    wall = node.now().wall
    window = {"target": "10.0.0.1", "action": "drain"}
    status, row = await give(client, **window, starts_in=60, expires_in=90)
    assert (status, row["pending"]) == (201, True)
    times = [datetime.fromisoformat(row[key]).timestamp() - wall for key in ("starts", "expires")]
    assert times == pytest.approx([60, 150], abs=0.01)
    async with client.get(PATH) as response:
        nothing = {"records": 0, "members": 0, "first": []}
        assert (await response.json())["overrides"] == [row | {"affects": nothing}]
    status, row = await give(
        client, **window, starts=rfc3339(wall + 60), expires=rfc3339(wall + 90)
    )
    assert (status, row["pending"]) == (201, True)
    node.clock += 61
    async with client.get(PATH) as response:
        assert [row["pending"] for row in (await response.json())["overrides"]] == [False, False]


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        ({"starts": -1}, "is in the past"),
        ({"starts": 0}, "is in the past"),
        ({"starts": 60, "expires": 60}, "is before it starts"),
        ({"starts": 60, "expires": -60}, "is before it starts"),
        ({"starts": 11 * 366 * 86400}, "ten years from now"),
        ({"starts": 60, "starts_in": 60}, "cannot be combined with starts_in"),
    ],
)
async def test_a_window_that_cannot_be_is_refused(
    client: aiohttp.ClientSession, node: Node, times: dict[str, Any], complaint: str
) -> None:
    wall = node.now().wall
    at = {key: rfc3339(wall + value) for key, value in times.items() if key != "starts_in"}
    status, problem = await give(client, target="10.0.0.1", action="drain", **{**times, **at})
    assert status == 422
    assert complaint in json.dumps(problem)
    assert node.overrides() == []


@pytest.mark.parametrize("name", ["www", "WWW", f"www.{ZONE}", f"www.{ZONE.upper()}."])
async def test_a_record_may_be_written_as_people_do(
    client: aiohttp.ClientSession, name: str
) -> None:
    status, order = await give(client, target="10.0.0.1", action="drain", name=name)
    assert (status, order["name"]) == (201, KEY.name)
    async with client.delete(
        PATH, params={"target": "10.0.0.1", "name": name}, headers=OPERATE
    ) as response:
        assert response.status == 200


async def test_at_is_the_apex_and_never_every_record(
    client: aiohttp.ClientSession, node: Node
) -> None:
    status, problem = await give(client, target="10.0.0.1", action="drain", name="@")
    assert status == 422
    assert problem["errors"][0]["field"] == "name"
    node.adopt(record("10.0.0.1", key=RecordKey(ZONE, ZONE, "A")))
    status, order = await give(client, target="10.0.0.1", action="drain", name="@")
    assert (status, order["name"]) == (201, ZONE)


async def test_a_name_of_two_zones_must_be_written_out(
    client: aiohttp.ClientSession, node: Node
) -> None:
    other = RecordKey("b.example", "www.b.example", "A")
    node.adopt(record("10.0.0.1"), record("10.0.0.1", key=other))
    status, problem = await give(client, target="10.0.0.1", action="drain", name="www")
    assert status == 422
    assert problem["errors"] == [
        {
            "field": "name",
            "message": "www exists in several zones (www.b.example, www.lb.example): "
            "give the full name",
        }
    ]
    assert node.overrides() == []


GOOD: dict[str, Any] = {"target": "10.0.0.1", "action": "drain"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": None}, "target"),
        ({"target": ""}, "target"),
        ({"target": "x" * 1025}, "target"),
        ({"target": 1}, "target"),
        ({"action": "kill"}, "action"),
        ({"action": None}, "action"),
        ({"name": ".."}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"name": "."}, "name"),
        ({"reason": "x" * 1025}, "reason"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": -1}, "expires_in"),
        ({"expires_in": "90"}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": 1e12}, "expires_in"),
        ({"expires": rfc3339(at(-1).wall)}, "expires"),
        ({"expires": "0001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "9999-12-31T23:59:59Z"}, "expires"),
        ({"expires": "2099-01-01T00:00:00"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": 4102444800}, "expires"),
        ({"expires": "4102444800"}, "expires"),
        ({"expires": rfc3339(at(60).wall), "expires_in": 60}, "expires"),
        ({"force": "yes"}, "force"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_bad_order_names_its_field(
    client: aiohttp.ClientSession, node: Node, change: dict[str, Any], field: str
) -> None:
    order = {key: value for key, value in (GOOD | change).items() if value is not None}
    status, problem = await give(client, **order)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]
    assert node.overrides() == []


@pytest.mark.parametrize("text", ["Infinity", "NaN", "1e999"])
async def test_a_number_that_is_none(client: aiohttp.ClientSession, text: str) -> None:
    body = f'{{"target": "10.0.0.1", "action": "drain", "expires_in": {text}}}'
    headers = {**OPERATE, "Content-Type": "application/json"}
    async with client.post(PATH, data=body, headers=headers) as response:
        assert response.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"target": "\\ud800", "action": "drain"}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"", "application/json", 422),
        (json.dumps(GOOD).encode(), "text/plain", 415),
        (b" " * (BODY_LIMIT + 1), "application/json", 413),
    ],
)
async def test_a_bad_body(
    client: aiohttp.ClientSession, node: Node, body: bytes, kind: str, status: int
) -> None:
    headers = {**OPERATE, "Content-Type": kind}
    async with client.post(PATH, data=body, headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
    assert node.overrides() == []


async def test_what_people_write_as_a_reason_comes_back(client: aiohttp.ClientSession) -> None:
    reason = 'it\'s "new" \U0001f4be; DROP TABLE lb_override; --'
    status, order = await give(client, **GOOD, reason=reason)
    assert (status, order["reason"]) == (201, reason)


async def test_changes_want_the_role(client: aiohttp.ClientSession, node: Node) -> None:
    for headers, status in ({}, 401), ({"Authorization": f"Bearer {READ_TOKEN}"}, 403):
        async with client.post(PATH, json=GOOD, headers=headers) as response:
            assert response.status == status
        async with client.delete(PATH, params={"target": "*"}, headers=headers) as response:
            assert response.status == status
    assert node.overrides() == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "target"),
        ("target=", "target"),
        ("target=a&target=b", "target"),
        ("target=a&name=..", "name"),
        ("target=a&force=maybe", "force"),
        ("target=a&all=true", "all"),
    ],
)
async def test_a_bad_clear_names_its_field(
    client: aiohttp.ClientSession, query: str, field: str
) -> None:
    async with client.delete(f"{PATH}?{query}", headers=OPERATE) as response:
        assert response.status == 422
        problem = json.loads(await response.text())
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_what_was_readmitted_is_reported(
    client: aiohttp.ClientSession, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.held_out = [Readmitted(KEY, "10.0.0.1", "10.0.0.1", "flapping")]
    with caplog.at_level(logging.INFO):
        async with client.delete(f"{PATH}?target=10.0.0.1", headers=OPERATE) as response:
            assert response.status == 200
            report = await response.json()
    assert report == {
        "cleared": [],
        "readmitted": [
            {
                "zone": ZONE,
                "name": KEY.name,
                "type": "A",
                "content": "10.0.0.1",
                "address": "10.0.0.1",
                "was": "flapping",
            }
        ],
    }
    assert f"night-shift: readmit 10.0.0.1 in {KEY}, which was flapping" in caplog.text


class RefusingNode(Node):
    """Refuses as it is told; a bad day for its stores."""

    refusal: Exception = ConflictError("no serving member would be left in www.lb.example/A")

    async def override(self, order: object) -> Override:
        raise self.refusal

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        raise self.refusal


class TestARefusal:
    @pytest.fixture
    def node(self) -> RefusingNode:
        return RefusingNode()

    @pytest.mark.parametrize(
        ("refusal", "status", "fields"),
        [
            (ConflictError("no serving member would be left in a/A"), 409, []),
            (ConflictError("x is no address or destination", "target"), 409, ["target"]),
            (OverrideNotFoundError("nothing was ordered for x", "target"), 409, ["target"]),
            (StoreError("the database is away"), 503, []),
        ],
    )
    async def test_it_says_why(
        self,
        client: aiohttp.ClientSession,
        node: RefusingNode,
        refusal: Exception,
        status: int,
        fields: list[str],
    ) -> None:
        node.refusal = refusal
        for method, how in (
            ("POST", {"json": GOOD}),
            ("DELETE", {"params": {"target": "x"}}),
        ):
            async with client.request(method, PATH, headers=OPERATE, **how) as response:
                assert response.status == status
                assert response.content_type == "application/problem+json"
                problem = json.loads(await response.text())
            assert problem["detail"] == str(refusal)
            assert [error["field"] for error in problem["errors"]] == fields


async def test_orders_of_other_nodes_and_old_ones_are_listed(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.health_map.set_overrides(
        [Override("7", "10.0.*", Action.UP, node="ns2", created=at(0).wall)], at(1)
    )
    async with client.get(PATH) as response:
        (row,) = (await response.json())["overrides"]
    assert (row["id"], row["node"], row["expires"]) == ("7", "ns2", None)
