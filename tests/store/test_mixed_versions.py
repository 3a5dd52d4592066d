"""Nodes of this version beside newer ones: a database and a file that a later migration changed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from dnslb_backend import metrics
from dnslb_backend.core.answers.dnssec import Metadata
from dnslb_backend.errors import SchemaError
from dnslb_backend.store.database.interface import Select, Upsert
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.schema import VERSION, Script, load_scripts
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.tables import METADATA, OVERRIDE
from dnslb_backend.store.replica.replica import SharedStatus
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.shared.dnssec import DnssecEntry, DnssecTable
from dnslb_backend.store.shared.overrides import OverrideEntry
from dnslb_backend.store.shared.replicated_table import TableSync
from tests.core.building import ZONE, at
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.store.shared.test_overrides import override
from tests.store.test_persistence import A, B, Node, alive, drain, three

NEWER = VERSION + 1

LATER = f"""
ALTER TABLE lb_override
  ADD COLUMN IF NOT EXISTS share INT NOT NULL DEFAULT 100;
ALTER TABLE lb_state
  ADD COLUMN IF NOT EXISTS colour VARCHAR(16) NOT NULL DEFAULT 'blue';
CREATE TABLE IF NOT EXISTS lb_colour (colour VARCHAR(16) NOT NULL) COMMENT='dnslb-backend';
INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES ({NEWER}, UTC_TIMESTAMP(), {VERSION});
"""
"""A migration of the next version, which this version can live with."""


SCRIPTS = sorted(
    [*load_scripts(), Script(NEWER, Path("0099_later.sql"), LATER)],
    key=lambda script: script.number,
)


async def migrate(settings: MysqlSettings) -> None:
    assert "applied 0099_later.sql" in await apply(settings, scripts=SCRIPTS, version=NEWER)


@pytest.fixture
async def later(settings: MysqlSettings) -> MysqlSettings:
    await migrate(settings)
    return settings


@asynccontextmanager
async def two_nodes(folder: Path, settings: MysqlSettings) -> AsyncIterator[tuple[Node, Node]]:
    async with AsyncExitStack() as stack:
        nodes = [Node(folder / name, settings, *three(), name=name) for name in ("ns1", "ns2")]
        for node in nodes:
            await stack.enter_async_context(alive(node))
            node.check("www", good=[A, B])
        yield nodes[0], nodes[1]


async def insert(mariadb: MariaDB, settings: MysqlSettings, **columns: object) -> None:
    """An override as a newer program writes it."""
    row: dict[str, object] = {"id": "9" * 32, "target": B, "author": "ann"}
    row |= dict.fromkeys(("node", "zone", "name", "reason", "cleared_by"), "")
    row |= columns
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    await mariadb.query(
        f"INSERT INTO lb_override ({names}, created) VALUES ({marks}, UTC_TIMESTAMP(3))",
        list(row.values()),
        database=settings.name,
    )


def metric(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def shared(node: Node) -> SharedStatus:
    (status,) = [s for s in node.persistence.stats.shared if s.store == "mariadb"]
    return status


# -- the schema --------------------------------------------------------------------------


async def test_overrides_are_exchanged_after_a_newer_program_has_changed_the_tables(
    tmp_path: Path, later: MysqlSettings, mariadb: MariaDB, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_nodes(tmp_path, later) as (first, second):
        await first.persistence.override(drain(A))
        await until(lambda: second.farm.served("www") == {B})
        await insert(mariadb, later, action="drain", share=7, min_version=VERSION)
        await until(lambda: first.farm.served("www") == second.farm.served("www") == set())
        await second.persistence.clear(B)
        await until(lambda: first.farm.served("www") == {B})
        assert shared(first) == SharedStatus("mariadb", NEWER, ())
    (row,) = await mariadb.query(
        "SELECT share, cleared IS NOT NULL AS c FROM lb_override WHERE target = %s",
        [B],
        database=later.name,
    )
    assert (row["share"], row["c"]) == (7, 1)
    rows = await mariadb.query("SELECT DISTINCT colour FROM lb_state", database=later.name)
    assert rows == [{"colour": "blue"}]
    assert f"the schema is version {NEWER}, this program knows {VERSION}" in caplog.text


async def test_a_daemon_goes_on_when_the_schema_becomes_newer_and_its_connections_break(
    tmp_path: Path, settings: MysqlSettings, mariadb: MariaDB
) -> None:
    async with two_nodes(tmp_path, settings) as (first, second):
        assert shared(second).newer_schema is None
        await migrate(settings)
        await mariadb.kill_connections("DB = %s", settings.name)
        await first.persistence.override(drain(A))
        await until(lambda: second.farm.served("www") == {B})
        await until(lambda: shared(second).newer_schema == NEWER)
        await until(lambda: metric("dnslb_newer_schema", store="mariadb") == NEWER)


@pytest.mark.parametrize("min_version", ["NULL", NEWER])
async def test_a_schema_for_newer_programs_only_is_refused_and_reported(
    settings: MysqlSettings, mariadb: MariaDB, min_version: object
) -> None:
    await mariadb.query(
        f"INSERT INTO lb_schema_version VALUES ({NEWER}, NOW(), {min_version})",
        database=settings.name,
    )
    store = MariaStore(settings)
    with pytest.raises(SchemaError, match=f"the schema is version {NEWER}, this program knows"):
        await store.open()
    assert store.newer_schema == NEWER
    await store.close()


async def test_the_oldest_program_of_all_newer_versions_counts(
    settings: MysqlSettings, mariadb: MariaDB
) -> None:
    """The second migration is harmless to this program, the first was not."""
    for version, oldest in ((NEWER, NEWER), (NEWER + 1, VERSION)):
        await mariadb.query(
            f"INSERT INTO lb_schema_version VALUES ({version}, NOW(), {oldest})",
            database=settings.name,
        )
    store = MariaStore(settings)
    with pytest.raises(SchemaError):
        await store.open()
    await store.close()


@pytest.mark.parametrize(("oldest", "is_kept"), [(VERSION, True), (NEWER, False)])
async def test_a_local_file_of_a_newer_schema_is_used_if_it_allows_that(
    tmp_path: Path, oldest: int, is_kept: bool
) -> None:
    path = tmp_path / "state.sqlite"
    first = SqliteStore(path)
    await first.write([Upsert(OVERRIDE, [OverrideEntry(override("1")).row()])])
    await first.close()
    await asyncio.to_thread(age, path, oldest)
    second = SqliteStore(path)
    await second.write([Upsert(OVERRIDE, [OverrideEntry(override("2")).row()])])
    assert await second.read(Select(OVERRIDE, ("id",), order="id")) == [("1",), ("2",)]
    assert second.newer_schema == (NEWER if is_kept else None)
    await second.close()
    assert path.with_name("state.sqlite.aside").exists() is not is_kept


def age(path: Path, oldest: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("ALTER TABLE lb_override ADD COLUMN share INTEGER NOT NULL DEFAULT 100")
        database.execute("INSERT INTO lb_schema_version VALUES (?, '2030', ?)", (NEWER, oldest))


async def test_overrides_of_a_damaged_file_of_an_older_schema_are_recovered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.sqlite"
    first = SqliteStore(path)
    await first.write([Upsert(OVERRIDE, [OverrideEntry(override("1")).row()])])
    await first.close()
    await asyncio.to_thread(make_old_and_damaged, path)
    second = SqliteStore(path)
    assert await second.read(Select(OVERRIDE, ("id", "min_version"))) == [("1", 1)]
    await second.close()


def make_old_and_damaged(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("ALTER TABLE lb_override DROP COLUMN min_version")
        database.execute("DELETE FROM lb_schema_version WHERE version = 3")
        database.execute("DROP TABLE lb_state")


# -- rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            {"action": "drain", "min_version": NEWER},
            f"drain {B}: needs a program for schema version {NEWER}, this one is for {VERSION}",
        ),
        ({"action": "ramp"}, f"ramp {B}: an action unknown here"),
    ],
)
async def test_an_override_that_needs_a_newer_program_is_left_alone_and_reported(
    tmp_path: Path,
    later: MysqlSettings,
    mariadb: MariaDB,
    caplog: pytest.LogCaptureFixture,
    columns: dict[str, object],
    reason: str,
) -> None:
    query = "SELECT * FROM lb_override WHERE id = %s"
    async with two_nodes(tmp_path, later) as (first, second):
        await insert(mariadb, later, **columns)
        before = await mariadb.query(query, ["9" * 32], database=later.name)
        await until(lambda: bool(shared(first).unsupported))
        (found,) = shared(first).unsupported
        assert (found.table, found.rows, found.example) == ("lb_override", 1, reason)
        rows = {"store": "mariadb", "table": "lb_override"}
        await until(lambda: metric("dnslb_unsupported_rows", **rows) == 1)
        # What this version knows goes on being exchanged.
        await first.persistence.override(drain(A))
        await until(lambda: second.farm.served("www") == {B})
        assert await mariadb.query(query, ["9" * 32], database=later.name) == before
    of_one = f"not in force on this node: {reason}"
    assert caplog.text.count(of_one) == 2  # once by each node


async def test_metadata_of_a_newer_program_is_not_overwritten(
    later: MysqlSettings, maria_store: MariaStore
) -> None:
    table = DnssecTable()
    sync = TableSync(table, maria_store)
    ours = DnssecEntry(Metadata(ZONE, "SOA-EDIT", ("INCEPTION-EPOCH",)), 5)
    table.merge([ours], at(9).wall)
    theirs = DnssecEntry(Metadata(ZONE, "SOA-EDIT", ("LATER",)), 7, min_version=NEWER)
    await maria_store.write([Upsert(METADATA, [theirs.row()])])
    await sync.sync(at(9).wall)
    await sync.sync(at(10).wall)
    assert table.metadata(ZONE) == {"SOA-EDIT": ("INCEPTION-EPOCH",)}
    assert await maria_store.read(Select(METADATA, METADATA.columns)) == [theirs.row()]
    (found,) = sync.unsupported.summary()
    assert (found.table, found.rows) == ("lb_metadata", 1)


async def test_a_row_that_is_gone_is_reported_no_longer(maria_store: MariaStore) -> None:
    table = DnssecTable()
    sync = TableSync(table, maria_store)
    entry = DnssecEntry(Metadata(ZONE, "SOA-EDIT", ("LATER",)), 7, min_version=NEWER)
    await maria_store.write([Upsert(METADATA, [entry.row()])])
    await sync.sync(at(9).wall)
    assert len(sync.unsupported.summary()) == 1
    entry = DnssecEntry(Metadata(ZONE, "SOA-EDIT", ("DEFAULT",)), 8)
    await maria_store.write([Upsert(METADATA, [entry.row()])])
    await sync.sync(at(10).wall)
    assert sync.unsupported.summary() == []
    assert table.metadata(ZONE) == {"SOA-EDIT": ("DEFAULT",)}
