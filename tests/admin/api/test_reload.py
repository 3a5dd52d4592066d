"""/api/v1/reload/preview: what a reload would change."""

import aiohttp

from dnslb_backend.admin.control import ReloadPreview
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind, Pool
from dnslb_backend.core.health.plan_preview import RecordPreview, ZonePreview
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import ConfigError, ConfigProblem
from tests.admin.node import OPERATE_TOKEN, READ_TOKEN, Node

PATH = "/api/v1/reload/preview"
OPERATE = {"Authorization": f"Bearer {OPERATE_TOKEN}"}
WWW = RecordKey("lb.example", "www.lb.example", "A")
OFFICE = Pool("office", ("10.0.0.3",), (1,))
BEFORE = Decision(DecisionKind.SERVE, ("10.0.0.1",), pools=(OFFICE,))


async def test_it_lists_zones_records_and_answers(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.preview = ReloadPreview(
        7,
        (
            RecordPreview(WWW, "changed", ("dest",), ("10.0.0.2",), (), BEFORE, BEFORE),
            RecordPreview(WWW._replace(type="AAAA"), "added", (), ("::1",), (), None, PENDING),
        ),
        (ZonePreview("lb.example", "changed", ("soa",), (), ()),),
        ("office",),
        ("doubtful",),
    )
    async with client.post(PATH, headers=OPERATE) as response:
        assert response.status == 200
        report = await response.json()
    assert (report["records"], report["views"], report["warnings"]) == (7, ["office"], ["doubtful"])
    assert report["zones"] == [
        {"zone": "lb.example", "change": "changed", "keys": ["soa"], "added": [], "removed": []}
    ]
    first, second = report["changes"]
    assert (first["name"], first["keys"], first["added"]) == (WWW.name, ["dest"], ["10.0.0.2"])
    assert first["answer_changed"] is False
    assert first["after"] == {
        "decision": "serve",
        "contents": ["10.0.0.1"],
        "views": {"office": ["10.0.0.3"]},
    }
    assert (second["before"], second["after"]["decision"]) == (None, "pending")
    assert second["answer_changed"] is True


async def test_an_invalid_configuration_is_refused_as_by_a_reload(
    client: aiohttp.ClientSession, node: Node
) -> None:
    node.preview = ConfigError([ConfigProblem("dnslb.toml", "records.www.A.ttl", "is required")])
    async with client.post(PATH, headers=OPERATE) as response:
        assert response.status == 409
        problem = await response.json()
    assert problem["errors"] == [
        {"field": "dnslb.toml: records.www.A.ttl", "message": "is required"}
    ]


async def test_it_needs_the_token_of_a_reload(client: aiohttp.ClientSession, node: Node) -> None:
    async with client.post(PATH) as response:
        assert response.status == 401
    async with client.post(PATH, headers={"Authorization": f"Bearer {READ_TOKEN}"}) as response:
        assert response.status == 403
