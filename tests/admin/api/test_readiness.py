"""/livez and /readyz: open to everybody, detail for those who may read."""

from typing import Any

import aiohttp

from dnslb_backend.core.model.records import RecordKey
from tests.admin.node import BROKEN, OK, OPERATE_TOKEN, READ_TOKEN, Node
from tests.core.building import KEY, ZONE, record


async def ready(session: aiohttp.ClientSession, token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.get("/readyz", headers=headers) as response:
        return response.status, await response.json()


async def test_alive_is_said_to_everybody(stranger: aiohttp.ClientSession) -> None:
    async with stranger.get("/livez") as response:
        assert (response.status, await response.json()) == (200, {"live": True})


async def test_ready_once_every_first_round_has_ended(
    client: aiohttp.ClientSession, node: Node
) -> None:
    status, body = await ready(client)
    assert (status, body["ready"]) == (503, False)
    assert body["pending"] == {"count": 1, "first": [str(KEY)]}
    node.settle(dict.fromkeys(["10.0.0.1", "10.0.0.2", "10.0.0.3"], BROKEN))
    status, body = await ready(client)
    assert (status, body["ready"]) == (200, True), "whatever came of it"
    assert body["pending"] == {"count": 0, "first": []}


async def test_a_stranger_learns_no_more_than_that(
    stranger: aiohttp.ClientSession, node: Node
) -> None:
    assert await ready(stranger) == (503, {"ready": False})
    assert await ready(stranger, "wrong") == (503, {"ready": False})
    node.settle()
    assert await ready(stranger) == (200, {"ready": True})
    for token in (READ_TOKEN, OPERATE_TOKEN):
        assert (await ready(stranger, token))[1]["node"] == "ns1"


async def test_silent_members_are_named(client: aiohttp.ClientSession, node: Node) -> None:
    node.settle()
    node.wait(1000)
    node.hear("10.0.0.2", OK)
    status, body = await ready(client)
    assert status == 200, "it keeps its place, and answers are as good as they were"
    assert body["stale"] == {"count": 2, "first": [f"{KEY} 10.0.0.1", f"{KEY} 10.0.0.3"]}


async def test_other_parts_have_their_say(client: aiohttp.ClientSession, node: Node) -> None:
    node.parts["mirror"] = lambda: {"lag_s": 1.5, "last_error": "gone away"}
    node.parts["brake"] = lambda: None
    _, body = await ready(client)
    assert body["details"] == {"mirror": {"lag_s": 1.5, "last_error": "gone away"}}


class TestManyRecords:
    async def test_only_the_first_are_named(
        self, node: Node, client: aiohttp.ClientSession
    ) -> None:
        keys = [RecordKey(ZONE, f"r{number:03}.{ZONE}", "A") for number in range(150)]
        node.adopt(*(record("10.0.0.1", key=key) for key in keys))
        _, body = await ready(client)
        assert body["pending"]["count"] == 150
        assert len(body["pending"]["first"]) == 100
