"""/api/v1/push: a target says how it is."""

import aiohttp
import pytest

from tests.admin.node import OPERATE_TOKEN, PUSH_TOKEN, Node

GOOD = {"address": "10.0.0.1", "up": False, "text": "going down"}


async def push(session: aiohttp.ClientSession, token: str, body: object) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post("/api/v1/push", json=body, headers=headers) as response:
        if response.status != 200:
            assert response.content_type == "application/problem+json"
        return response.status


async def test_a_target_reports_itself_from_anywhere(
    stranger: aiohttp.ClientSession, node: Node
) -> None:
    assert await push(stranger, PUSH_TOKEN, GOOD) == 200
    assert await push(stranger, PUSH_TOKEN, {"address": "10.0.0.1"}) == 200
    assert node.reports == [("10.0.0.1", False, "going down"), ("10.0.0.1", True, "")]


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("", GOOD, 401),
        (OPERATE_TOKEN, GOOD, 403),
        ("wrong", GOOD, 403),
        (PUSH_TOKEN, {**GOOD, "address": "10.0.0.2"}, 403),
        (PUSH_TOKEN, {**GOOD, "address": "here"}, 422),
        (PUSH_TOKEN, {**GOOD, "up": "no"}, 422),
        (PUSH_TOKEN, {"up": True}, 422),
        (PUSH_TOKEN, {**GOOD, "text": "x" * 1000}, 422),
    ],
)
async def test_what_is_not_for_a_check_is_refused(
    client: aiohttp.ClientSession, node: Node, token: str, body: object, status: int
) -> None:
    assert await push(client, token, body) == status
    assert node.reports == []


async def test_its_token_opens_nothing_else(stranger: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {PUSH_TOKEN}"}
    async with stranger.get("/api/v1/status", headers=headers) as response:
        assert response.status == 401
