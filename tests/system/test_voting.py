"""Nodes that decide together, over a real database: what each is told, answers and shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.cli.command import run_afresh
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.ports import free_port
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until
from tests.store.test_faults import prepared, server
from tests.system.writing import config, record, table

pytestmark = pytest.mark.timeout(180)

A, B = "127.0.0.2", "127.0.0.3"
WITHIN = 60.0
TOKEN = "e" * 32


class PartedTarget(HttpTarget):
    """Answers no node whose token is in `cut`: a network that lets only some of them through."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.cut: set[str] = set()
        self.asked: set[str] = set()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.add(token)
        if token in self.cut:
            return web.Response(status=503)
        return await super()._answer(request)


@dataclass(slots=True)
class Fleet:
    """What a test has in hand."""

    database: MariaDB
    targets: dict[str, PartedTarget]
    stack: AsyncExitStack
    login: dict[str, Any]
    tokens: Path

    def text(self, node: str, quorum: dict[str, object], **keys: object) -> str:
        port = self.targets[A].port
        check = {"type": "http", "url": f"http://%(address)s:{port}/", "token": node}
        return config(
            table("mysql", **self.login),
            table("quorum", **{"fresh": 3, "hold": 3, **quorum}),
            table("admin", token_file=str(self.tokens)),
            record("www", dest=[A, B], check=check, **keys),
            node=node,
        )

    async def node(
        self, name: str, quorum: dict[str, object] | None = None, **keys: object
    ) -> Daemon:
        daemon = Daemon(self.text(name, quorum or {}, **keys), ready=False)
        return await self.stack.enter_async_context(daemon)

    def cut(self, node: str, *addresses: str) -> None:
        for address in addresses or self.targets:
            self.targets[address].cut.add(node)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"operate {TOKEN} ann\n")
    tokens.chmod(0o600)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(server())
        settings = await prepared(database)
        assert settings.password is not None
        login = {
            "host": "127.0.0.1",
            "port": settings.port,
            "user": settings.user,
            "password": settings.password.get_secret_value(),
            "database": settings.database,
        }
        port = free_port(A, B)
        targets = {host: PartedTarget(host, port) for host in (A, B)}
        for target in targets.values():
            await stack.enter_async_context(target)
        yield Fleet(database, targets, stack, login, tokens)


async def served(daemon: Daemon) -> set[str]:
    _, body = await daemon.get("/api/v1/status?name=www.lb.example")
    return {member["content"] for member in body["members"] if member["served"]}


async def serves(daemon: Daemon, *addresses: str) -> None:
    async def so() -> bool:
        return await served(daemon) == set(addresses)

    await until(so, within=WITHIN, what=f"{daemon.name} to serve {addresses}")


async def test_a_node_that_is_cut_off_from_the_targets_answers_as_the_others(fleet: Fleet) -> None:
    nodes = [await fleet.node(name) for name in ("ns1", "ns2", "ns3")]
    for node in nodes:
        await serves(node, A, B)
        await node.logged("voters besides this node: ns", within=WITHIN)
    fleet.cut("ns1")
    await fleet.targets[A].probed(10, within=WITHIN)
    assert await served(nodes[0]) == {A, B}
    fleet.targets[A].fail()
    for node in nodes:
        await serves(node, B)
    assert not [line for line in nodes[0].log.splitlines() if f"{B}: UP -> DOWN" in line]


async def test_without_the_database_it_holds_and_then_decides_itself(fleet: Fleet) -> None:
    nodes = [await fleet.node(name) for name in ("ns1", "ns2", "ns3")]
    for node in nodes:
        await serves(node, A, B)
        await node.logged("voters besides this node: ns", within=WITHIN)
    await fleet.database.kill()
    fleet.cut("ns1", A)
    await serves(nodes[0], B)
    assert await served(nodes[1]) == {A, B}
    await fleet.database.start()
    await serves(nodes[0], A, B)


async def test_a_node_without_votes_probes_and_writes_nothing(fleet: Fleet) -> None:
    ns9 = await fleet.node("ns9", {"votes": False})
    assert not await ns9.health("/readyz")
    for name in ("ns1", "ns2"):
        await fleet.node(name)
    await serves(ns9, A, B)
    assert await ns9.health("/readyz")
    fleet.targets[A].fail()
    await serves(ns9, B)
    assert "ns9" not in fleet.targets[A].asked | fleet.targets[B].asked
    assert not await fleet.database.query("SELECT node FROM mirror.lb_voter WHERE node = 'ns9'")


async def test_a_site_that_may_not_judge_follows_without_probing(fleet: Fleet) -> None:
    nodes = [await fleet.node(n, voters=["ns1", "ns2"]) for n in ("ns1", "ns2", "ns3")]
    for node in nodes:
        await serves(node, A, B)
    fleet.targets[A].fail()
    for node in nodes:
        await serves(node, B)
    assert "ns3" not in fleet.targets[A].asked
    for node in nodes:
        explained = await run_afresh("explain", "www", "--admin", f"http://{node.admin}")
        assert explained.out.count("probed by ns1, ns2") == 2
    tried = await run_afresh("probe", "www", "-c", str(nodes[2].config_file))
    assert tried.out.count("  probers  ns1, ns2") == 2, tried


async def test_a_reload_follows_the_rules_but_not_the_site(fleet: Fleet) -> None:
    ns1, ns2 = await fleet.node("ns1"), await fleet.node("ns2")
    for node in (ns1, ns2):
        await node.logged("voters besides this node: ns", within=WITHIN)
    await serves(ns1, A, B)
    fleet.cut("ns2", A)
    await fleet.targets[A].probed(4, within=WITHIN)
    assert await served(ns1) == {A, B}
    ns1.configure(fleet.text("ns1", {"down": "any", "site": "dc1"}))
    ns1.reload()
    await ns1.logged("quorum.site: is ns1 until the next start", within=WITHIN)
    await serves(ns1, B)
    assert await served(ns2) == {A, B}


async def test_operators_see_who_says_what(fleet: Fleet) -> None:
    nodes = [await fleet.node(name) for name in ("ns1", "ns2", "ns3")]
    for node in nodes:
        await serves(node, A, B)
        await node.logged("voters besides this node: ns", within=WITHIN)
    fleet.cut("ns1", A)

    async def votes() -> dict[str, Any]:
        _, body = await nodes[0].get("/api/v1/status?name=www.lb.example")
        found: dict[str, Any] = next(m for m in body["members"] if m["content"] == A)
        return found

    async def is_outvoted() -> bool:
        found = (await votes())["votes"]
        return (found["basis"], found["up"], found["down"], found["own"]) == (
            "agreed",
            2,
            1,
            "DOWN",
        )

    await until(is_outvoted, within=WITHIN, what="ns1 to be outvoted")
    member = await votes()
    assert "2 of 3 sites say UP" in member["reason"]
    said = {row["node"]: (row["says"], row["code"], row["counts"]) for row in member["votes"]["by"]}
    assert said == {"ns1": ("DOWN", -6, True), "ns2": ("UP", 0, True), "ns3": ("UP", 0, True)}
    _, report = await nodes[0].get("/api/v1/nodes")
    found = {row["node"]: (row["counts"], row["alike"], row["outvoted"]) for row in report["nodes"]}
    assert found == {"ns1": (True, True, 1), "ns2": (True, True, 0), "ns3": (True, True, 0)}
    _, figures = await nodes[0].get("/metrics")
    assert "dnslb_quorum_voters 3.0" in figures
    assert "dnslb_quorum_outvoted 1.0" in figures
    assert 'dnslb_quorum_targets{basis="agreed"} 2.0' in figures
    pages = {
        words: (await run_afresh(*words, "--admin", f"http://{nodes[0].admin}")).out
        for words in (("status",), ("nodes",), ("explain", "www"))
    }
    assert "UP 2/3!" in pages["status",]
    assert "outvoted on 1" in pages["nodes",]
    assert "ns1 says DOWN since" in pages["explain", "www"]
    async with (
        aiohttp.ClientSession(f"http://{nodes[0].admin}") as session,
        session.get("/api/v1/events") as stream,
    ):
        await stream.content.readuntil(b"\n\n")
        await nodes[2].kill()
        async with asyncio.timeout(WITHIN):
            while b"event: voters" not in await stream.content.readuntil(b"\n\n"):
                pass

    async def is_silent() -> bool:
        _, report = await nodes[0].get("/api/v1/nodes")
        return any("silent for" in row["why_not"] for row in report["nodes"])

    await until(is_silent, within=WITHIN, what="ns3 to be silent")

    async def is_gone() -> bool:
        _, ready = await nodes[0].get("/readyz")
        return bool(ready["details"]["quorum"]["voters"] == ["ns2"])

    await until(is_gone, within=WITHIN, what="ns3 to be no voter")


async def test_without_a_quorum_no_statement_is_about_votes(fleet: Fleet) -> None:
    for statement in ("SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = 1"):
        await fleet.database.query(statement)
    text = fleet.text("ns1", {}).replace(table("quorum", fresh=3, hold=3), "")
    assert "[quorum]" not in text
    daemon = await fleet.stack.enter_async_context(Daemon(text))
    await serves(daemon, A, B)
    await daemon.logged("mariadb: connected, mirroring", within=WITHIN)
    fleet.targets[A].fail()
    await serves(daemon, B)

    async def is_mirrored() -> bool:
        rows = "SELECT served FROM mirror.lb_state WHERE content = %s"
        return any(row["served"] == 0 for row in await fleet.database.query(rows, [A]))

    await until(is_mirrored, within=WITHIN, what="the change in the mirror")
    about = "SELECT argument FROM mysql.general_log WHERE argument LIKE '%lb\\_vote%'"
    said = [str(row["argument"]) for row in await fleet.database.query(about)]
    assert not [each for each in said if "general_log" not in each]
