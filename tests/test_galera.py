"""The cluster that other tests lean on behaves as Galera does."""

from collections.abc import AsyncIterator

import aiomysql
import pytest

from tests.rigs.galera import Galera, Member
from tests.rigs.waiting import until

NOT_PREPARED = 1047


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Galera]:
    """Three members, and a table of numbers."""
    async with Galera() as cluster:
        await cluster.query("CREATE DATABASE lb")
        await cluster.query("CREATE TABLE lb.t (n INT PRIMARY KEY)")
        yield cluster


async def rows(member: Member) -> set[int]:
    return {row["n"] for row in await member.query("SELECT n FROM lb.t")}


async def error_of(member: Member) -> int:
    """The number of the error that reading a table gives; 0 if there is none."""
    try:
        await rows(member)
    except aiomysql.OperationalError as error:
        return int(error.args[0])
    return 0


async def test_a_member_that_was_killed_comes_back_with_what_it_missed(cluster: Galera) -> None:
    first, second, third = cluster.members
    await second.query("INSERT INTO lb.t VALUES (1)")
    await third.kill()
    # This waits until the others agree that it is gone.
    await first.query("INSERT INTO lb.t VALUES (2)")
    await cluster.complete(2)
    await third.start()
    await cluster.complete()
    assert {1, 2} <= await rows(third)


async def test_an_isolated_member_refuses_tables_until_it_is_healed(cluster: Galera) -> None:
    first, second, third = cluster.members
    await third.isolate()

    async def refuses() -> bool:
        return await error_of(third) == NOT_PREPARED

    async def others_have_noticed() -> bool:
        return await first.size() == 2

    await until(refuses, within=30)
    assert await third.size() == 0
    await until(others_have_noticed, within=30)
    await second.query("INSERT INTO lb.t VALUES (3)")
    await third.heal()
    await cluster.complete()
    assert 3 in await rows(third)


@pytest.mark.soak
async def test_a_cluster_that_lost_every_member_begins_anew_with_one(cluster: Galera) -> None:
    first, second, third = cluster.members
    await first.query("INSERT INTO lb.t VALUES (4)")

    async def has_arrived() -> bool:
        return 4 in await rows(third)

    await until(has_arrived)
    for member in cluster.members:
        await member.kill()
    await first.bootstrap()
    await second.start()
    await third.start()
    await cluster.complete()
    assert [4 in await rows(member) for member in cluster.members] == [True] * 3
