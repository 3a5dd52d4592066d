"""For every kind of check: a target that passes, one that fails, one that refuses, one that hangs.

A scene yields the table of the check and where to ask it. None where a kind cannot meet such a
target: nothing hangs that is not asked, and pings have networks of their own in test_icmp.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.resources.push_reports import PushReports
from tests.checkers.conftest import Authority
from tests.checkers.grpc_script import NOT_SERVING, calling
from tests.checkers.nameserver import NanoNameServer
from tests.checkers.probing import HERE
from tests.checkers.servers import Play, ScriptedServer, answering, hang, saying
from tests.rigs.mariadb import MariaDB
from tests.rigs.ports import free_port
from tests.rigs.postgres import Postgres
from tests.rigs.processes import nap

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
NAME = "www.lb.example"


@dataclass(frozen=True)
class Stage:
    """What scenes are made of: files, certificates, reports, a database."""

    directory: Path
    authority: Authority
    board: PushReports
    database: MariaDB
    postgres: Postgres


Scene = Callable[[Stage], AbstractAsyncContextManager[tuple[dict[str, Any], ProbeEndpoint]]]


@dataclass(frozen=True)
class Row:
    """The scenes of one kind; `refused` is the result's code where the target refuses."""

    passing: Scene
    failing: Scene
    refusing: Scene | None = None
    hanging: Scene | None = None
    refused: int = -4


def served(table: dict[str, Any], play: Play, *, tls: bool = False) -> Scene:
    """A check of a TCP server that plays this."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        context = stage.authority.server(NAME) if tls else None
        async with ScriptedServer(play, tls=context) as server:
            trusted = {"ca_file": stage.authority.ca_file} if table["type"] in SECURE else {}
            yield {**table, **trusted}, ProbeEndpoint(HERE, server.port)

    return scene


def alone(table: dict[str, Any]) -> Scene:
    """A check of a port where nobody listens, or that needs no target at all."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        yield table, ProbeEndpoint(HERE, free_port())

    return scene


def named(**keys: Any) -> Scene:
    """A check of a name server that knows NAME; it does not answer for silent.example."""

    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        async with NanoNameServer() as server:
            server.put(NAME, "A", "192.0.2.1")
            server.silent.add("silent.example")
            yield {"type": "dns", "name": NAME, **keys}, ProbeEndpoint(HERE, server.port)

    return scene


def queried(query: str) -> Scene:
    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        table = {"type": "mariadb", "user": "probe", "password": "s3cret", "query": query}
        yield {**table, "expect": "^up$"}, ProbeEndpoint(HERE, stage.database.port)

    return scene


def selected(query: str) -> Scene:
    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        table = {**POSTGRES, "query": query, "expect": "^up$", "database": "postgres"}
        yield table, ProbeEndpoint(HERE, stage.postgres.port)

    return scene


def written(text: str) -> Scene:
    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        (stage.directory / HERE).write_text(text)
        yield {"type": "file", "path": f"{stage.directory}/%(address)s", "up": ["up"]}, HOST

    return scene


def reported(up: bool) -> Scene:
    @asynccontextmanager
    async def scene(stage: Stage) -> AsyncIterator[tuple[dict[str, Any], ProbeEndpoint]]:
        stage.board.last("t0ken", HERE)
        stage.board.report("t0ken", HERE, up)
        yield {"type": "push", "token": "t0ken", "max_silence": 60}, HOST

    return scene


HOST = ProbeEndpoint(HERE)
AGENT = {"type": "agent"}
GRPC = {"type": "grpc"}
SECURE = ("https", "tls")
HTTP = {"type": "http", "url": "http://%(address)s/"}
HTTPS = {"type": "https", "url": f"https://{NAME}/"}
TCP = {"type": "tcp", "expect": "^220 "}
TLS = {"type": "tls", "sni": NAME}
POSTGRES = {"type": "postgres", "user": "probe", "password": "s3cret"}
MARIADB = {"type": "mariadb", "user": "probe", "password": "s3cret"}

ROWS: dict[str, Row] = {
    "agent": Row(
        passing=served(AGENT, saying(b"up 75%\n")),
        failing=served(AGENT, saying(b"down#disk full\n")),
        refusing=alone(AGENT),
        hanging=served(AGENT, hang),
    ),
    "dns": Row(
        passing=named(),
        failing=named(name="no.example"),
        refusing=alone({"type": "dns", "name": NAME}),
        hanging=named(name="silent.example"),
    ),
    "exec": Row(
        passing=alone({"type": "exec", "argv": ["true"]}),
        failing=alone({"type": "exec", "argv": ["false"]}),
        refusing=alone({"type": "exec", "argv": ["/no/such/command"]}),
        hanging=alone({"type": "exec", "argv": ["sleep", nap()]}),
        refused=-3,
    ),
    "file": Row(passing=written("up"), failing=written("down")),
    "grpc": Row(
        passing=served(GRPC, calling()),
        failing=served(GRPC, calling(NOT_SERVING)),
        refusing=alone(GRPC),
        hanging=served(GRPC, hang),
    ),
    "http": Row(
        passing=served(HTTP, answering(OK)),
        failing=served(HTTP, answering(BAD)),
        refusing=alone(HTTP),
        hanging=served(HTTP, hang),
    ),
    "https": Row(
        passing=served(HTTPS, answering(OK), tls=True),
        failing=served(HTTPS, answering(BAD), tls=True),
        refusing=alone(HTTPS),
        hanging=served(HTTPS, hang),
    ),
    "icmp": Row(passing=alone({"type": "icmp"}), failing=alone({"type": "icmp"})),
    "mariadb": Row(
        passing=queried("SELECT 'up'"),
        failing=queried("SELECT 'down'"),
        refusing=alone(MARIADB),
        hanging=served(MARIADB, hang),
    ),
    "postgres": Row(
        passing=selected("SELECT 'up'"),
        failing=selected("SELECT 'down'"),
        refusing=alone(POSTGRES),
        hanging=served(POSTGRES, hang),
    ),
    "push": Row(passing=reported(True), failing=reported(False)),
    "static": Row(
        passing=alone({"type": "static"}), failing=alone({"type": "static", "result": "fail"})
    ),
    "tcp": Row(
        passing=served(TCP, saying(b"220 ready\r\n")),
        failing=served(TCP, saying(b"554 go away\r\n")),
        refusing=alone(TCP),
        hanging=served(TCP, hang),
    ),
    "tls": Row(
        passing=served(TLS, hang, tls=True),
        failing=served({**TLS, "sni": "other.example"}, hang, tls=True),
        refusing=alone(TLS),
        hanging=served(TLS, hang),
    ),
}
