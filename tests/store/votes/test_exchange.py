"""Votes reach every other node, each of them, over a real MariaDB."""

import asyncio
import gc
import itertools
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from time import thread_time
from typing import Any

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import PROTOCOL, Vote, Voter
from dnslb_backend.store.database.interface import Select
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.tables import VOTE, VOTER
from dnslb_backend.store.mirror.reading import read_rows
from dnslb_backend.store.mirror.writer import BatchWriter
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.votes.rows import read_voter
from dnslb_backend.store.votes.vote_reader import FORGET_AFTER
from dnslb_backend.store.votes.vote_writer import (
    BATCH_VOTES,
    COUNT_INTERVAL,
    WITHDRAWN_AGE,
    VoteWriter,
)
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import passes, until
from tests.store.test_faults import prepared, server
from tests.store.votes.electorate import DOWN, FRESH, UP, Member, all_know, keys, vote

WITHIN = 30.0


async def knowing(one: Member, *others: Member) -> None:
    await until(lambda: one.knows(*others), within=WITHIN, what=f"{one.node} to know the votes")


async def beats_of(reader: Member, node: str, count: int) -> None:
    """Until `reader` has seen so many signs of life of a node."""
    for _ in range(count):
        last = reader.seen.get(node)
        await until(lambda last=last: reader.seen.get(node) != last, within=WITHIN)  # type: ignore[misc]


# -- what arrives ------------------------------------------------------------------------------


async def test_votes_and_their_changes_reach_another_node(settings: MysqlSettings) -> None:
    first, second = Member(settings, "ns1"), Member(settings, "ns2")
    a, b, c = keys(3)
    first.give({a: vote(), b: vote(DOWN, "timed out after 2 s")})
    async with first.running(), second.running():
        second.give({a: vote(DOWN)})
        await knowing(second, first)
        await knowing(first, second)
        first.give({a: replace(vote(DOWN), priority=3, weight=None), b: None, c: vote()})
        await knowing(second, first)
        assert second.heard_of["ns1"].keys() == {a, c}
        found = second.seen["ns1"]
        assert (found.instance, found.site, found.abstains) == ("i-ns1", "dc1", "")
        assert (found.protocol, found.ballot) == (PROTOCOL, "b" * 16)
        assert second.seen.keys() == {"ns1", "ns2"}


async def test_text_of_any_kind_is_made_fit(settings: MysqlSettings) -> None:
    first, second = Member(settings, "ns1"), Member(settings, "ns2")
    odd = replace(vote(), text="it's \x1b[31m\u202e \U0001f600" + "x" * 400, asked="tcp\n" * 200)
    first.give({keys(1)[0]: odd})
    async with first.running(), second.running():
        await until(lambda: second.heard_of.get("ns1"), within=WITHIN)
        (found,) = second.heard_of["ns1"].values()
    assert (len(found.text), len(found.asked)) == (200, 255)
    assert found.text.isprintable()
    assert found.text.startswith("it's ")


async def test_what_a_node_says_of_itself_arrives_at_once(settings: MysqlSettings) -> None:
    first, second = Member(settings, "ns1"), Member(settings, "ns2")
    async with first.running(), second.running():
        await until(lambda: "ns1" in second.seen, within=WITHIN)
        first.declare("no canary answers", ballot="c" * 16)
        await until(lambda: second.seen["ns1"].abstains == "no canary answers", within=WITHIN)
        assert second.seen["ns1"].ballot == "c" * 16
        first.declare()
        await until(lambda: second.seen["ns1"].abstains == "", within=WITHIN)


async def test_nothing_is_missed_with_nine_writers(settings: MysqlSettings) -> None:
    members = [Member(settings, f"ns{number}") for number in range(9)]
    texts = itertools.count()
    chance = random.Random(1)
    named = keys(300)

    def change(member: Member) -> None:
        for key in chance.sample(named, chance.choice((1, 5, 100))):
            gone = chance.random() < 0.2
            member.give({key: None if gone else vote(chance.choice((UP, DOWN)), str(next(texts)))})

    async with AsyncExitStack() as stack:
        for member in members:
            await stack.enter_async_context(member.running())
        for _ in range(60):
            change(chance.choice(members))
            change(chance.choice(members))
            await passes(0.05)
        await until(lambda: all_know(members), within=WITHIN, what="all to know all votes")
    assert sum(len(member.own) for member in members) > 1000


# -- who reads and writes what ----------------------------------------------------------------


async def test_a_new_run_withdraws_what_it_does_not_give(settings: MysqlSettings) -> None:
    reader = Member(settings, "ns2")
    a, b, c = keys(3)
    async with reader.running():
        old = Member(settings, "ns1", "one")
        old.give({a: vote(), b: vote()})
        async with old.running():
            await knowing(reader, old)
        new = Member(settings, "ns1", "two")
        new.declare("starting")
        async with new.running():
            await beats_of(reader, "ns1", 2)
            assert reader.seen["ns1"].abstains == "starting"
            assert reader.runs["ns1"] == "one"
            new.give({b: vote(DOWN), c: vote()})
            new.declare()
            await knowing(reader, new)
            assert reader.runs["ns1"] == "two"
            await until(lambda: reader.seen["ns1"].abstains == "", within=WITHIN)


async def test_a_store_that_went_back_in_time(settings: MysqlSettings, mariadb: MariaDB) -> None:
    """Both sides notice, over connections that stay open."""
    later = 0.0

    def clock() -> Instant:
        found = now()
        return Instant(found.wall, found.mono + later)

    first, second = Member(settings, "ns1", now=clock), Member(settings, "ns2")
    a, b, c, d = keys(4)
    first.give({a: vote(), b: vote()})

    async def ask(sql: str) -> None:
        await mariadb.query(sql, database=settings.name)

    async with first.running(), second.running():
        await knowing(second, first)
        for table in ("lb_vote", "lb_voter"):
            await ask(f"CREATE TABLE {table}_backup SELECT * FROM {table}")
        first.give({a: vote(DOWN), c: vote(), b: None})
        await knowing(second, first)
        beat = first.seen["ns1"].beat
        later = FRESH + 1
        await ask("START TRANSACTION")
        for table in ("lb_vote", "lb_voter"):
            await ask(f"DELETE FROM {table}")
            await ask(f"INSERT INTO {table} SELECT * FROM {table}_backup")
        await until(lambda: second.seen["ns1"].beat > beat, within=WITHIN)
        first.give({d: vote()})
        await knowing(second, first)
        assert second.heard_of["ns1"].keys() == {a, c, d}


class Remembering(Member):
    """`changes` are all votes that it heard of, one after the other."""

    def __init__(self, mysql: MysqlSettings, node: str) -> None:
        super().__init__(mysql, node)
        self.changes: list[tuple[str, Vote | None]] = []

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        super().votes_read(node, instance, votes, is_whole=is_whole)
        self.changes += votes.items()


async def test_a_backup_brings_no_old_vote_back(settings: MysqlSettings, mariadb: MariaDB) -> None:
    """Whenever it is restored: between any two statements of the nodes."""
    later = 0.0
    rows = "SELECT instance, seq FROM lb_voter WHERE node = 'ns1'"

    def clock() -> Instant:
        found = now()
        return Instant(found.wall, found.mono + later)

    first, second = Member(settings, "ns1", now=clock), Remembering(settings, "ns2")
    a, b = keys(2)
    first.give({a: vote(DOWN), b: vote()})
    async with first.running(), second.running():
        await knowing(second, first)
        for table in ("lb_vote", "lb_voter"):
            copy = f"CREATE TABLE {table}_backup SELECT * FROM {table}"
            await mariadb.query(copy, database=settings.name)
        first.give({a: vote()})
        await knowing(second, first)
        second.changes.clear()
        later = FRESH + 1
        for _ in range(6):
            (before,) = await mariadb.query(rows, database=settings.name)
            async with mariadb.connection(settings.name) as connection:
                await connection.begin()
                async with connection.cursor() as cursor:
                    for table in ("lb_vote", "lb_voter"):
                        await cursor.execute(f"DELETE FROM {table} WHERE node = 'ns1'")
                        await cursor.execute(
                            f"INSERT INTO {table} SELECT * FROM {table}_backup WHERE node = 'ns1'"
                        )
                await connection.commit()
            # Where this node wrote its own row again just then, its numbers give it away.
            later += COUNT_INTERVAL + 1

            async def is_written_again(before: dict[str, Any] = before) -> bool:
                (row,) = await mariadb.query(rows, database=settings.name)
                return bool(row["seq"] > before["seq"])

            await until(is_written_again, within=WITHIN, what="all votes again")
            await beats_of(second, "ns1", 1)
            await knowing(second, first)
    assert all(says is not None and says.says is UP for _, says in second.changes)


async def test_rows_that_somebody_deletes_are_written_again(
    settings: MysqlSettings, mariadb: MariaDB, caplog: pytest.LogCaptureFixture
) -> None:
    later = 0.0

    def clock() -> Instant:
        found = now()
        return Instant(found.wall, found.mono + later)

    first, second = Member(settings, "ns1", now=clock), Member(settings, "ns2")
    first.give({key: vote() for key in keys(3)})
    async with first.running():
        async with second.running():
            await knowing(second, first)
        await mariadb.query("DELETE FROM lb_vote LIMIT 2", database=settings.name)
        later = COUNT_INTERVAL + 1
        third = Member(settings, "ns3")
        async with third.running():
            await knowing(third, first)
            told = third.told
            later *= 2
            await beats_of(third, "ns1", 2)
            assert third.told == told
    assert caplog.text.count("1 rows of lb_vote are of this node, not 3") == 1


async def test_older_rows_that_come_back_beside_a_sign_of_life_are_noticed(
    settings: MysqlSettings, mariadb: MariaDB, caplog: pytest.LogCaptureFixture
) -> None:
    node = Member(settings, "ns1")
    vote_writer = VoteWriter("ns1", "one", node, 10.0)
    store, start = MariaStore(settings), now()
    await store.open()
    writer = BatchWriter(store)

    async def count_after(seconds: float) -> None:
        await vote_writer.count(store, Instant(start.wall, start.mono + seconds))

    await vote_writer.begin(store)
    (key,) = keys(1)
    for seconds, says in ((0.0, DOWN), (1.1, UP)):
        node.give({key: vote(says)})
        await vote_writer.write(store, writer, Instant(start.wall, start.mono + seconds))
    await count_after(COUNT_INTERVAL + 2)
    assert not caplog.records
    await mariadb.query("UPDATE lb_vote SET says = 'DOWN', seq = 1", database=settings.name)
    await count_after(2 * COUNT_INTERVAL + 3)
    assert "are not those written last" in caplog.text
    await vote_writer.write(store, writer, Instant(start.wall, start.mono + 200.0))
    await vote_writer.write(store, writer, Instant(start.wall, start.mono + 201.1))
    (row,) = await mariadb.query("SELECT says, seq FROM lb_vote", database=settings.name)
    assert (row["says"], row["seq"] > 2) == ("UP", True)
    await store.close()


async def test_reads_may_come_from_a_server_that_lags(settings: MysqlSettings) -> None:
    """Else a proxy that sends them there had a node write all of its votes for ever."""
    node = Member(settings, "ns1")
    vote_writer = VoteWriter("ns1", "one", node, 10.0)
    store, start = MariaStore(settings), now()
    await store.open()
    writer = BatchWriter(store)

    async def given(seconds: float) -> Voter:
        await vote_writer.write(store, writer, Instant(start.wall, start.mono + seconds))
        rows = await store.read(Select(VOTER, VOTER.columns))
        return read_rows(VOTER, rows, read_voter, key="node")[0]

    await vote_writer.begin(store)
    first_key, second_key = keys(2)
    node.give({first_key: vote()})
    first = await given(0.0)
    node.give({second_key: vote()})
    second = await given(1.1)
    assert (first.seq, second.seq) == (1, 2)
    for late in (first, second):
        vote_writer.check(late, Instant(start.wall, start.mono + 1.6))
        assert (await given(2.2)).seq == 2
    vote_writer.check(replace(first, beat=first.beat - 1), Instant(start.wall, start.mono + 2.6))
    assert (await given(3.2)).seq == 4
    vote_writer.check(first, Instant(start.wall, start.mono + 20.0))
    assert (await given(21.0)).seq == 6
    await store.close()


async def test_a_number_that_nobody_can_count_on_from_is_left(
    settings: MysqlSettings, mariadb: MariaDB
) -> None:
    first, second = Member(settings, "ns1"), Member(settings, "ns2")
    a, b, c = keys(3)
    for key in (a, c):
        await mariadb.query(
            f"INSERT INTO lb_vote VALUES ('ns1', '{key}', {2**63 - 1},"
            " '', '', 'DOWN', 0, '', 1, 1, NOW())",
            database=settings.name,
        )
    first.give({a: vote(), b: vote()})
    async with first.running(), second.running():
        await knowing(second, first)


async def test_rows_of_withdrawn_votes_are_deleted_a_day_later(settings: MysqlSettings) -> None:
    later = 0.0

    def clock() -> Instant:
        found = now()
        return Instant(found.wall + later, found.mono)

    store = MariaStore(settings)
    a, b, c = keys(3)

    async def stored() -> dict[object, object]:
        return dict(await store.read(Select(VOTE, ("row_key", "says"))))  # type: ignore[arg-type]

    async def shows() -> bool:
        return await stored() == wanted

    for instance in ("one", "two"):
        # The second run finds the row of the first.
        first = Member(settings, "ns1", instance, now=clock)
        first.give({a: vote(), b: vote()})
        async with first.running():
            wanted: dict[object, object] = {a: "UP", b: "UP"}
            await until(shows, within=WITHIN)
            first.give({b: None})
            wanted = {a: "UP", b: "NONE"}
            await until(shows, within=WITHIN)
            if instance == "two":
                later = WITHDRAWN_AGE + 60
                first.give({c: vote()})
                wanted = {a: "UP", c: "UP"}
                await until(shows, within=WITHIN)
    await store.close()


async def test_after_hours_without_an_exchange_everything_is_read_again(
    settings: MysqlSettings,
) -> None:
    """Rows that said what was withdrawn may be gone."""
    later = 0.0

    def clock() -> Instant:
        found = now()
        return Instant(found.wall + later, found.mono + later)

    first, second = Member(settings, "ns1"), Member(settings, "ns2", now=clock)
    a, b = keys(2)
    first.give({a: vote(), b: vote()})
    async with first.running():
        async with second.running():
            await knowing(second, first)
        second.heard_of["ns1"]["stale"] = vote()
        async with second.running():
            await beats_of(second, "ns1", 2)
            assert "stale" in second.heard_of["ns1"]
        later = FORGET_AFTER + 1
        async with second.running():
            await knowing(second, first)


def slow_clock() -> Instant:
    at = now()
    return at._replace(mono=at.mono * 0.8)


async def test_two_daemons_of_one_name_do_not_flood_the_others(settings: MysqlSettings) -> None:
    """While they take turns nobody reads their votes again and again; later one has lasted."""
    reader = Member(settings, "ns2", fresh=3)
    one = Member(settings, "ns1", "one", fresh=3)
    # Of two that write at the same pace, the same one might always be the last before a reading.
    two = Member(settings, "ns1", "two", fresh=3, now=slow_clock)
    a, b = keys(2)
    one.give({a: vote()})
    two.give({b: vote(DOWN)})
    async with reader.running(), one.running():
        await knowing(reader, one)
        async with two.running():
            await until(lambda: reader.seen["ns1"].instance == "two", within=WITHIN)
            told = reader.told
            for _ in range(4):
                last = reader.seen["ns1"].instance
                await until(
                    lambda last=last: reader.seen["ns1"].instance != last,  # type: ignore[misc]
                    within=WITHIN,
                )
            assert reader.told <= told + 1
        one.give({b: vote(UP, "again")})
        await knowing(reader, one)
        await until(lambda: reader.seen["ns1"].abstains == "", within=WITHIN)
        assert (reader.runs["ns1"], reader.seen["ns1"].instance) == ("one", "one")


async def test_a_node_that_does_not_vote_only_reads() -> None:
    async with server() as rig:
        daemon = await prepared(rig)
        await rig.query("ALTER USER 'dnslb_reader'@'%' IDENTIFIED BY 'secret'")
        reader = daemon.model_copy(update={"user": "dnslb_reader"})
        prober, follower = Member(daemon, "ns1"), Member(reader, "edge1", votes=False)
        prober.give({keys(1)[0]: vote()})
        follower.give({keys(1)[0]: vote(DOWN)})
        async with prober.running(), follower.running():
            await knowing(follower, prober)
            await beats_of(follower, "ns1", 3)
            assert follower.exchange.status.last_error == ""
            assert follower.seen.keys() == {"ns1"}


async def test_a_reload_moves_the_exchange(settings: MysqlSettings, mariadb: MariaDB) -> None:
    await mariadb.query(f"CREATE DATABASE {settings.name}_b")
    elsewhere = settings.model_copy(update={"database": f"{settings.name}_b"})
    await apply(elsewhere)
    first, second = Member(settings, "ns1"), Member(elsewhere, "ns2")
    first.give({key: vote() for key in keys(3)})
    async with first.running(), second.running():
        await until(lambda: "ns1" in first.seen, within=WITHIN)
        first.exchange.reconfigure(replace(first.settings, mysql=elsewhere))
        await knowing(second, first)


# -- how much at once ---------------------------------------------------------------------------


async def test_ten_thousand_votes_in_slices(settings: MysqlSettings) -> None:
    """Giving and taking; nothing else waits for long."""
    gc.freeze()  # the collector would look at all that pytest has imported
    first, second = Member(settings, "ns1"), Member(settings, "ns2")
    votes = [{key: vote(says) for key in keys(10_000)} for says in (UP, DOWN)]
    longest = 0.0

    async def measure() -> None:
        nonlocal longest
        while True:
            before = thread_time()
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop is what is measured
            longest = max(longest, thread_time() - before)

    async with first.running(), second.running():
        await until(lambda: "ns1" in second.seen, within=WITHIN)
        measuring = asyncio.create_task(measure())
        for times, given in enumerate(votes, 1):
            first.give(given)
            done = times * len(given)
            await until(lambda done=done: second.seen["ns1"].seq >= done, within=2 * WITHIN)  # type: ignore[misc]
        measuring.cancel()
        assert second.knows(first)
    gc.unfreeze()
    assert longest < 0.05
    assert len(given) > 3 * BATCH_VOTES


# -- what goes wrong ----------------------------------------------------------------------------


async def test_an_outage_is_logged_once_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with server() as rig:
        daemon = await prepared(rig)
        first, second = Member(daemon, "ns1"), Member(daemon, "ns2")
        a, b, c = keys(3)
        first.give({a: vote(), b: vote()})
        caplog.set_level("INFO")
        async with first.running(), second.running():
            await knowing(second, first)
            await rig.kill()
            first.give({a: vote(DOWN), b: None, c: vote()})
            await until(lambda: not first.exchange.status.is_connected, within=WITHIN)
            await until(lambda: not second.exchange.status.is_connected, within=WITHIN)
            assert "MariaDB at 127.0.0.1" in first.exchange.status.last_error
            await until(lambda: first.exchange.status.age > 1.5, within=WITHIN)
            await rig.start()
            await knowing(second, first)
            await until(lambda: first.exchange.status.is_connected, within=WITHIN)
            await until(lambda: second.exchange.status.is_connected, within=WITHIN)
            assert first.exchange.status.last_error == ""
    lines = [record.getMessage() for record in caplog.records if "votes: " in record.message]
    assert len([line for line in lines if "not exchanged: " in line]) == 2
    assert len([line for line in lines if line.endswith("again")]) == 2


async def test_a_server_that_stands_still_is_left_for_the_next() -> None:
    async with MariaDB() as frozen, MariaDB() as spare:
        sockets = [str(rig.socket) for rig in (frozen, spare)]
        for rig, socket in zip((frozen, spare), sockets, strict=True):
            await rig.query("CREATE DATABASE mirror")
            await apply(MysqlSettings(unix_socket=socket, user="root", database="mirror"))
        both = MysqlSettings.model_validate(
            {"unix_socket": sockets, "user": "root", "database": "mirror"}
        )
        only = MysqlSettings(unix_socket=sockets[1], user="root", database="mirror")
        first, second = Member(both, "ns1", fresh=3), Member(only, "ns2", fresh=3)
        first.give({key: vote() for key in keys(3)})
        async with first.running(), second.running():
            await until(lambda: "ns1" in first.seen, within=WITHIN)
            frozen.pause()
            try:
                await knowing(second, first)
                await until(lambda: second.seen["ns1"].abstains == "", within=WITHIN)
            finally:
                frozen.resume()


async def test_rows_of_no_use_affect_no_others(
    settings: MysqlSettings, mariadb: MariaDB, caplog: pytest.LogCaptureFixture
) -> None:
    reader, good = Member(settings, "ns2"), Member(settings, "ns1")
    a, b, c, d = keys(4)
    good.give({a: vote(), b: vote(), c: vote()})

    async def ask(sql: str) -> None:
        await mariadb.query(sql, database=settings.name)

    for node, protocol in (("bad\\nname", 1), ("newer", PROTOCOL + 1)):
        await ask(
            f"INSERT INTO lb_voter VALUES ('{node}', 'i', 's', 1, 1, '', 'b', {protocol}, NOW())"
        )
        await ask(
            f"INSERT INTO lb_vote VALUES ('{node}', '{d}', 1, '', '', 'UP', 0, '', 1, 1, NOW())"
        )
    async with good.running():
        async with reader.running():
            await knowing(reader, good)
        await ask(f"UPDATE lb_vote SET says = 'MAYBE' WHERE node = 'ns1' AND row_key = '{b}'")
        await ask(f"UPDATE lb_vote SET weight = -5 WHERE node = 'ns1' AND row_key = '{c}'")
        fresh = Member(settings, "ns3")
        async with fresh.running():
            await until(lambda: fresh.heard_of.get("ns1"), within=WITHIN)
            await beats_of(fresh, "ns1", 2)
        assert fresh.heard_of["ns1"].keys() == {a}
        assert "newer" not in fresh.heard_of
        assert fresh.seen.keys() >= {"ns1", "newer"}
        assert not any("bad" in node for node in fresh.seen)
    assert "says neither UP nor DOWN" in caplog.text
    assert caplog.text.count("votes of newer are not read") == 3
