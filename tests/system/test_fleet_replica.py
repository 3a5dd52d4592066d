"""A node that only answers, behind a replica of the database that lags, stops, and comes back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import passes, until
from tests.system.writing import config, http, record, table

pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]

LAG = 4
FRESH, HOLD = 10, 5
WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Replicated:
    """Two nodes that vote, on the primary; one that follows, on the replica."""

    replica: MariaDB
    voters: list[Daemon]
    follower: Daemon
    targets: list[HttpTarget]

    async def served(self, daemon: Daemon) -> set[str]:
        _, status = await daemon.get("/api/v1/status?name=www.lb.example")
        return {row["address"] for row in status["members"] if row["served"]}

    async def follows(self, daemon: Daemon, targets: list[HttpTarget]) -> None:
        async def serves() -> bool:
            return await self.served(daemon) == {target.host for target in targets}

        await until(serves, within=WITHIN, what=f"{[target.host for target in targets]}")


@pytest.fixture
async def replicated() -> AsyncIterator[Replicated]:
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(
            MariaDB(tcp=True, options=["--log-bin=binlog", "--server-id=1"])
        )
        replica = await stack.enter_async_context(MariaDB(options=["--server-id=2"]))
        await primary.query("CREATE DATABASE fleet")
        await apply(login(primary))
        await primary.query("CREATE USER replica@127.0.0.1 IDENTIFIED BY 'secret'")
        await primary.query("GRANT REPLICATION SLAVE ON *.* TO replica@127.0.0.1")
        await replica.query(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = 'replica',"
            " MASTER_PASSWORD = 'secret', MASTER_LOG_FILE = 'binlog.000001', MASTER_LOG_POS = 4,"
            " MASTER_USE_GTID = no, MASTER_DELAY = %s",
            [primary.port, LAG],
        )
        await replica.query("START SLAVE")
        targets = await stack.enter_async_context(farm(2))
        voters = [
            await stack.enter_async_context(Daemon(text(primary, f"ns{number}", targets)))
            for number in (1, 2)
        ]
        await until(lambda: has_tables(replica), within=WITHIN)
        follower = Daemon(text(replica, "follower", targets, votes=False), ready=False)
        await stack.enter_async_context(follower)
        yield Replicated(replica, voters, follower, targets)


def login(server: MariaDB) -> MysqlSettings:
    return MysqlSettings(unix_socket=str(server.socket), user="root", database="fleet")


async def has_tables(server: MariaDB) -> bool:
    found = await server.query(
        "SELECT 1 FROM information_schema.tables WHERE table_name = 'lb_vote'"
    )
    return bool(found)


def text(server: MariaDB, node: str, targets: list[HttpTarget], *, votes: bool = True) -> str:
    return config(
        table("mysql", unix_socket=str(server.socket), user="root", database="fleet"),
        table("quorum", fresh=FRESH, hold=HOLD, votes=votes),
        record("www", dest=[target.host for target in targets], check=http(targets[0].port)),
        node=node,
    )


async def test_a_follower_is_as_late_as_its_replica_and_holds_when_that_stops(
    replicated: Replicated,
) -> None:
    first, second = replicated.targets
    await replicated.follows(replicated.follower, [first, second])
    await first.stop()
    await replicated.follows(replicated.voters[0], [second])
    await replicated.follows(replicated.follower, [second])
    await replicated.replica.query("STOP SLAVE")
    await first.start()
    await replicated.follows(replicated.voters[0], [first, second])
    # Longer than votes count, and than a node that probes would hold what was agreed.
    await passes(FRESH + HOLD + 3)
    assert await replicated.served(replicated.follower) == {second.host}
    await replicated.replica.query("START SLAVE")
    await replicated.follows(replicated.follower, [first, second])
