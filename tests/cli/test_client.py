"""Finding the daemon and speaking to it, and the words for when that fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from dnslb_backend.admin.control import ReloadReport
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.errors import AdminClientError, ConfigError, ConfigProblem
from tests.admin.node import OPERATE_TOKEN, READ_TOKEN, Node
from tests.cli.command import run, run_afresh
from tests.rigs.ports import free_port


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("toml", "url"),
    [
        ("", "http://127.0.0.1:8054"),
        ("[admin]", "http://127.0.0.1:8054"),
        ("[admin]\nlisten = '10.0.0.1:80'", "http://10.0.0.1:80"),
        ("[admin]\nlisten = '0.0.0.0:80'", "http://127.0.0.1:80"),
        ("[admin]\nlisten = '[::]:80'", "http://[::1]:80"),
        ("[admin]\nlisten = '[2001:db8::1]:80'", "http://[2001:db8::1]:80"),
        ("[admin]\nsurprise = 1\n[records]\nnonsense = []", "http://127.0.0.1:8054"),
    ],
)
def test_the_address_comes_from_the_configuration(write: Write, toml: str, url: str) -> None:
    found = find_daemon(write("dnslb.toml", toml), None, None)
    assert (found.url, found.token) == (url, None)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[admin", "is not valid TOML"),
        ("admin = 1", "must be a table"),
        ("[admin]\nlisten = 1", "string"),
    ],
)
def test_a_configuration_that_cannot_be_read(write: Write, toml: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        find_daemon(write("dnslb.toml", toml), None, None)


def test_a_missing_file_matters_only_where_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        find_daemon(tmp_path / "absent", None, None)


def test_an_api_that_is_turned_off(write: Write) -> None:
    with pytest.raises(AdminClientError, match=r"admin\.listen is empty"):
        find_daemon(write("dnslb.toml", "[admin]\nlisten = ''"), None, None)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("# the night shift\n\nread r1 a\nread r2\noperate o1 b\noperate o2\n", "o1"),
        ("read r1\n", "r1"),
        ("bare-token\n", "bare-token"),
    ],
)
def test_the_token_that_may_do_most_is_taken(write: Write, text: str, token: str) -> None:
    path = write("tokens", text)
    assert find_daemon(None, "http://h:1", path).token == token
    config = write("dnslb.toml", f"[admin]\ntoken_file = '{path}'\n")
    assert find_daemon(config, None, None).token == token


def test_a_token_file_that_was_named_must_hold_one(write: Write, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, write("empty", "# none\n"), write("odd", "\u00fc")):
        with pytest.raises(ConfigError) as caught:
            find_daemon(None, "http://h:1", path)
        assert caught.value.problems[0].file == str(path)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "127.0.0.1/\u00fc"])
async def test_an_address_that_is_none_is_said_in_one_line(host: str) -> None:
    ended = await run("status", "--admin", f"http://{host}")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)


async def test_a_reload(config: Path, node: Node) -> None:
    node.reloads = [ReloadReport(3, 2, 1, ("something is doubtful",))]
    ended = await run("reload", "-c", str(config))
    assert ended.code == 0
    assert ended.out == "Reloaded: 3 records, 2 new or changed, 1 removed.\n"
    assert ended.err == "warning: something is doubtful\n"
    ended = await run("reload", "--json", "-c", str(config))
    assert json.loads(ended.out)["changed"] == 2
    assert node.reloaded == 2


async def test_a_bad_configuration_is_told_as_the_daemon_would_at_its_start(
    config: Path, node: Node
) -> None:
    found = [
        ConfigProblem("/etc/a.toml", "records.x.A.ttl", "is required"),
        ConfigProblem("b.toml", "", "no"),
    ]
    node.reloads = [ConfigError(found)]
    ended = await run("reload", "-c", str(config))
    assert ended.code == 126
    assert ended.err.splitlines() == ["/etc/a.toml: records.x.A.ttl: is required", "b.toml: no"]


async def test_a_token_that_does_not_do_is_told_from_none(url: str, write: Write) -> None:
    for line, said in (
        (f"read {READ_TOKEN}\n", "refused: token prometheus has the role read, not operate\n"),
        ("operate 0000-not-a-token-of-this-node\n", "refused: no such token\n"),
    ):
        ended = await run("reload", "--admin", url, "--token-file", str(write("tokens", line)))
        assert (ended.code, ended.err) == (1, said)


async def test_without_a_token_it_is_said_why_none_was_sent(
    url: str, node: Node, write: Write
) -> None:
    ended = await run("reload", "--admin", url)
    assert ended.code == 1
    assert "refused: a token is needed" in ended.err
    assert "no --token-file was given" in ended.err
    config = write("other.toml", f"[admin]\nlisten = '{url[7:]}'\ntoken_file = '/nonexistent/t'\n")
    ended = await run("reload", "-c", str(config))
    assert ended.code == 1
    assert "/nonexistent/t: cannot be read" in ended.err
    ended = await run("status", "-c", str(config))
    assert ended.code == 0, "reading needs none"
    assert node.reloaded == 0


async def test_tokens_are_sent(url: str, node: Node, write: Write) -> None:
    for token, code in ((READ_TOKEN, 1), ("wrong", 1), (OPERATE_TOKEN, 0)):
        path = write("token", token)
        ended = await run("reload", "--admin", f"{url}/", "--token-file", str(path))
        assert ended.code == code
        assert token not in ended.err
    assert node.reloaded == 1


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that says `answer` to whatever it is asked, and closes."""

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def response(kind: str, body: str, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "cannot be reached"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "cannot be reached"),
        (response("text/html", "<p>hello"), "is not a dnslb-backend"),
        (response("text/html", "no", "404 Not Found"), "answered 404"),
        (response("application/json", "<"), "is not a dnslb-backend"),
        (response("application/problem+json", "[]", "500 Oops"), "is not a dnslb-backend"),
        (response("application/problem+json", '{"errors": 7}', "422 No"), "refused: "),
        (response("application/json", "[1, 2]"), "cannot read the response"),
        (response("application/json", '{"members": 1}'), "cannot read the response"),
    ],
)
async def test_what_is_no_daemon_of_ours(answer: bytes, words: str) -> None:
    async with answering(answer) as url:
        ended = await run("status", "--admin", url)
    assert ended.code == 1
    assert words in ended.err


@pytest.mark.parametrize("url", ["127.0.0.1:8054", "ftp://h", "http://", "http://h:port", "[::1"])
async def test_what_is_no_url(url: str) -> None:
    ended = await run("status", "--admin", url)
    assert ended.code == 1
    assert "is not a URL" in ended.err


async def test_a_daemon_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for command in ("status", "reload"):
        ended = await run(command, "--admin", url)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == f"no daemon answers at {url}: is dnslb-backend running?\n"


async def test_a_proxy_may_put_us_under_a_path(node: Node) -> None:
    async def pass_on(request: web.BaseRequest) -> web.Response:
        assert request.path == "/dnslb/api/v1/status"
        body = {"node": "far", "version": "1", "started": "2026-01-01T00:00:00Z", "ready": True}
        body |= {"time": "2026-01-01T00:00:00Z", "members": [], "records": [], "details": {}}
        body |= {"cursor": None}
        return web.json_response(body)

    runner = web.ServerRunner(web.Server(pass_on))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    ended = await run("status", "--admin", f"http://127.0.0.1:{port}/dnslb/")
    await runner.cleanup()
    assert (ended.code, ended.out.split()[0]) == (0, "far")


async def test_dnslb_config_is_the_default_of_c(config: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    for command in (["status"], ["ping"], ["overrides"], ["history"]):
        assert (await run_afresh(*command, DNSLB_CONFIG=str(config))).code == 0, command
    ended = await run_afresh("status", DNSLB_CONFIG=str(absent))
    assert (ended.code, ended.err) == (126, f"{absent}: no such file\n")
    assert (await run_afresh("status", "-c", str(config), DNSLB_CONFIG=str(absent))).code == 0


@pytest.mark.parametrize(
    "command",
    [["serve"], ["check-config"], ["config", "show", "www"], ["schema", "apply"], ["pipe"]],
)
async def test_dnslb_config_is_the_default_where_no_daemon_is_asked(
    command: list[str], tmp_path: Path
) -> None:
    ended = await run_afresh(*command, DNSLB_CONFIG=str(tmp_path / "absent.toml"))
    assert ended.code != 0
    assert f"{tmp_path}/absent.toml: " in ended.err
