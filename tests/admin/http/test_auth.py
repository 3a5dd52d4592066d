"""Who may do what over the API."""

import asyncio
import logging

import aiohttp
import pytest

from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import OPERATE_TOKEN, READ_TOKEN, Node, serving

READ = "/api/v1/status"
CHANGE = "/api/v1/reload"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def ask(session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> int:
    method = "POST" if path == CHANGE else "GET"
    async with session.request(method, path, headers=headers) as response:
        if response.status != 200:
            assert response.content_type == "application/problem+json"
        if response.status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        return response.status


@pytest.mark.parametrize(
    ("headers", "read", "change"),
    [
        ({}, 200, 401),
        (bearer(READ_TOKEN), 200, 403),
        (bearer(OPERATE_TOKEN), 200, 200),
        ({"Authorization": f"bearer {OPERATE_TOKEN}"}, 200, 200),
        (bearer("wrong"), 401, 401),
        (bearer(OPERATE_TOKEN[:-1]), 401, 401),
        (bearer(OPERATE_TOKEN + "0"), 401, 401),
        (bearer(""), 401, 401),
        (bearer("\u00fc\u00fc\u00fc"), 401, 401),
        ({"Authorization": f"Basic {OPERATE_TOKEN}"}, 401, 401),
        ({"Authorization": OPERATE_TOKEN}, 401, 401),
        ({"Cookie": f"token={OPERATE_TOKEN}"}, 200, 401),
    ],
)
async def test_an_allowed_peer(
    client: aiohttp.ClientSession, node: Node, headers: dict[str, str], read: int, change: int
) -> None:
    assert await ask(client, READ, headers) == read
    assert await ask(client, CHANGE, headers) == change
    assert node.reloaded == (change == 200)


@pytest.mark.parametrize(
    ("headers", "read", "change"),
    [
        ({}, 401, 401),
        ({"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}, 401, 401),
        (bearer(READ_TOKEN), 200, 403),
        (bearer(OPERATE_TOKEN), 200, 200),
        (bearer("wrong"), 401, 401),
    ],
)
async def test_a_strange_peer(
    stranger: aiohttp.ClientSession, headers: dict[str, str], read: int, change: int
) -> None:
    assert await ask(stranger, READ, headers) == read
    assert await ask(stranger, CHANGE, headers) == change


async def test_without_tokens_nothing_can_be_changed(node: Node) -> None:
    settings = AdminSettings(listen="127.0.0.1:0")
    async with serving(node, settings) as url, aiohttp.ClientSession(url) as session:
        assert await ask(session, CHANGE, {}) == 401
        assert await ask(session, CHANGE, bearer(OPERATE_TOKEN)) == 401
    assert node.reloaded == 0


async def test_a_refusal_is_logged_with_its_peer_and_says_no_more_than_needed(
    stranger: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with stranger.get(READ, headers=bearer("wr0ng-secret")) as response:
            body = await response.text()
    (record,) = caplog.records
    facts = vars(record)["dnslb_fields"]
    assert (str(facts["peer"]), facts["status"], facts["path"]) == ("127.0.0.1", 401, READ)
    assert "wr0ng-secret" not in caplog.text + str(facts) + body
    assert "night-shift" not in body


async def test_the_same_refusal_again_and_again_does_not_drown_the_log(
    stranger: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            assert await ask(stranger, READ, {}) == 401
            assert await ask(stranger, READ, bearer("wr0ng-secret")) == 401
        assert await ask(stranger, CHANGE, bearer(READ_TOKEN)) == 403
    told = [vars(record)["dnslb_fields"] for record in caplog.records]
    assert [(fact["status"], fact["why"]) for fact in told] == [
        (401, "a token is needed"),
        (401, "no such token"),
        (403, "token prometheus has the role read, not operate"),
    ]


async def test_an_ipv4_peer_of_an_ipv6_listener_is_ipv4(node: Node) -> None:
    settings = AdminSettings(listen="[::]:0", allow=("127.0.0.0/8",))
    async with serving(node, settings) as url, aiohttp.ClientSession() as session:
        port = url.rpartition(":")[2]
        async with session.get(f"http://127.0.0.1:{port}{READ}") as response:
            assert response.status == 200
        async with session.get(f"http://[::1]:{port}{READ}") as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8054", 200),
        ("[::1]:8054", 200),
        ("ns1:8054", 200),
        ("rebound.attacker.example:8054", 403),
        ("127.0.0.1.attacker.example", 403),
    ],
)
async def test_a_browser_that_was_led_here_by_a_foreign_name_reads_nothing(
    client: aiohttp.ClientSession, host: str, status: int
) -> None:
    assert await ask(client, READ, {"Host": host}) == status
    assert await ask(client, READ, {"Host": host, **bearer(READ_TOKEN)}) == 200
    async with client.get("/readyz", headers={"Host": host}) as response:
        assert ("node" in await response.json()) == (status == 200)


@pytest.mark.parametrize(("hosts", "status"), [((), 403), (("NS1.Example.com",), 200)])
async def test_names_that_are_configured_are_served(
    node: Node, hosts: tuple[str, ...], status: int
) -> None:
    """Also to a browser that arrives from the bridge of a container."""
    settings = AdminSettings(listen="127.0.0.1:0", hosts=hosts)
    async with serving(node, settings) as url, aiohttp.ClientSession(url) as session:
        assert await ask(session, READ, {"Host": "ns1.example.com:8054"}) == status
        assert await ask(session, READ, {"Host": "ns1.example.com.evil.example"}) == 403


async def test_a_request_without_host_is_served(client: aiohttp.ClientSession) -> None:
    async with client.get("/livez") as response:
        host, port = response.url.host, response.url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /api/v1/status HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    await writer.wait_closed()
