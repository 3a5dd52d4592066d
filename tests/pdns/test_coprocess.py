"""`dnslb-backend pipe` as PowerDNS starts it."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.pdns import coprocess
from dnslb_backend.pdns.coprocess import DEFAULT_SOCKET, UsageError, find_socket
from dnslb_backend.pdns.listeners import listen_unix
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.unix import UnixConnector
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


async def test_without_a_daemon_powerdns_hears_of_a_fault(path: Path) -> None:
    async with pipe("--socket", str(path)) as tabbed:
        for line in (b"HELO\t3\n", QUESTION, QUESTION):
            assert await tabbed.say(line) == [b"FAIL\n"]
        async with daemon(path, World()):
            assert len(await tabbed.say(QUESTION.replace(b"\n", b"\t\t\n"), 2)) == 2
    async with pipe("--socket", str(path)) as remote:
        remote.requests.write(INITIALIZE)
        code, complaint = await remote.end()
        assert code == 1
        assert str(path) in complaint
        assert "Traceback" not in complaint


async def test_a_fault_of_the_daemon_is_no_answer(path: Path) -> None:
    async with daemon(path, World()), pipe("--socket", str(path)) as remote:
        assert await remote.result(INITIALIZE) is True
        remote.requests.write(LOOKUP.replace(b"v4", b"pending"))
        assert (await remote.end())[0] == 1


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
            remote.requests.write(LOOKUP)
            assert (await remote.end())[0] == 1
            assert await remote.answers.read() == b""


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


def test_a_socket_that_does_not_answer_is_no_reason_to_hang(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coprocess, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with pytest.raises(coprocess.DaemonGoneError, match="no answer"):
            coprocess.Daemon(str(path)).ask(INITIALIZE)
