"""The votes of a fleet through a Galera cluster: how fast they spread, and what that costs."""

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from statistics import median
from typing import NamedTuple

from dnslb_backend.core.health.quorum import Vote
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.galera import Galera
from tests.rigs.processes import processor_time
from tests.rigs.waiting import passes, until
from tests.store.votes.electorate import DOWN, Member, keys, vote

PATIENCE = 300.0
"""Seconds for what is measured, on a busy machine."""


class FleetFigures(NamedTuple):
    """`nodes` that give `votes` each. Times are in seconds, CPU as a share of one core.

    `published`: until each node has all votes of all others. `visible` and `slowest`: from one
    change until another node knows it, the median and the most. `turned`: until all have it that
    all votes of one node have changed. `beat` and `changed_vote` are bytes that Galera replicates.
    """

    nodes: int
    votes: int
    published: float
    database: float
    node: float
    visible: float
    slowest: float
    turned: float
    beat: float
    changed_vote: float


class Node(Member):
    """`heard_at` is when votes of others arrived last."""

    heard_at = 0.0

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        super().votes_read(node, instance, votes, is_whole=is_whole)
        self.heard_at = time.monotonic()


async def measure_fleet(nodes: int, votes: int, watch: float, changes: int) -> FleetFigures:
    async with Galera() as cluster, AsyncExitStack() as stack:
        fleet = await _fleet(cluster, nodes)
        given = {key: vote() for key in keys(votes)}
        for node in fleet:
            node.give(given)
            await stack.enter_async_context(node.running())
        published = await _until_known(fleet, fleet)
        database, own, beat = await _idle(cluster, nodes, watch)
        before, began = await _replicated(cluster), time.monotonic()
        seen: list[float] = []
        for number in range(changes):
            source = fleet[number % nodes]
            seen += await one_change(source, [each for each in fleet if each is not source], number)
        # Signs of life went on meanwhile.
        beats = (time.monotonic() - began) * nodes * beat
        changed_vote = (await _replicated(cluster) - before - beats) / changes
        fleet[0].give({key: vote(DOWN) for key in given})
        turned = await _until_known(fleet, fleet[:1])
        visible, slowest = median(seen), max(seen)
    return FleetFigures(
        nodes, votes, published, database, own, visible, slowest, turned, beat, changed_vote
    )


async def _fleet(cluster: Galera, nodes: int) -> list[Node]:
    """Nodes that are spread over the members."""
    await cluster.query("CREATE DATABASE fleet")
    settings = [
        MysqlSettings(unix_socket=str(member.socket), user="root", database="fleet")
        for member in cluster.members
    ]
    await apply(settings[0])
    return [Node(settings[number % len(settings)], f"ns{number}") for number in range(nodes)]


async def _until_known(fleet: Sequence[Node], sources: Sequence[Node]) -> float:
    """Seconds until all votes of `sources` are known to every other node."""
    began = time.monotonic()

    def is_known() -> bool:
        return all(
            node.knows(*(source for source in sources if source is not node)) for node in fleet
        )

    await until(is_known, within=PATIENCE, what="all votes")
    return time.monotonic() - began


async def _idle(cluster: Galera, nodes: int, watch: float) -> tuple[float, float, float]:
    """Shares of a core, of the busiest database and of a node; and bytes of a sign of life."""
    used = [processor_time(member.pid) for member in cluster.members]
    own, sent = time.process_time(), await _replicated(cluster)
    await passes(watch)
    own = (time.process_time() - own) / watch / nodes
    pairs = zip(cluster.members, used, strict=True)
    busiest = max(processor_time(member.pid) - before for member, before in pairs) / watch
    return busiest, own, (await _replicated(cluster) - sent) / watch / nodes


async def _replicated(cluster: Galera) -> float:
    """Bytes that the members have sent to each other as write sets."""
    return sum([float(await m.status("replicated_bytes")) for m in cluster.members])


async def one_change(source: Node, others: Sequence[Node], number: int) -> list[float]:
    """Seconds until each of the others knows that one vote has changed."""
    await passes(random.uniform(0.5, 1.0))
    key = next(islice(source.own, number % len(source.own), None))
    wanted = vote(DOWN, f"change {number}")
    took: dict[str, float] = {}
    source.give({key: wanted})
    began = time.monotonic()

    def is_known() -> bool:
        for node in others:
            if node.node not in took and node.heard_of[source.node].get(key) == wanted:
                took[node.node] = node.heard_at - began
        return len(took) == len(others)

    await until(is_known, within=PATIENCE)
    return list(took.values())
