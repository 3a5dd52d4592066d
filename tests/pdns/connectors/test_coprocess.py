"""`dnslb-backend pipe` as PowerDNS starts it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.pdns.connectors import coprocess
from dnslb_backend.pdns.connectors.coprocess import DEFAULT_SOCKET, UsageError, find_socket
from dnslb_backend.pdns.connectors.sockets import listen_unix
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.world import World

INITIALIZE = b'{"method": "initialize", "parameters": {"command": "x"}}\n'
LOOKUP = b'{"method": "lookup", "parameters": {"qname": "v4.lb.example.", "qtype": "ANY"}}\n'
QUESTION = b"Q\tv4.lb.example\tIN\tANY\t-1\t127.0.0.1\n"


class Pipe:
    """The coprocess, spoken to through its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.requests = process.stdin
        self.answers = process.stdout

    async def say(self, line: bytes, lines: int = 1) -> list[bytes]:
        self.requests.write(line)
        async with asyncio.timeout(10):
            return [await self.answers.readline() for _ in range(lines)]

    async def result(self, line: bytes) -> Any:
        (answer,) = await self.say(line)
        return json.loads(answer)["result"]

    async def end(self) -> tuple[int, str]:
        """Exit code and what it complained of, once it has ended."""
        assert self.process.stderr is not None
        async with asyncio.timeout(10):
            complaint = await self.process.stderr.read()
            return await self.process.wait(), complaint.decode()


@asynccontextmanager
async def pipe(*arguments: str) -> AsyncIterator[Pipe]:
    stream = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dnslb_backend", "pipe", *arguments),
        stdin=stream,
        stdout=stream,
        stderr=stream,
    )
    try:
        yield Pipe(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None:
            async with asyncio.timeout(10):
                await process.communicate()


@asynccontextmanager
async def daemon(path: Path, world: World) -> AsyncIterator[UnixConnector]:
    connector = UnixConnector(Responder(world.current))
    await connector.start([listen_unix(str(path), 0o600)])
    try:
        yield connector
    finally:
        for connection in await connector.stop(grace=0):
            connection.sock.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pdns.sock"


async def test_it_hands_on_both_dialects(path: Path) -> None:
    async with daemon(path, World()):
        async with pipe("--socket", str(path)) as remote:
            assert await remote.result(INITIALIZE) is True
            for _ in range(3):
                (row,) = await remote.result(LOOKUP)
                assert row["content"] == "10.0.0.4"
            remote.requests.close()
            assert await remote.end() == (0, "")
        async with pipe(f"--socket={path}") as tabbed:
            assert (await tabbed.say(b"HELO\t1\n"))[0].startswith(b"OK\t")
            data, end = await tabbed.say(QUESTION, 2)
            assert (data[:4], end) == (b"DATA", b"END\n")
            assert await tabbed.say(b"Q\tpending.lb.example\tIN\tANY\t-1\tx\n") == [b"FAIL\n"]
            assert await tabbed.say(b"Q\tnope.lb.example\tIN\tANY\t-1\tx\n") == [b"END\n"]


async def test_a_long_answer_arrives_whole(path: Path) -> None:
    world = World()
    world.forget("pending", "A")
    for number in range(3000):
        world.serve(f"n{number}", "A", "10.0.0.1")
    world.snapshot = world.build()
    async with daemon(path, world), pipe("--socket", str(path)) as remote:
        assert await remote.result(INITIALIZE) is True
        remote.answers._limit = 1 << 24  # type: ignore[attr-defined]
        request = b'{"method": "list", "parameters": {"zonename": "lb.example."}}\n'
        assert len(await remote.result(request)) > 3000


async def test_a_restart_between_two_requests_is_not_noticed(path: Path) -> None:
    world = World()
    async with pipe("--socket", str(path)) as remote, pipe("--socket", str(path)) as tabbed:
        async with daemon(path, world):
            assert await remote.result(INITIALIZE) is True
            await tabbed.say(b"HELO\t3\n")
        async with daemon(path, world):
            assert len(await remote.result(LOOKUP)) == 1
            # The new daemon has been told which version it is to speak.
            (data, _) = await tabbed.say(QUESTION.replace(b"\n", b"\t\t\n"), 2)
            assert data.startswith(b"DATA\t0\t1\tV4.lb.example.")


async def test_no_daemon_is_needed_to_be_introduced_and_lookups_fail_until_there_is_one(
    path: Path,
) -> None:
    async with pipe("--socket", str(path)) as remote, pipe("--socket", str(path)) as tabbed:
        assert await remote.result(INITIALIZE) is True
        assert (await tabbed.say(b"HELO\t3\n"))[0].startswith(b"OK\t")
        for _ in range(2):
            assert await tabbed.say(QUESTION) == [b"FAIL\n"]
        remote.requests.write(LOOKUP)
        assert remote.process.stderr is not None
        assert str(path).encode() in await remote.process.stderr.readline()
        async with daemon(path, World()):
            assert len(await tabbed.say(QUESTION.replace(b"\n", b"\t\t\n"), 2)) == 2
            assert json.loads(await remote.answers.readline())["result"][0]["content"] == "10.0.0.4"
        for process, complaints in ((remote, 0), (tabbed, 1)):
            process.requests.close()
            code, complaint = await process.end()
            assert (code, complaint.count(str(path))) == (0, complaints)


async def test_where_the_daemon_has_no_answer_powerdns_says_servfail(path: Path) -> None:
    async with daemon(path, World()), pipe("--socket", str(path)) as remote:
        assert await remote.result(INITIALIZE) is True
        for _ in range(2):
            assert await remote.result(LOOKUP.replace(b"v4", b"pending")) is None
            assert len(await remote.result(LOOKUP)) == 1


async def test_half_an_answer_is_none(path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readline()).startswith(b"HELO"):
            writer.write(b"OK\n")
            await reader.readline()
            writer.write(b"DATA\t0\t1\tx\n")
        else:
            writer.write(b'{"result": [')
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        async with pipe("--socket", str(path)) as tabbed:
            await tabbed.say(b"HELO\t3\n")
            assert await tabbed.say(QUESTION) == [b"FAIL\n"]
        async with pipe("--socket", str(path)) as remote:
            assert await remote.result(LOOKUP) is None


async def test_an_answer_that_powerdns_no_longer_waits_for_is_not_passed_on(path: Path) -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if b"slow" in line:
                is_asked.set()
                await may_answer.wait()
            writer.write(b'{"result":["slow"]}\n' if b"slow" in line else b'{"result":["right"]}\n')
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server, pipe("--socket", str(path)) as remote:
        assert await remote.result(INITIALIZE) is True
        remote.requests.write(LOOKUP.replace(b"v4", b"slow"))
        await is_asked.wait()
        assert await remote.result(LOOKUP) == ["right"]
        may_answer.set()
        assert await remote.result(LOOKUP) == ["right"]
        # Both come at once where it was not let run meanwhile.
        assert await remote.result(LOOKUP.replace(b"v4", b"slow") + LOOKUP) == ["right"]
        remote.requests.close()
        assert await remote.answers.read() == b""


@pytest.mark.parametrize(
    ("option", "late"), [("", 1900), (', "timeout": "500"', 470), (', "timeout": "15000"', 14_000)]
)
def test_initialize_is_answered_while_powerdns_waits_for_it(option: str, late: int) -> None:
    line = f'{{"method": "initialize", "parameters": {{"command": "x"{option}}}}}\n'.encode()
    assert coprocess.is_in_time(line, late / 2)
    assert not coprocess.is_in_time(line, late)
    assert coprocess.is_in_time(line.replace(b'"x"', b'"x", "timeout": "0"'), 1e9)
    assert 0 < coprocess.age() < 3_600_000


async def test_it_ends_with_powerdns_whatever_the_daemon_does(path: Path) -> None:
    async with pipe("--socket", str(path)) as remote:
        remote.requests.write(LOOKUP)
        remote.requests.close()
        assert (await remote.end())[0] == 0
    is_asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        is_asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server, pipe("--socket", str(path)) as remote:
        remote.requests.write(LOOKUP)
        await is_asked.wait()
        remote.process.kill()
        assert (await remote.end())[0] == -9


async def test_it_starts_with_the_standard_library_alone() -> None:
    program = (
        "import sys; sys.argv = ['x', 'pipe', '--socket', '/nowhere']\n"
        "from dnslb_backend.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    modules = {name.split(".")[0] for name in output.decode().split()}
    assert "dnslb_backend" in modules
    assert not modules & {"asyncio", "typer", "pydantic", "aiohttp", "dns", "logging", "json"}


async def test_it_starts_at_once(path: Path) -> None:
    loop = asyncio.get_running_loop()
    times = []
    async with daemon(path, World()):
        for _ in range(5):
            began = loop.time()
            async with pipe("--socket", str(path)) as remote:
                assert await remote.result(INITIALIZE) is True
                times.append(loop.time() - began)
    assert sorted(times)[2] < 0.25  # 0.1 where no other test runs beside


def test_where_the_socket_is(tmp_path: Path) -> None:
    config = tmp_path / "dnslb.toml"
    config.write_text('[server]\nunix = "/run/there.sock"\n')
    assert find_socket(["-c", str(config)]) == "/run/there.sock"
    assert find_socket([f"-c={config}", "--socket", "/run/here.sock"]) == "/run/here.sock"
    config.write_text('[server]\nunix = ""\n')
    assert find_socket(["-c", str(config)]) == DEFAULT_SOCKET


@pytest.mark.parametrize("arguments", [["x"], ["--socket"], ["-c"], ["--sock", "/x"], ["-c", "/x"]])
async def test_a_command_line_that_makes_no_sense(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        find_socket(arguments)
    async with pipe(*arguments) as process:
        code, complaint = await process.end()
        assert code == 2
        assert "usage" in complaint


async def test_help_is_given() -> None:
    async with pipe("--help") as process:
        assert b"--socket PATH" in await process.answers.read()
        assert await process.end() == (0, "")
