"""Answer-only nodes by the hundred behind a handful of probers: what they read, and how late.

The probers' votes fill the table as they would; a follower that joins reads all of them, once, and
counts them with the real core. The others are there already: they read what is new.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import NamedTuple

from dnslb_backend.core.health.peer_table import PeerTable
from dnslb_backend.core.health.quorum import Vote, Voter
from dnslb_backend.core.health.tally import tally
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.bench.fleet import PATIENCE, Node, one_change
from tests.rigs.mariadb import MariaDB
from tests.rigs.processes import processor_time, resident
from tests.rigs.waiting import passes, until
from tests.store.votes.electorate import FRESH, Member, keys, vote

# With the number that every follower has read already: only one that joins reads them.
FILL = """
INSERT INTO lb_vote (node, row_key, seq, address, asked, says, code, text, since)
SELECT %s, LPAD(LOWER(HEX(seq)), 32, '0'), 1, '192.0.2.1', 'tcp 80', 'UP', 0, '200 in 3 ms',
    UTC_TIMESTAMP(3) FROM seq_1_to_{last}
"""


class FollowerFigures(NamedTuple):
    """A fleet of `followers` behind `probers` that vote on `targets` each. Times are in seconds.

    `rows` and `megabytes` are in the table. A node that joins has `joined` after reading all votes,
    with so much CPU (`join_cpu`) and memory (`join_megabytes`), and counts them in `counted`. With
    all of them there and nothing changing, the server uses `database` of a core and sends `sent`
    bytes a second, a node uses `node` of a core. `visible` and `slowest`: from one change until
    a follower knows it, the median and the most. `change_sent`: bytes that a change costs in all.
    """

    probers: int
    followers: int
    targets: int
    rows: int
    megabytes: float
    joined: float
    join_cpu: float
    join_megabytes: float
    counted: float
    database: float
    node: float
    sent: float
    visible: float
    slowest: float
    change_sent: float


class Follower(Member):
    """One that keeps the votes as a daemon does."""

    def __init__(self, mysql: MysqlSettings, node: str) -> None:
        super().__init__(mysql, node, votes=False)
        self.peer_table = PeerTable(node)

    def voters_read(self, voters: Sequence[Voter]) -> None:
        super().voters_read(voters)
        self.peer_table.voters_read(voters, time.monotonic(), FRESH)

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        self.told += len(votes)
        self.peer_table.votes_read(node, instance, votes, is_whole=is_whole)


async def measure_followers(
    probers: int, followers: int, targets: int, watch: float, changes: int
) -> FollowerFigures:
    async with MariaDB(
        options=["--innodb-buffer-pool-size=512M", "--max-connections=1000"]
    ) as server:
        await server.query("CREATE DATABASE fleet")
        settings = MysqlSettings(unix_socket=str(server.socket), user="root", database="fleet")
        await apply(settings)
        async with AsyncExitStack() as stack:
            voting = [Node(settings, f"p{number}") for number in range(probers)]
            for member in voting:
                member.give({keys(1)[0]: vote()})
                await stack.enter_async_context(member.running())
            nodes = [Node(settings, f"f{n}", votes=False) for n in range(followers)]
            for node in nodes:
                await stack.enter_async_context(node.running())
            await until(lambda: all(node.knows(*voting) for node in nodes), within=PATIENCE)
            for member in voting:
                await server.query(FILL.format(last=targets - 1), [member.node], database="fleet")
            joined = await _join(stack, settings, voting, targets)
            quiet = await _watch(server, len(nodes), watch)
            sent, began = await _sent(server), time.monotonic()
            seen: list[float] = []
            for number in range(changes):
                seen += await one_change(voting[number % probers], nodes, number)
            cost = await _sent(server) - sent - quiet[2] * (time.monotonic() - began)
        size = await server.query(
            "SELECT table_rows AS r, (data_length + index_length) / 1e6 AS mb"
            " FROM information_schema.tables WHERE table_name = 'lb_vote'"
        )
    return FollowerFigures(
        probers,
        followers,
        targets,
        probers * targets,
        float(size[0]["mb"]),
        *joined,
        *quiet,
        median(seen),
        max(seen),
        cost / changes,
    )


async def _join(
    stack: AsyncExitStack, settings: MysqlSettings, voting: Sequence[Node], targets: int
) -> tuple[float, float, float, float]:
    """One more follower, which reads everything and counts it."""
    began, cpu, memory = time.monotonic(), time.process_time(), resident()
    follower = Follower(settings, "joins")
    await stack.enter_async_context(follower.running())
    wanted = targets * len(voting)
    await until(lambda: follower.told >= wanted, within=PATIENCE, what="all votes")
    took, cpu = time.monotonic() - began, time.process_time() - cpu

    def all_count() -> bool:
        follower.peer_table.update_voters(time.monotonic(), FRESH)
        return len(follower.peer_table.voters) == len(voting)

    await until(all_count, within=PATIENCE, what="all voters")
    begun = time.process_time()
    assert all(tally(follower.peer_table.votes_on(key)).up for key in keys(targets))
    return took, cpu, resident() - memory, time.process_time() - begun


async def _watch(server: MariaDB, nodes: int, watch: float) -> tuple[float, float, float]:
    """Shares of a core, of the server and of a node, and bytes a second that the server sends."""
    database, own, sent = processor_time(server.pid), time.process_time(), await _sent(server)
    await passes(watch)
    own = time.process_time() - own
    database = processor_time(server.pid) - database
    return database / watch, own / watch / nodes, (await _sent(server) - sent) / watch


async def _sent(server: MariaDB) -> float:
    rows = await server.query("SHOW GLOBAL STATUS LIKE 'Bytes_sent'")
    return float(rows[0]["Value"])
