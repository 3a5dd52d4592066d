"""Votes over a Galera cluster whose members fail: what was given meanwhile arrives."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.galera import Galera
from tests.rigs.waiting import until
from tests.store.votes.electorate import DOWN, Member, all_know, keys, vote

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

WITHIN = 60.0

A, B, C, D = keys(4)


@asynccontextmanager
async def fleet(*, alone: int | None = None) -> AsyncIterator[tuple[Galera, list[Member]]]:
    """A node beside each member of a cluster, which turns to the others when that one fails; the
    node with the number `alone` does not.
    """
    async with Galera() as cluster, AsyncExitStack() as stack:
        await cluster.query("CREATE DATABASE mirror")
        sockets = [str(member.socket) for member in cluster.members]
        nodes = []
        for number in range(len(sockets)):
            own = sockets[number:] + sockets[:number]
            settings = MysqlSettings.model_validate(
                {
                    "unix_socket": own[:1] if number == alone else own,
                    "user": "root",
                    "database": "mirror",
                }
            )
            if number == 0:
                await apply(settings)
            nodes.append(Member(settings, f"ns{number}"))
        for node in nodes:
            node.give({A: vote(), B: vote()})
            await stack.enter_async_context(node.running())
        await agreed(nodes)
        yield cluster, nodes


async def agreed(nodes: list[Member]) -> None:
    await until(lambda: all_know(nodes), within=WITHIN, what="all to know all votes")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line.startswith("votes: not exchanged")]


async def disconnected(node: Member) -> None:
    await until(lambda: not node.exchange.status.is_connected, within=WITHIN)


async def silent(reader: Member, node: str) -> None:
    """Until a reader has gone on reading for a while, and seen no sign of life of a node."""
    beat, other = reader.seen[node].beat, reader.seen[reader.node].beat
    while reader.seen[reader.node].beat < other + 5:
        last = reader.seen[reader.node].beat
        await until(
            lambda last=last: reader.seen[reader.node].beat > last,  # type: ignore[misc]
            within=WITHIN,
        )
        if reader.seen[node].beat != beat:
            beat, other = reader.seen[node].beat, reader.seen[reader.node].beat


async def test_a_node_at_a_member_without_a_quorum_waits_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with fleet(alone=0) as (cluster, nodes):
        first, second, _ = nodes
        await cluster.members[0].isolate()
        first.give({A: vote(DOWN), C: vote()})
        second.give({B: None, D: vote(DOWN)})
        await disconnected(first)
        await silent(second, "ns0")
        assert second.knows(nodes[2])
        assert "ns2" in second.seen
        await cluster.members[0].heal()
        await agreed(nodes)
    # The majority may have had an error of its own as well.
    assert len([line for line in errors(caplog) if str(cluster.members[0].socket) in line]) == 1


async def test_a_node_leaves_a_member_without_a_quorum() -> None:
    async with fleet() as (cluster, nodes):
        await cluster.members[0].isolate()
        nodes[0].give({A: vote(DOWN), C: vote()})
        await agreed(nodes)
        assert await cluster.members[0].size() == 0
        await cluster.members[0].heal()
        await cluster.complete()
        nodes[0].give({C: None})
        nodes[1].give({D: vote()})
        await agreed(nodes)


async def test_a_node_leaves_a_member_that_stands_still() -> None:
    async with fleet() as (cluster, nodes):
        cluster.members[0].pause()
        try:
            for node in nodes:
                node.give({A: vote(DOWN), B: None})
            await agreed(nodes)
        finally:
            cluster.members[0].resume()
        await cluster.complete()
        for node in nodes:
            node.give({C: vote()})
        await agreed(nodes)


async def test_a_member_that_is_killed_and_comes_back() -> None:
    async with fleet() as (cluster, nodes):
        await cluster.members[0].kill()
        for node in nodes:
            node.give({A: vote(DOWN), B: None})
        await agreed(nodes)
        await cluster.members[0].start()
        for node in nodes:
            node.give({C: vote()})
        await agreed(nodes)


async def test_all_goes_on_once_two_that_were_killed_are_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with fleet() as (cluster, nodes):
        for member in cluster.members[:2]:
            await member.kill()
        for node in nodes:
            node.give({A: vote(DOWN), B: None})
        for node in nodes:
            await disconnected(node)
        for member in cluster.members[:2]:
            await member.launch()
        await agreed(nodes)
        await cluster.complete()
    assert len(errors(caplog)) == len(nodes)
