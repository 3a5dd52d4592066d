"""Every error is problem+json, and none of them says more than it should."""

import asyncio
import io
import json
import logging
from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.api.endpoints import ENDPOINTS
from dnslb_backend.admin.http import requests
from dnslb_backend.admin.http.requests import BODY_LIMIT
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.errors import ConfigError, ConfigProblem
from tests.admin.node import OPERATE_TOKEN, Node

OPERATE = {"Authorization": f"Bearer {OPERATE_TOKEN}"}


async def refused(
    session: aiohttp.ClientSession, method: str, path: str, **how: Any
) -> tuple[aiohttp.ClientResponse, dict[str, Any]]:
    async with session.request(method, path, **how) as response:
        assert response.content_type == "application/problem+json"
        problem = json.loads(await response.text())
        assert problem["type"] == "about:blank"
        assert problem["status"] == response.status
        assert problem["title"]
        return response, problem


async def test_an_unknown_path(client: aiohttp.ClientSession) -> None:
    for path in ("/nothing", "/api/v1/", "/api/v1/status/", "/%ff%00", "/livez/..%2f"):
        response, _ = await refused(client, "GET", path)
        assert response.status == 404, path


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
async def test_a_wrong_method(client: aiohttp.ClientSession, endpoint: Any) -> None:
    wrong = "PUT" if endpoint.method != "PUT" else "GET"
    response, problem = await refused(client, wrong, endpoint.path)
    assert response.status == 405
    assert endpoint.method in response.headers["Allow"]
    assert endpoint.method in problem["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "field"),
    [
        (b"{", "application/json", 400, ""),
        (b"\xff", "application/json", 400, ""),
        (b"[" * 10_000, "application/json", 400, ""),
        (b"[]", "application/json", 422, ""),
        (b"null", "application/json", 422, ""),
        (b'{"surprise": 1}', "application/json", 422, "surprise"),
        (b"{}", "text/plain", 415, ""),
        (b"a=b", "application/x-www-form-urlencoded", 415, ""),
        (b"{}", "application/json; charset=utf-8", 200, ""),
        (b"", "application/octet-stream", 200, ""),
    ],
)
async def test_a_bad_body(
    client: aiohttp.ClientSession, node: Node, body: bytes, kind: str, status: int, field: str
) -> None:
    headers = {**OPERATE, "Content-Type": kind}
    if status == 200:
        async with client.post("/api/v1/reload", data=body, headers=headers) as response:
            assert response.status == status
        return
    response, problem = await refused(client, "POST", "/api/v1/reload", data=body, headers=headers)
    assert response.status == status
    if field:
        assert [error["field"] for error in problem["errors"]] == [field]
    assert node.reloaded == 0


async def test_a_body_that_is_not_coded_as_its_head_says(client: aiohttp.ClientSession) -> None:
    headers = {**OPERATE, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    response, _ = await refused(client, "POST", "/api/v1/reload", data=b"{}", headers=headers)
    assert response.status == 400


async def test_a_huge_body(client: aiohttp.ClientSession, node: Node) -> None:
    headers = {**OPERATE, "Content-Type": "application/json"}
    body = io.BytesIO(b" " * (2 * 1024 * 1024))

    async def in_chunks() -> Any:
        for _ in range(2 * BODY_LIMIT // 1024):
            yield b" " * 1024

    for data in (body, in_chunks()):
        response, _ = await refused(client, "POST", "/api/v1/reload", data=data, headers=headers)
        assert response.status == 413
    assert node.reloaded == 0


async def test_a_body_that_does_not_arrive(
    client: aiohttp.ClientSession, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT", 0.1)
    headers = {**OPERATE, "Content-Type": "application/json", "Content-Length": "2"}

    async def half() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    response, problem = await refused(
        client, "POST", "/api/v1/reload", data=half(), headers=headers
    )
    assert (response.status, problem["detail"]) == (408, "the body did not arrive")
    assert node.reloaded == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nmae=www", "nmae"),
        ("name=www&name=api", "name"),
        ("name=" + "x" * 2000, "name"),
    ],
)
async def test_a_bad_query(client: aiohttp.ClientSession, query: str, field: str) -> None:
    response, problem = await refused(client, "GET", f"/api/v1/status?{query}")
    assert response.status == 422
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_bad_configuration_is_told_with_its_places(
    client: aiohttp.ClientSession, node: Node
) -> None:
    found = [
        ConfigProblem("dnslb.toml", 'records."www".A.ttl', "must be positive"),
        ConfigProblem("dnslb.toml", "", "cannot be read"),
    ]
    node.reloads = [ConfigError(found)]
    response, problem = await refused(client, "POST", "/api/v1/reload", headers=OPERATE)
    assert response.status == 409
    assert problem["errors"] == [
        {"field": 'dnslb.toml: records."www".A.ttl', "message": "must be positive"},
        {"field": "dnslb.toml", "message": "cannot be read"},
    ]


class BrokenNode(Node):
    def snapshot(self) -> Snapshot:
        raise RuntimeError("a bug with a secret: hunter2")


class TestAFaultOfOurs:
    @pytest.fixture
    def node(self) -> Node:
        return BrokenNode()

    async def test_its_traceback_goes_to_the_log_only(
        self, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            response, problem = await refused(client, "GET", "/api/v1/status")
        assert response.status == 500
        assert "hunter2" not in json.dumps(problem)
        assert "hunter2" in caplog.text
        async with client.get("/livez") as alive:
            assert alive.status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /api/v1/reload HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_what_is_no_http_costs_only_its_connection(
    client: aiohttp.ClientSession, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with client.get("/livez") as response:
        host, port = response.url.host, response.url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(garbage)
    first = await reader.readline()
    assert first.split()[1] in (b"400", b"404", b"505")
    writer.close()
    assert "Traceback" not in caplog.text
    async with client.get("/livez") as response:
        assert response.status == 200


async def test_every_answer_is_hardened(client: aiohttp.ClientSession) -> None:
    for path in ("/livez", "/readyz", "/api/v1/status", "/nothing"):
        async with client.get(path) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert "aiohttp" not in response.headers["Server"]
            assert "Access-Control-Allow-Origin" not in response.headers
