"""Requests and answers of HTTP, and servers that do not keep to it."""

import asyncio
import base64
import gzip
import json
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tls import DAY
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.hostile import reset
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import Play, ScriptedServer, answering, asked, for_ever, greeting, hang
from tests.rigs.processes import descriptors
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    async with HttpTarget() as target:
        yield target


def http(server: HttpTarget | ScriptedServer, path: str = "/", **keys: Any) -> dict[str, Any]:
    return {"type": "http", "url": f"http://%(address)s:{server.port}{path}", **keys}


def reply(head: str, body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {head}\r\n{length}\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "wanted", "code"),
    [
        (200, None, 0),
        (204, None, 0),
        (302, None, 0),
        (399, None, 0),
        (404, None, -6),
        (500, None, -6),
        (404, [404], 0),
        (200, [404], -6),
        (418, [200, "400-499"], 0),
        (500, [200, "400-499"], -6),
    ],
)
async def test_the_status_decides(
    tools: CheckResources, target: HttpTarget, status: int, wanted: list[int] | None, code: int
) -> None:
    target.status = status
    check = http(target)
    if wanted is not None:
        check["status"] = wanted
    assert (await probe(tools, check)).code == code


async def test_the_text_is_the_status_line(tools: CheckResources, target: HttpTarget) -> None:
    assert (await probe(tools, http(target))).text == "200 OK"
    target.fail(503)
    assert (await probe(tools, http(target))).text == "status 503 Service Unavailable"


async def test_what_is_asked(tools: CheckResources, target: HttpTarget) -> None:
    check = http(target, "/a%%20b?x=%(address)s", method="OPTIONS", headers={"X-Probe": "1"})
    await probe(tools, check)
    request = target.last_request
    assert request is not None
    assert (request.method, request.raw_path) == ("OPTIONS", f"/a%20b?x={HERE}")
    assert dict(request.headers) == {
        "Host": target.address,
        "User-Agent": "dnslb-backend",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "X-Probe": "1",
        "Connection": "close",
    }


async def test_the_address_is_asked_for_the_host_of_the_url(
    tools: CheckResources, target: HttpTarget
) -> None:
    check = {"type": "http", "url": f"http://www.lb.example:{target.port}/"}
    assert (await probe(tools, check)).outcome is Outcome.PASS
    assert target.last_request is not None
    assert target.last_request.host == f"www.lb.example:{target.port}"


async def test_the_host_header_and_the_port_can_be_set(
    tools: CheckResources, target: HttpTarget
) -> None:
    check = {"type": "http", "url": "http://%(address)s/", "host": "www.lb.example"}
    assert (await probe(tools, check, port=target.port)).outcome is Outcome.PASS
    assert target.last_request is not None
    assert target.last_request.host == "www.lb.example"


@pytest.mark.parametrize("host", ["%(address)s", "[%(address)s]"])
async def test_ipv6(tools: CheckResources, host: str) -> None:
    async with HttpTarget("::1") as target:
        check = {"type": "http", "url": f"http://{host}:{target.port}/"}
        assert (await probe(tools, check, address="::1")).outcome is Outcome.PASS
        assert target.last_request is not None
        assert target.last_request.host == f"[::1]:{target.port}"


@pytest.mark.parametrize(
    ("keys", "body", "code"),
    [
        ({"body": "^all OK$"}, "all OK", 0),
        ({"body": "KO"}, "all OK", -1),
        ({"json_path": "db.state", "json_value": "up"}, '{"db": {"state": "up"}}', 0),
        ({"json_path": "db.state", "json_value": "up"}, '{"db": {"state": "down"}}', -1),
        ({"json_path": "db.state", "json_value": "up"}, '{"db": {}}', -1),
        ({"json_path": "ok", "json_value": True}, '{"ok": true}', 0),
        ({"json_path": "ok", "json_value": True}, '{"ok": 1}', -1),
        ({"json_path": "n", "json_value": 2}, '{"n": 2.0}', 0),
        ({"json_path": "ok", "json_value": True}, "not json", -1),
    ],
)
async def test_the_body_is_judged(
    tools: CheckResources, target: HttpTarget, keys: dict[str, Any], body: str, code: int
) -> None:
    target.body = body
    assert (await probe(tools, http(target, **keys))).code == code


async def test_the_priority_may_stand_in_a_header(tools: CheckResources) -> None:
    async with ScriptedServer(answering(reply("200 OK\r\nX-Load: +++"))) as server:
        result = await probe(tools, http(server, priority={"header": "x-load"}))
    assert (result.outcome, result.priority) == (Outcome.PASS, 4)


async def test_head_has_no_body(tools: CheckResources) -> None:
    async with ScriptedServer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as server:
        assert (await probe(tools, http(server, method="HEAD"))).outcome is Outcome.PASS


async def test_every_probe_proves_a_connection_of_its_own(tools: CheckResources) -> None:
    kept_alive = answering(reply("200 OK\r\nConnection: keep-alive\r\nSet-Cookie: a=b", b"ok"))
    async with ScriptedServer(kept_alive) as server:
        for _ in range(3):
            assert (await probe(tools, http(server, body="ok"))).outcome is Outcome.PASS
        assert server.connections == 3


async def test_no_cookies_and_no_proxies(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    heads = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply("200 OK\r\nSet-Cookie: a=b"))

    async with ScriptedServer(play) as server:
        for _ in range(2):
            assert (await probe(tools, http(server))).outcome is Outcome.PASS
    assert not any(b"Cookie" in head for head in heads)


# Servers that do not behave.


@pytest.mark.parametrize(
    ("answer", "keys", "code"),
    [
        (b"", {}, Code.REFUSED),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, Code.STATUS),
        (b"HTTP/1.1 abc\r\n\r\n", {}, Code.STATUS),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", {}, Code.STATUS),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", {}, Code.STATUS),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n", {}, Code.STATUS),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", {"body": "short"}, Code.STATUS),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", {}, Code.STATUS),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nZZ\r\n",
            {"body": "short"},
            Code.STATUS,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", {"body": "the end$"}, Code.PASS),
    ],
)
async def test_a_broken_answer(
    tools: CheckResources, answer: bytes, keys: dict[str, Any], code: Code
) -> None:
    async with ScriptedServer(answering(answer)) as server:
        result = await probe(tools, http(server, **keys))
    assert (result.outcome, result.code) == (
        Outcome.FAIL if code else Outcome.PASS,
        code,
    )
    assert result.text


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "play",
    [
        hang,
        for_ever(HEAD + b"X: ", b"y", pause=0.02),
        for_ever(HEAD, b"X: y\r\n", pause=0.02),
        for_ever(HEAD + b"Content-Length: 100000\r\n\r\n", b"y", pause=0.02),
        for_ever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n", pause=0.02),
    ],
    ids=["silent", "header byte by byte", "header by header", "body byte by byte", "chunks"],
)
async def test_a_slow_answer_costs_only_the_limit(tools: CheckResources, play: Play) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, http(server, body="ok"), limit=0.4)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.4 s")
    assert result.duration < 0.8


@pytest.mark.parametrize(
    ("head", "chunk", "code"),
    [
        (HEAD, b"X: y\r\n" * 100, Code.STATUS),
        (HEAD + b"X: ", b"y" * 10_000, Code.STATUS),
        (b"", b"y" * 10_000, Code.STATUS),
        (HEAD + b"\r\n", b"y" * 10_000, Code.NO_MATCH),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
            b"3e8\r\n" + b"y" * 1000 + b"\r\n",
            Code.NO_MATCH,
        ),
    ],
    ids=["headers", "header", "status line", "body", "chunks"],
)
async def test_an_endless_answer_is_cut_off(
    tools: CheckResources, head: bytes, chunk: bytes, code: Code
) -> None:
    async with ScriptedServer(asked(for_ever(head, chunk))) as server:
        result = await probe(tools, http(server, body="never"), limit=10)
    assert result.code == code
    assert result.duration < 5


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"y" * 100_000])
async def test_a_server_that_speaks_before_it_is_asked(tools: CheckResources, said: bytes) -> None:
    async with ScriptedServer(greeting(said)) as server:
        result = await probe(tools, http(server), limit=2)
    assert result.code in (Code.STATUS, Code.REFUSED)
    assert "transport" not in result.text


async def test_64_kib_of_a_body_are_looked_at(tools: CheckResources, target: HttpTarget) -> None:
    target.body = "a" * 65535 + "b" + "c"
    assert (await probe(tools, http(target, body="b$"))).outcome is Outcome.PASS
    result = await probe(tools, http(target, body="c"))
    assert result.code == Code.NO_MATCH
    assert "in its first 64 KiB" in result.text


async def test_nothing_is_unpacked(tools: CheckResources) -> None:
    bomb = reply("200 OK\r\nContent-Encoding: gzip", gzip.compress(b"a" * 10**7))
    async with ScriptedServer(answering(bomb)) as server:
        assert (await probe(tools, http(server, body="aaaa"))).code == Code.NO_MATCH


async def test_misbehaving_servers_leak_nothing(tools: CheckResources) -> None:
    plays = [hang, answering(b""), for_ever(HEAD + b"\r\n", b"y" * 10_000)]
    for play in plays:
        async with ScriptedServer(play) as server:
            await probe(tools, http(server, body="ok"), limit=0.05)
    before = descriptors()
    for play in plays * 3:
        async with ScriptedServer(play) as server:
            await probe(tools, http(server, body="ok"), limit=0.05)
    assert len(descriptors()) <= len(before)


# Redirects.


def routes(**locations: str) -> Play:
    """Redirects from the path of each key to its value; every other path is fine."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1].removeprefix("/")
        if path in locations:
            writer.write(reply(f"302 Found\r\nLocation: {locations[path]}"))
        else:
            writer.write(reply("200 OK", head.encode()))

    return play


async def test_redirects_are_not_followed_unless_told(tools: CheckResources) -> None:
    async with ScriptedServer(routes(a="/b")) as server:
        assert (await probe(tools, http(server, "/a"))).text == "302 Found"
        assert (await probe(tools, http(server, "/a", redirects=1))).text == "200 OK"


async def test_a_redirect_loop_ends(tools: CheckResources) -> None:
    async with ScriptedServer(routes(a="/b", b="/a")) as server:
        result = await probe(tools, http(server, "/a", redirects=5))
        assert server.connections == 6
    assert (result.code, result.text) == (Code.STATUS, "more than 5 redirects")


async def test_a_redirect_to_another_host_is_asked_at_the_same_address(
    tools: CheckResources,
) -> None:
    async with ScriptedServer(routes(a="http://other.example:1/b")) as server:
        elsewhere = await probe(tools, http(server, "/a", redirects=1))
    assert elsewhere.code == Code.REFUSED
    async with ScriptedServer(routes()) as other:
        location = f"http://other.example:{other.port}/b"
        async with ScriptedServer(routes(a=location)) as server:
            host = f"(?i)host: other.example:{other.port}"
            result = await probe(tools, http(server, "/a", redirects=1, body=host))
    assert result.outcome is Outcome.PASS


@pytest.mark.parametrize(
    "location", ["ftp://x/", "http://", "http://[::1", "//", "data:x", "https://..x/"]
)
async def test_a_redirect_to_nowhere(tools: CheckResources, location: str) -> None:
    async with ScriptedServer(routes(a=location)) as server:
        result = await probe(tools, http(server, "/a", redirects=1))
    assert result.outcome is Outcome.FAIL


# Secrets.


async def test_basic_and_bearer(tools: CheckResources, target: HttpTarget, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret:ü\nsecond line\n")
    pair = base64.b64encode("probe:s3cret:ü".encode()).decode()
    for keys, wanted in (
        ({"user": "probe", "password": "s3cret:ü"}, f"Basic {pair}"),
        ({"user": "probe", "password_file": str(secret)}, f"Basic {pair}"),
        ({"token": "t0ken"}, "Bearer t0ken"),
    ):
        check = http(target, **keys)
        assert (await probe(tools, check)).outcome is Outcome.PASS
        assert target.last_request is not None
        assert target.last_request.headers["Authorization"] == wanted
        assert "s3cret" not in repr(parse_check(check))


async def test_a_secret_file_may_change(
    tools: CheckResources, target: HttpTarget, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    for word in ("one", "two"):
        secret.write_text(word)
        await probe(tools, http(target, token_file=str(secret)))
        assert target.last_request is not None
        assert target.last_request.headers["Authorization"] == f"Bearer {word}"


@pytest.mark.parametrize("content", [None, "", "\nsecond"])
async def test_a_secret_that_is_not_there_is_our_fault(
    tools: CheckResources, target: HttpTarget, tmp_path: Path, content: str | None
) -> None:
    secret = tmp_path / "token"
    if content is not None:
        secret.write_text(content)
    result = await probe(tools, http(target, token_file=str(secret)))
    assert result.outcome is Outcome.ERROR
    assert str(secret) in result.text
    assert target.hits == 0


async def test_secrets_stay_at_home(tools: CheckResources) -> None:
    """A redirect to another origin is followed without them."""
    keys: dict[str, Any] = {
        "token": "t0ken",
        "headers": {"Cookie": "s3cret", "X-Probe": "1"},
        "redirects": 1,
        "body": r"(?is)^(?!.*(t0ken|s3cret)).*X-Probe: 1",
    }
    async with ScriptedServer(routes()) as other:
        away = routes(a=f"http://{HERE}:{other.port}/b")
        async with ScriptedServer(away) as server:
            assert (await probe(tools, http(server, "/a", **keys))).outcome is Outcome.PASS
    async with ScriptedServer(routes(a="/b")) as server:
        assert (await probe(tools, http(server, "/a", **keys))).code == Code.NO_MATCH


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends the head of the request back: as reason, as JSON, and as Location."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    said = " | ".join(head.splitlines()[1:])
    writer.write(
        reply(f"401 {said}\r\nLocation: ftp://{said}", json.dumps({"said": said}).encode())
    )


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"status": [401], "body": "never"},
        {"status": [401], "json_path": "said", "json_value": "never"},
        {"status": [401], "json_path": "said.more", "json_value": "never"},
    ],
)
@pytest.mark.parametrize(
    "secret",
    [
        {"user": "probe", "password": "s3cret-w0rd"},
        {"token": "s3cret-w0rd"},
        {"headers": {"Authorization": "Token s3cret-w0rd"}},
        {"headers": {"X-Api-Key": "s3cret-w0rd"}},
        {"headers": {"Cookie": "s3cret-w0rd"}},
    ],
)
async def test_no_result_shows_a_secret_that_the_target_echoes(
    tools: CheckResources, keys: dict[str, Any], secret: dict[str, Any]
) -> None:
    pair = base64.b64encode(b"probe:s3cret-w0rd").decode()
    async with ScriptedServer(echo) as server:
        result = await probe(tools, http(server, "/a", **keys, **secret))
    assert result.outcome is Outcome.FAIL
    assert result.text
    assert "s3cret" not in result.text
    assert pair not in result.text


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        ({"url": "http://%(address)s/health"}, "GET http://192.0.2.1/health"),
        ({"url": "http://%(address)s/?key=s3cret"}, "GET http://192.0.2.1/?…"),
        (
            {"url": "https://www.lb.example:8443/", "type": "https", "method": "HEAD"},
            "HEAD https://192.0.2.1:8443/ (Host: www.lb.example:8443)",
        ),
        (
            {"url": "http://%(address)s/", "host": "www", "token": "s3cret"},
            "GET http://192.0.2.1/ (Host: www)",
        ),
    ],
)
def test_description(table: dict[str, object], shown: str) -> None:
    check = parse_check({"type": "http", **table})
    assert check.describe(ProbeEndpoint("192.0.2.1")) == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://x/?token=s3cret and more",
        "ftp://x/?token=s3cret",
        "http://probe:s3cret@x/",
        "http://x/?token=s3cret#there",
        "http://x/?token=s3cret%d",
        "http://x:s3cret/",
        "http://[::1/?token=s3cret",
        f"https://{'a' * 64}.example/?token=s3cret",
        "https://.example/?token=s3cret",
    ],
)
def test_a_url_that_is_refused_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="url") as refused:
        parse_check({"type": "http", "url": url})
    assert "s3cret" not in str(refused.value)


# TLS.


def https(server: ScriptedServer, authority: Authority, **keys: object) -> dict[str, Any]:
    url = f"https://www.lb.example:{server.port}/"
    return {"type": "https", "url": url, "ca_file": authority.ca_file, **keys}


FINE = answering(reply("200 OK", b"fine"))


async def test_the_name_of_the_url_is_verified(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(FINE, tls=authority.server("www.lb.example")) as server:
        assert (await probe(tools, https(server, authority))).outcome is Outcome.PASS
        for keys in ({"sni": "other.example"}, {"host": "other.example"}):
            result = await probe(tools, https(server, authority, **keys))
            assert result.code == Code.TLS
            assert "other.example" in result.text
        lax = https(server, authority, sni="other.example", verify=False)
        assert (await probe(tools, lax)).outcome is Outcome.PASS
        literal = https(server, authority, url=f"https://%(address)s:{server.port}/")
        assert (await probe(tools, literal)).code == Code.TLS
        assert (await probe(tools, {**literal, "sni": "www.lb.example"})).code == Code.PASS
        assert (await probe(tools, {**literal, "host": "www.lb.example"})).code == Code.PASS


async def test_a_certificate_for_the_address(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(FINE, tls=authority.server(HERE)) as server:
        check = https(server, authority, url=f"https://%(address)s:{server.port}/")
        assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_the_result_says_until_when_the_chain_is_valid(
    tools: CheckResources, authority: Authority
) -> None:
    end = pytest.approx(time.time() + 3 * DAY, abs=60)
    async with ScriptedServer(FINE, tls=authority.server_below("www.lb.example", days=3)) as server:
        for keys in ({}, {"status": ["500"]}, {"body": "absent"}):
            assert (await probe(tools, https(server, authority, **keys))).certificate_expires == end
        lax = await probe(tools, https(server, authority, verify=False))
    assert (lax.outcome, lax.certificate_expires) == (Outcome.PASS, None)


async def test_an_authority_that_is_not_trusted(
    tools: CheckResources, authority: Authority
) -> None:
    async with ScriptedServer(FINE, tls=authority.server("www.lb.example")) as server:
        check = https(server, authority)
        del check["ca_file"]
        result = await probe(tools, check)
    assert result.code == Code.TLS
    assert "local issuer" in result.text


async def test_an_expired_certificate(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(FINE, tls=authority.server("www.lb.example", days=-1)) as server:
        result = await probe(tools, https(server, authority))
        lax = await probe(tools, https(server, authority, verify=False))
    assert (result.code, result.text) == (Code.TLS, "TLS: certificate has expired")
    assert lax.outcome is Outcome.PASS


async def test_a_server_without_tls(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(answering(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        assert (await probe(tools, https(server, authority), limit=1)).outcome is Outcome.FAIL


async def test_a_client_certificate(tools: CheckResources, authority: Authority) -> None:
    context = authority.server("www.lb.example", clients=True)
    async with ScriptedServer(FINE, tls=context) as server:
        assert (await probe(tools, https(server, authority, body="fine"))).outcome is Outcome.FAIL
        known = https(server, authority, client_cert=authority.client_file(), body="fine")
        assert (await probe(tools, known)).outcome is Outcome.PASS


async def test_files_that_cannot_be_used_are_our_fault(
    tools: CheckResources, authority: Authority, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    async with ScriptedServer(FINE, tls=authority.server("www.lb.example")) as server:
        for keys in (
            {"ca_file": "/no/such/file"},
            {"ca_file": str(nonsense)},
            {"client_cert": str(nonsense)},
            {"client_cert": "/no/such/file"},
        ):
            result = await probe(tools, https(server, authority, **keys))
            assert result.outcome is Outcome.ERROR
            assert keys.popitem()[1] in result.text
        assert server.connections == 0


async def test_a_changed_authority_is_noticed(
    tools: CheckResources, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "trusted.pem"
    directory = tmp_path / "other"
    directory.mkdir()
    other = Authority(trustme.CA(), directory)
    async with ScriptedServer(FINE, tls=authority.server("www.lb.example")) as server:
        other.ca.cert_pem.write_to_path(str(file))
        check = https(server, authority, ca_file=str(file))
        assert (await probe(tools, check)).code == Code.TLS
        authority.ca.cert_pem.write_to_path(str(file))

        async def passes() -> bool:
            return (await probe(tools, check)).outcome is Outcome.PASS

        await until(passes)


# Answers that make work without end, and what decides nothing.

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "chunk"),
    [
        (b"", CONTINUE * 1000),
        (b"", CONTINUE),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000),
        (b"", b"\r\n" * 10_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n" * 10_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 10_000 + b"\r\ny\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 10_000),
    ],
    ids=["100", "100 one by one", "103", "empty lines", "chunks", "extensions", "extension"],
)
async def test_a_target_can_make_only_so_much_work(
    tools: CheckResources, head: bytes, chunk: bytes
) -> None:
    async with ScriptedServer(asked(for_ever(head, chunk))) as server:
        result = await probe(tools, http(server, body="never"), limit=20)
    assert result.code == Code.STATUS
    assert "no answer" not in result.text


async def test_responses_before_the_real_one_are_passed_over(tools: CheckResources) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nX-Load: 9\r\n\r\n"
    for answer in (CONTINUE * 8, CONTINUE + early):
        said = answer + reply("200 OK\r\nX-Load: 7", b"fine")
        async with ScriptedServer(answering(said)) as server:
            check = http(server, body="^fine$", priority={"header": "X-Load"})
            result = await probe(tools, check)
        assert (result.text, result.priority) == ("200 OK", 7)


EXTRA = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine and more\r\n"


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (EXTRA, {"method": "HEAD"}),
        (EXTRA, {}),
        (EXTRA, {"body": "^fine$"}),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\x00\xff", {"method": "HEAD"}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", {}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", {}),
        (b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\n\r\n", {}),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\nmore",
            {"body": "^fine$"},
        ),
    ],
)
@pytest.mark.parametrize("cut", [1, 7, 1000], ids=["bytes", "pieces", "whole"])
async def test_what_decides_nothing_is_not_looked_at_however_it_is_cut(
    tools: CheckResources, answer: bytes, keys: dict[str, Any], cut: int
) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(answer), cut):
            writer.write(answer[start : start + cut])
            await writer.drain()
            await asyncio.sleep(0)  # noqa: TID251 - the pieces are to go one by one

    async with ScriptedServer(play) as server:
        assert (await probe(tools, http(server, **keys))).text[:3] in ("200", "204")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\nfine",
        b"HTTP/1.1 200\r\n\r\nfine",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfine",
        b"\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length : 4\r\n\r\nfine",
        HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nfine\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n" + b"Y: z\r\n" * 500 + b"\r\nfine",
    ],
)
async def test_what_clients_understand_is_understood(tools: CheckResources, answer: bytes) -> None:
    async with ScriptedServer(answering(answer)) as server:
        assert (await probe(tools, http(server, body="^fine$"))).outcome is Outcome.PASS


async def test_an_answer_counts_though_the_target_resets_after_it(tools: CheckResources) -> None:
    """Scripts that never read the request make their system do so."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply("200 OK", b"fine"))
        await reset(reader, writer)

    async with ScriptedServer(play) as server:
        for _ in range(20):
            assert (await probe(tools, http(server))).outcome is Outcome.PASS


async def test_a_large_body_that_is_not_wanted_is_not_cut_off(
    tools: CheckResources, authority: Authority
) -> None:
    ends: list[BaseException | None] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(reply("200 OK", b"x" * 300_000))
            await writer.drain()
            ends.append(None)
        except OSError as error:
            ends.append(error)

    for tls in (None, authority.server("www.lb.example")):
        async with ScriptedServer(play, tls=tls) as server:
            check = http(server) if tls is None else https(server, authority)
            assert (await probe(tools, check)).outcome is Outcome.PASS
            await until(lambda: ends, what="the end of the answer")
        assert ends.pop() is None


async def test_a_switch_of_protocols_is_a_status(tools: CheckResources) -> None:
    said = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x89\x00"
    async with ScriptedServer(answering(said)) as server:
        check = http(server, status=[101], headers={"Upgrade": "websocket"})
        assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_long_requests_to_ever_other_addresses_are_not_kept(tools: CheckResources) -> None:
    async with HttpTarget(host="0.0.0.0") as target:
        check = http(target, headers={"X-Probe": "x" * 8000})
        await probe(tools, check, address="127.0.1.1")
        tracemalloc.start()
        try:
            for number in range(2, 202):
                result = await probe(tools, check, address=f"127.0.1.{number}")
                assert result.outcome is Outcome.PASS
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 200 * 4000
