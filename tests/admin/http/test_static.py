"""The web page as files: what may be asked for, and the headers that guard it."""

from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from dnslb_backend.admin.http.static import FILES
from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import Node, serving


async def test_the_page_and_its_parts(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        text = await response.text()
    assert text.startswith("<!doctype html>")
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for name in FILES.keys() - {"index.html"}:
        async with client.get(f"/page/{name}") as response:
            assert response.status == 200
            assert response.content_type == kinds[Path(name).suffix]


async def test_no_script_and_no_request_but_our_own(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/page/main.js"):
        async with client.get(path) as response:
            headers = response.headers
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_a_browser_keeps_what_has_not_changed(client: aiohttp.ClientSession) -> None:
    async with client.get("/page/style.css") as response:
        tag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
    async with client.get("/page/style.css", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == tag
    async with client.get("/page/style.css", headers={"If-None-Match": '"another"'}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/nothing.js",
        "/page/../app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e/app.py",
        "/page/%2e%2e%2f%2e%2e%2fadmin%2fapp.py",
        "/page/..%5capp.py",
        "/page//etc/passwd",
        "/page/main.js%00.css",
        "/page/main.js/",
        "/page/page_files.py",
        "/index.html",
    ],
)
async def test_nothing_else_can_be_asked_for(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(URL(path, encoded=True)) as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


async def test_it_is_there_for_those_who_have_to_bring_a_token_first(
    node: Node, token_file: Path
) -> None:
    settings = AdminSettings(listen="127.0.0.1:0", token_file=token_file, allow=())
    async with serving(node, settings) as url, aiohttp.ClientSession(url) as session:
        for path in ("/", "/page/main.js"):
            async with session.get(path) as response:
                assert response.status == 200
        async with session.get("/api/v1/status/lines") as response:
            assert response.status == 401
