"""Every fault of a database: the mirror converges afterwards, and nothing waits for it."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic, thread_time

import aiomysql
import pytest
from pydantic import SecretStr

from dnslb_backend.core.health.results import failed
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.errors import RetryableError, StoreError
from dnslb_backend.store.database.interface import Select
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.mariadb_connection import MariaConnection
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.schema import show, split
from dnslb_backend.store.database.tables import STATE, TRANSITION
from dnslb_backend.store.mirror.mirror import BATCH_CHANGES
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.mariadb_impostor import END, Answer, Impostor, error, packet, serving, table
from tests.rigs.ports import free_port
from tests.rigs.waiting import passes, until
from tests.store.database.test_schema import ORIGINAL
from tests.store.farm import FAIL, PASS, Farm, farm_record, many_records, stored_state
from tests.store.mirror.test_mirror import Scene, running

REFRESH = 1.0

USERS = [
    *split(show(users=True).replace("REQUIRE SSL", "")),
    "ALTER USER 'dnslb'@'%' IDENTIFIED BY 'secret'",
]


@asynccontextmanager
async def server(*options: str) -> AsyncIterator[MariaDB]:
    """One for a single test, since the test will harm it."""
    async with MariaDB(tcp=True, options=options) as found:
        yield found


async def prepared(rig: MariaDB) -> MysqlSettings:
    """A database with the schema, and the daemon's user."""
    await rig.query("CREATE DATABASE mirror")
    await apply(MysqlSettings(unix_socket=str(rig.socket), user="root", database="mirror"))
    async with rig.connection("mirror") as connection, connection.cursor() as cursor:
        for statement in USERS:
            await cursor.execute(statement)
    return login(rig)


def login(rig: MariaDB, password: str = "secret") -> MysqlSettings:
    return MysqlSettings(
        host="127.0.0.1",
        port=rig.port or 0,
        user="dnslb",
        password=SecretStr(password),
        database="mirror",
        connect_timeout=2,
    )


def busy_farm() -> Farm:
    farm = Farm(*many_records(40, 3))
    farm.check_all()
    return farm


class Flips:
    """One member of each record goes down, comes back, and so on."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.down: set[int] = set()
        self.count = 0

    def flip(self, number: int) -> None:
        result = PASS if number in self.down else FAIL
        self.down ^= {number}
        self.scene.farm.check(f"n{number:05}", result, f"10.0.{number}.1")
        self.scene.record_changes()
        self.count += 1

    async def storm(self, count: int) -> None:
        """So many flips, a turn of the event loop each, as results come in."""
        for _ in range(count):
            self.flip(self.count % 40)
            await passes(0)


async def transition_count(store: MariaStore) -> int:
    ((count,),) = await store.read(Select(TRANSITION, ("COUNT(*)",)))
    return int(count or 0)


@asynccontextmanager
async def mirrored(
    settings: MysqlSettings, farm: Farm, **more: object
) -> AsyncIterator[tuple[Scene, MariaStore]]:
    """A mirror at work, and another connection to look at what it wrote."""
    scene = Scene(MariaStore(settings), farm, refresh=REFRESH, **more)  # type: ignore[arg-type]
    looking = MariaStore(settings)
    try:
        async with running(scene), unhurried():
            yield scene, looking
    finally:
        await looking.close()
        await scene.store.close()


@asynccontextmanager
async def unhurried() -> AsyncIterator[None]:
    """Whatever happens meanwhile, the event loop goes on: nobody else is kept waiting.

    What counts is our own work between two turns, not how busy the machine is; calls that wait
    are found by the guard in tests/conftest.py.
    """
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = thread_time()
            await asyncio.sleep(0.01)  # noqa: TID251 - this measures what happens meanwhile
            longest = max(longest, thread_time() - began)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert longest < 0.5, f"the loop was held for {longest:.2f} s"


async def like(looking: MariaStore, scene: Scene) -> bool:
    """Whether the store tells the truth; while it cannot be asked, it does not."""
    try:
        return await stored_state(looking) == scene.farm.state_rows()
    except StoreError:
        return False


async def converges(looking: MariaStore, scene: Scene, within: float = 30.0) -> None:
    await until(lambda: like(looking, scene), within=within, what="the mirror to tell the truth")


async def fails(scene: Scene, text: str) -> None:
    """Wait until the mirror has met the fault."""
    await until(lambda: text in scene.mirror.status.last_error, what=text)
    assert scene.mirror.status.errors


# -- at the start -------------------------------------------------------------------------


async def test_a_database_that_comes_later(caplog: pytest.LogCaptureFixture) -> None:
    async with server() as rig:
        settings = await prepared(rig)
        await rig.stop()
        async with mirrored(settings, busy_farm()) as (scene, looking):
            flips = Flips(scene)
            await fails(scene, "Connection refused")
            await flips.storm(1800)
            await until(lambda: scene.mirror.status.errors > 2)
            assert scene.mirror.status.history > BATCH_CHANGES
            await rig.start()
            await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))
    assert caplog.text.count("Connection refused") == 1


async def has_all_transitions(looking: MariaStore, scene: Scene) -> bool:
    figures = scene.mirror.status
    return not figures.history and await transition_count(looking) == scene.outboxes.counts[0]


async def test_a_port_that_speaks_something_else() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 20)
        await writer.drain()
        writer.close()

    port = free_port()
    listener = await asyncio.start_server(babble, "127.0.0.1", port)
    settings = MysqlSettings(host="127.0.0.1", port=port, user="dnslb", connect_timeout=1)
    async with listener, mirrored(settings, busy_farm()) as (scene, _):
        await until(lambda: scene.mirror.status.errors > 2)


async def test_a_listener_that_never_answers() -> None:
    async def sulk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    listener = await asyncio.start_server(sulk, "127.0.0.1", port)
    settings = MysqlSettings(host="127.0.0.1", port=port, user="dnslb", connect_timeout=0.3)
    async with listener, mirrored(settings, busy_farm()) as (scene, _):
        await fails(scene, "did not answer in time")


LIMIT_KNOWN: dict[str, Answer] = {"SELECT @@": table("x", rows=((b"16777216",),))}
SCHEMA_KNOWN: dict[str, Answer] = {
    **LIMIT_KNOWN,
    "SELECT MAX(version)": table("x", rows=((b"2",),), type=8),
}
OTHERS: dict[str, Answer] = {
    "nothing": [b""],
    "an error without text": [error(1064)],
    "a wish for a file": [b"\xfb/etc/passwd"],
    "no rows": table("x"),
    "too many rows": table("x", rows=((b"2",), (b"3",))),
    "rows without columns": [*table("x")[:3], END],
    "other columns": table("x", "y", "z", rows=((b"1", b"2", b"3"),)),
    "text for numbers": table("x", rows=((b"two",),)),
    "no numbers": table("x", rows=((b"two",),), type=8),
    "no text": [*table("x")[:3], b"\4\xff\xfe\xfd\xfc", END],
    "a connection that ends": None,
}


@pytest.mark.parametrize("garbage", OTHERS)
async def test_a_server_that_answers_with_nonsense_is_told_once(
    garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At every step: nothing is restored from it, and it is asked less and less often."""
    steps: list[tuple[str, dict[str, Answer]]] = [
        ("SET NAMES", {}),
        ("SELECT @@", {}),
        ("SELECT MAX(version)", LIMIT_KNOWN),
        ("SELECT `instance`", SCHEMA_KNOWN),
        ("START", SCHEMA_KNOWN),
    ]
    for step, before in steps:
        caplog.clear()
        answers = {**before, step: OTHERS[garbage]}
        async with serving(Impostor(answers=answers)) as impostor:
            settings = MysqlSettings(host="127.0.0.1", port=impostor.port, user="dnslb")
            async with mirrored(settings, busy_farm()) as (scene, looking):
                await until(lambda: scene.mirror.status.errors > 1 or scene.mirror.status.rows)
                with suppress(StoreError):
                    assert await looking.read(Select(STATE, STATE.columns)) == []
                assert impostor.connections < 20
        assert not [record for record in caplog.records if record.exc_info]
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(errors) <= 2, caplog.text


async def test_an_answer_without_end_is_not_kept() -> None:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(packet(n, c) for n, c in enumerate(table("x")[:3], 1)))
        for number in itertools.count(4):
            writer.write(packet(number, b"\xfd\xfc\xff\xf0" + b"x" * 0xF0FFFC))
            await writer.drain()

    answers: dict[str, Answer] = {**LIMIT_KNOWN, "SELECT x": play}
    async with serving(Impostor(answers=answers)) as impostor:
        settings = MysqlSettings(host="127.0.0.1", port=impostor.port, user="dnslb")
        connection = await MariaConnection.open(settings)
        with pytest.raises(StoreError, match="longer than 134217728 bytes"):
            async for _ in connection.rows("SELECT x"):
                pass
        connection.abort()


async def test_a_wrong_password() -> None:
    async with server() as rig:
        await prepared(rig)
        async with mirrored(login(rig, "wrong"), busy_farm()) as (scene, _):
            await fails(scene, "Access denied")
            assert "wrong" not in scene.mirror.status.last_error
            await rig.query("ALTER USER 'dnslb'@'%' IDENTIFIED BY 'wrong'")
            async with looking_at(login(rig, "wrong")) as looking:
                await converges(looking, scene)


@asynccontextmanager
async def looking_at(settings: MysqlSettings) -> AsyncIterator[MariaStore]:
    store = MariaStore(settings)
    try:
        yield store
    finally:
        await store.close()


async def test_missing_tables() -> None:
    async with server() as rig:
        await rig.query("CREATE DATABASE mirror")
        root = MysqlSettings(unix_socket=str(rig.socket), user="root", database="mirror")
        async with mirrored(root, busy_farm()) as (scene, looking):
            await fails(scene, "schema apply")
            await apply(root)
            await converges(looking, scene)
            await rig.query("DROP TABLE lb_host, lb_state", database="mirror")
            await fails(scene, "lb_")
            await rig.query("DROP TABLE lb_schema_version", database="mirror")
            await apply(root)
            await converges(looking, scene)


async def test_a_schema_of_the_future_is_not_written_to() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        await rig.query("INSERT INTO lb_schema_version VALUES (99, NOW(), NULL)", database="mirror")
        async with mirrored(settings, busy_farm()) as (scene, _):
            await fails(scene, "version 99")
            assert await rig.query("SELECT * FROM lb_node", database="mirror") == []


async def test_of_several_servers_the_first_that_can_be_used() -> None:
    """At every connect in the order of the list; a server without our tables cannot be used."""
    async with server() as first, server() as second:
        await prepared(second)
        listed = ["/nonexistent/socket", str(first.socket), str(second.socket)]
        settings = MysqlSettings.model_validate(
            {"unix_socket": listed, "user": "root", "database": "mirror"}
        )
        await first.query("CREATE DATABASE mirror")
        async with looking_at(settings) as store:
            assert await store.read(Select(STATE, ("name",))) == []
            await apply(settings)
            await second.kill()
            with pytest.raises(StoreError, match=f"MariaDB at {second.socket}"):
                await store.read(Select(STATE, ("name",)))
            assert await store.read(Select(STATE, ("name",))) == []
            await first.kill()
            with pytest.raises(StoreError, match=f"MariaDB at {first.socket}"):
                await store.read(Select(STATE, ("name",)))
            with pytest.raises(StoreError) as raised:
                await store.read(Select(STATE, ("name",)))
    assert str(raised.value).count("MariaDB at ") == 3
    assert all(f"MariaDB at {socket}: " in str(raised.value) for socket in listed)


# -- at work ------------------------------------------------------------------------------


async def test_a_server_that_only_lets_us_read() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            flips = Flips(scene)
            await converges(looking, scene)
            await rig.query("SET GLOBAL read_only = 1")
            for number in range(10):
                flips.flip(number)
            await fails(scene, "read-only")
            await rig.query("SET GLOBAL read_only = 0")
            await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))


async def test_a_server_that_is_killed_under_load() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            flips = Flips(scene)
            await converges(looking, scene)
            for _ in range(3):
                for number in range(40):
                    flips.flip(number)
                    if number == 20:
                        await until(lambda: not scene.mirror.status.history)
                await rig.kill()
                for number in range(40):
                    flips.flip(number)
                await rig.start()
                await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))


@pytest.mark.parametrize(
    "seconds", [1.0, pytest.param(30.0, marks=[pytest.mark.soak, pytest.mark.timeout(120)])]
)
async def test_a_server_that_stands_still(seconds: float) -> None:
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            flips = Flips(scene)
            await converges(looking, scene)
            rig.pause()
            frozen = monotonic()
            while monotonic() - frozen < seconds:
                flips.flip(flips.count % 40)
                await asyncio.sleep(0.02)  # noqa: TID251 - load over the whole time
            rig.resume()
            await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))


async def test_a_disk_that_is_full() -> None:
    """All tables share one file that may not grow, and somebody else's fill it up."""
    small = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:16M"]
    async with server(*small) as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            await converges(looking, scene)
            # Of rows that fit into a page: over longer ones MariaDB 10.11 itself may fall.
            await rig.query("CREATE TABLE filler (x VARBINARY(7000))", database="mirror")
            for size in (7000, 500):
                with pytest.raises(aiomysql.OperationalError, match="full"):
                    await fill(rig, size)
            flips = Flips(scene)
            while "is full" not in scene.mirror.status.last_error:
                flips.flip(flips.count % 40)
                await asyncio.sleep(0.001)  # noqa: TID251 - load until it is too much
            # Dropping a table takes a little room as well, so the disk is made larger instead.
            rig.options[-1] += ":autoextend"
            await rig.restart()
            await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))


async def fill(rig: MariaDB, size: int) -> None:
    """Rows of this size, for as long as there is room."""
    async with rig.connection("mirror") as connection, connection.cursor() as cursor:
        for _ in range(10_000):
            await cursor.execute(f"INSERT INTO filler VALUES (REPEAT('x', {size}))")


async def test_a_row_that_somebody_holds() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            await converges(looking, scene)
            async with rig.connection("mirror") as connection, connection.cursor() as cursor:
                await cursor.execute("BEGIN")
                await cursor.execute("SELECT * FROM lb_state FOR UPDATE")
                Flips(scene).flip(3)
                await fails(scene, "Lock wait timeout")
            await converges(looking, scene)
            assert scene.mirror.status.is_connected


async def test_a_deadlock_is_told_from_other_errors(settings: MysqlSettings) -> None:
    first, second = [await MariaConnection.open(settings) for _ in range(2)]
    await first.run("CREATE TABLE t (id INT PRIMARY KEY, x INT) ENGINE=InnoDB")
    await first.run("INSERT INTO t VALUES (1, 0), (2, 0)")

    async def both(mine: MariaConnection, one: int, other: int, go: asyncio.Barrier) -> None:
        async with mine.transaction():
            await mine.run(f"UPDATE t SET x = x + 1 WHERE id = {one}")
            await go.wait()
            await mine.run(f"UPDATE t SET x = x + 1 WHERE id = {other}")

    barrier = asyncio.Barrier(2)
    outcomes = await asyncio.gather(
        both(first, 1, 2, barrier), both(second, 2, 1, barrier), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome] == [RetryableError]
    for connection in (first, second):
        assert [row async for row in connection.rows("SELECT x FROM t")] == [(1,), (1,)]
        await connection.close()


async def test_a_connection_that_was_closed_for_idleness() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        await rig.query("SET GLOBAL wait_timeout = 1")
        farm = Farm(farm_record("www", "192.0.2.1", "192.0.2.2", interval=60))
        farm.check_all()
        scene = Scene(MariaStore(settings), farm, refresh=3)
        async with running(scene), looking_at(settings) as looking:
            await converges(looking, scene)
            await until(lambda: scene.mirror.status.errors, within=8)
            farm.check("www", FAIL, "192.0.2.1")
            scene.record_changes()
            await converges(looking, scene)
        await scene.store.close()


async def test_the_connection_is_ended_by_an_administrator() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            await converges(looking, scene)
            await rig.kill_connections("USER = %s", "dnslb")
            Flips(scene).flip(2)
            await until(lambda: scene.mirror.status.errors)
            await converges(looking, scene)


async def test_rows_that_are_gone_after_an_outage_are_written_anew() -> None:
    """As after a backup was put back: not only what changed meanwhile."""
    async with server() as rig:
        settings = await prepared(rig)
        farm = Farm(*(farm_record(f"n{n:05}", f"10.0.{n}.1", interval=1000) for n in range(9)))
        farm.check_all()
        scene = Scene(MariaStore(settings), farm, refresh=1000)
        async with running(scene), looking_at(settings) as looking:
            await converges(looking, scene)
            await until(lambda: not scene.mirror.status.backlog)
            await rig.query("DELETE FROM lb_state", database="mirror")
            await rig.kill()
            await rig.start()
            Flips(scene).flip(2)
            await converges(looking, scene)
        await scene.store.close()


async def test_the_originals_live_schema_in_the_same_database() -> None:
    async with server() as rig:
        await rig.query("CREATE DATABASE mirror")
        for statement in ORIGINAL:
            await rig.query(statement, database="mirror")
        root = MysqlSettings(unix_socket=str(rig.socket), user="root", database="mirror")
        await apply(root)
        async with mirrored(root, busy_farm()) as (scene, looking):
            await converges(looking, scene)
        rows = await rig.query("SELECT name, content FROM records", database="mirror")
        assert rows == [{"name": "www.lb.example", "content": "192.0.2.1"}]


async def test_names_and_reasons_of_every_kind(settings: MysqlSettings) -> None:
    labels = ["it\\'s", '\\"x\\"', "a\\;b", "\\240\\237\\152\\200", "x" * 63]
    longest = ".".join(["y" * 63, "y" * 63, "y" * 63, "y" * 51])
    static = [ZoneRow(f"{label}.lb.example", "TXT", '"\U0001f600"', 5) for label in labels]
    farm = Farm(
        farm_record(longest, "192.0.2.1"),
        farm_record("quotes", 'it\'s "quoted" \\ \U0001f600', "\u00e9" * 127),
        static=static,
    )
    for name, text in ((longest, "\U0001f4a5" * 200), ("quotes", "'; DROP TABLE lb_state; --\n")):
        farm.check(name, failed(-2, text))
    async with mirrored(settings, farm) as (scene, looking):
        await converges(looking, scene)
        await until(lambda: not scene.outboxes)
        assert not scene.mirror.status.refused


# -- how much is too much -----------------------------------------------------------------


async def test_an_outage_without_end_costs_a_bounded_memory() -> None:
    settings = MysqlSettings(unix_socket="/nonexistent/socket", user="root")
    async with mirrored(settings, busy_farm(), bound=500) as (scene, _):
        flips = Flips(scene)
        await flips.storm(2000)
        figures = scene.mirror.status
        assert figures.history == sum(min(count, 500) for count in scene.outboxes.counts)
        assert figures.dropped > 1000
        assert figures.backlog <= 40 + 3


async def test_what_was_given_up_is_counted_and_the_rest_arrives() -> None:
    async with server() as rig:
        settings = await prepared(rig)
        await rig.stop()
        async with mirrored(settings, busy_farm(), bound=100) as (
            scene,
            looking,
        ):
            flips = Flips(scene)
            await flips.storm(400)
            await rig.start()
            await converges(looking, scene)
            await until(lambda: not scene.outboxes)
            assert await transition_count(looking) == 100
            assert scene.mirror.status.dropped == scene.outboxes.counts[0] - 100


async def test_an_end_by_signal_leaves_no_half_transaction() -> None:
    """A server that is terminated while transactions run: each is stored whole or not at all."""
    async with server() as rig:
        settings = await prepared(rig)
        async with mirrored(settings, busy_farm()) as (scene, looking):
            flips = Flips(scene)
            await converges(looking, scene)
            for number in range(40):
                flips.flip(number)
            rig.signal(signal.SIGTERM)
            await rig.wait()
            await rig.start()
            await converges(looking, scene)
            await until(lambda: has_all_transitions(looking, scene))
