"""The files of sql/, and what `schema apply` does with them."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
from pydantic import SecretStr

from dnslb_backend.errors import SchemaError, StoreError
from dnslb_backend.store.database.interface import Delete, Select, Upsert
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.schema import (
    FIRST_VIEW,
    VERSION,
    Script,
    load_scripts,
    show,
    split,
    sql_directory,
)
from dnslb_backend.store.database.tables import (
    DECISION,
    KEY,
    NODE,
    OVERRIDE,
    SCHEMA_VERSION,
    STATE,
    STATIC,
    TABLES,
    TRANSITION,
    TSIG,
    VOTE,
    VOTER,
)
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.mariadb_impostor import NUMBER, Answer, Impostor, serving
from tests.rigs.mariadb_impostor import table as result

POWERDNS_VIEWS = {
    *("comments", "cryptokeys", "domainmetadata", "domains"),
    *("records", "supermasters", "tsigkeys"),
}

# As the original program has it, with the two columns that it added to PowerDNS's own.
ORIGINAL = [
    """CREATE TABLE domains (
         id INT AUTO_INCREMENT, name VARCHAR(255) NOT NULL, master VARCHAR(128) DEFAULT NULL,
         last_check INT DEFAULT NULL, type VARCHAR(8) NOT NULL, notified_serial INT UNSIGNED,
         account VARCHAR(40), options VARCHAR(64000), catalog VARCHAR(255), PRIMARY KEY (id)
       ) Engine=InnoDB CHARACTER SET latin1""",
    """CREATE TABLE records (
         id BIGINT AUTO_INCREMENT, domain_id INT, name VARCHAR(255), type VARCHAR(10),
         content VARCHAR(64000), ttl INT, prio INT, disabled TINYINT(1) DEFAULT 0,
         ordername VARCHAR(255) BINARY, auth TINYINT(1) DEFAULT 1,
         last_lb_check INT, last_lb_check_result INT, PRIMARY KEY (id)
       ) Engine=InnoDB CHARACTER SET latin1""",
    "INSERT INTO domains (name, type) VALUES ('lb.example', 'NATIVE')",
    """INSERT INTO records (domain_id, name, type, content, ttl)
       VALUES (1, 'www.lb.example', 'A', '192.0.2.1', 5)""",
]


SCRIPTS = load_scripts()
LOCAL_SCRIPTS = load_scripts(sql_directory() / "sqlite")
TABLE_SCRIPTS = [script for script in SCRIPTS if script.number < FIRST_VIEW]
ALL_BUT_VERSION = [table.name for table in TABLES if table is not SCHEMA_VERSION]
USERS = split(show(users=True))


async def objects(server: MariaDB, database: str) -> dict[str, str]:
    rows = await server.query(
        "SELECT TABLE_NAME AS n, TABLE_TYPE AS t FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = %s",
        [database],
    )
    return {row["n"]: row["t"] for row in rows}


# -- the files ----------------------------------------------------------------------------


def test_this_program_knows_the_newest_schema() -> None:
    for scripts in (SCRIPTS, LOCAL_SCRIPTS):
        numbers = [script.number for script in scripts if script.number < FIRST_VIEW]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == VERSION


def test_no_file_names_a_database() -> None:
    for path in sql_directory().rglob("*.sql"):
        code = ";\n".join(split(path.read_text()))
        assert not re.search(r"\b(USE|DATABASE)\b", code), path
        assert not re.search(r"\b(FROM|JOIN|INTO|TABLE|VIEW) `?\w+`?\.`?\w+", code), path
        assert not re.search(r"\bGRANT [\w, ]+ ON `?\w+`?\.", code), path


def test_a_script_is_cut_into_its_statements() -> None:
    text = "-- a; b\nSELECT ';', `;` -- 'c\n FROM x - y;\n\nSELECT 'it''s \\'; --';\n--;"
    assert split(text) == ["SELECT ';', `;` \n FROM x - y", "SELECT 'it''s \\'; --'"]


def test_show_prints_what_would_be_run_and_the_users_apart() -> None:
    assert "CREATE TABLE IF NOT EXISTS lb_state" in show()
    assert "VIEW records" in show()
    assert "GRANT" not in show()
    assert "GRANT" in show(users=True)
    assert "CREATE TABLE" not in show(users=True)


async def test_both_stores_have_the_same_columns(mariadb: MariaDB, settings: MysqlSettings) -> None:
    local = sqlite3.connect(":memory:")
    for script in LOCAL_SCRIPTS:
        local.executescript(script.text)
    for name in [*(table.name for table in TABLES), "lb_status", "lb_votes", "lb_differences"]:
        here = [row[1] for row in local.execute(f"PRAGMA table_info({name})")]
        rows = await mariadb.query(f"SHOW COLUMNS FROM {name}", database=settings.name)
        assert here == [row["Field"] for row in rows]
    local.close()


# -- apply --------------------------------------------------------------------------------


async def test_everything_is_made_and_a_second_run_changes_nothing(
    mariadb: MariaDB, empty: MysqlSettings
) -> None:
    first = await apply(empty)
    count = len(TABLE_SCRIPTS)
    assert first[:count] == [f"applied {script.path.name}" for script in TABLE_SCRIPTS]
    made = await objects(mariadb, empty.name)
    assert {name for name, kind in made.items() if kind == "BASE TABLE"} == {
        table.name for table in TABLES
    }
    assert {name for name, kind in made.items() if kind == "VIEW"} == {
        *("lb_status", "lb_votes", "lb_differences"),
        *POWERDNS_VIEWS,
    }
    versions = await mariadb.query("SELECT * FROM lb_schema_version", database=empty.name)
    second = await apply(empty)
    assert second == first[count:]
    assert await objects(mariadb, empty.name) == made
    assert await mariadb.query("SELECT * FROM lb_schema_version", database=empty.name) == versions


async def test_two_at_once_do_it_once(empty: MysqlSettings) -> None:
    reports = await asyncio.gather(*(apply(empty) for _ in range(3)))
    assert sum("applied 0001_schema.sql" in report for report in reports) == 1


async def test_the_originals_live_schema_is_not_touched(
    mariadb: MariaDB, empty: MysqlSettings
) -> None:
    for statement in ORIGINAL:
        await mariadb.query(statement, database=empty.name)
    before = await mariadb.query("SHOW CREATE TABLE records", database=empty.name)
    report = await apply(empty)
    assert "another program has created domains, records" in report[-1]
    assert "--views-database" in report[-1]
    assert await mariadb.query("SHOW CREATE TABLE records", database=empty.name) == before
    assert await mariadb.query("SELECT content FROM records", database=empty.name) == [
        {"content": "192.0.2.1"}
    ]
    made = await objects(mariadb, empty.name)
    assert made["lb_status"] == "VIEW"
    assert not {"comments", "supermasters"} & made.keys()


async def test_the_views_can_go_to_another_database(mariadb: MariaDB, empty: MysqlSettings) -> None:
    for statement in ORIGINAL:
        await mariadb.query(statement, database=empty.name)
    elsewhere = f"{empty.name} `views"
    for _ in range(2):
        report = await apply(empty, views_database=elsewhere)
        assert report[-1].startswith("created the views domains, records")
        assert set(await objects(mariadb, elsewhere)) == POWERDNS_VIEWS
    await mariadb.query(
        "INSERT INTO lb_zone VALUES ('ns1', 'k', 's', 'lb.example', 7, 'soa', 60, 1)",
        database=empty.name,
    )
    await mariadb.query(
        "INSERT INTO lb_node VALUES ('ns1', 'i', '1', NOW(), NOW(), '', '', NOW(), 0, '', NULL)",
        database=empty.name,
    )
    assert await mariadb.query("SELECT id, name FROM domains", database=elsewhere) == [
        {"id": 7, "name": "lb.example"}
    ]


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        ("DROP TABLE lb_state", "created the table lb_state, which was missing"),
        (f"DROP TABLE {', '.join(ALL_BUT_VERSION)}", "created the table lb_tsig"),
        ("DROP TABLE lb_schema_version", "applied 0001_schema.sql"),
        ("DROP VIEW lb_status", "created the views lb_status, lb_votes, lb_differences"),
        ("DROP TABLE lb_vote", "created the table lb_vote, which was missing"),
        ("ALTER TABLE lb_state DROP COLUMN own, DROP COLUMN stale",
         "created own, stale of the table lb_state, which was missing"),
        ("DROP VIEW records", "created the views domains, records"),
        ("ALTER TABLE lb_state DROP COLUMN `override`, DROP KEY by_health, DROP COLUMN health",
         "created health, override, by_health of the table lb_state, which was missing"),
        ("ALTER TABLE lb_zone DROP PRIMARY KEY", "created PRIMARY of the table lb_zone"),
        ("ALTER TABLE lb_transition DROP KEY event", "created event of the table lb_transition"),
        ("ALTER TABLE lb_node DROP KEY heartbeat", "created heartbeat of the table lb_node"),
        ("ALTER TABLE lb_key DROP COLUMN min_version", "created min_version of the table lb_key"),
    ],
)  # fmt: skip
async def test_what_is_missing_is_created_again_and_nothing_else_is_touched(
    mariadb: MariaDB, settings: MysqlSettings, loss: str, found: str
) -> None:
    async def tables() -> dict[str, set[str]]:
        """The lines of what would make each table."""
        found = {}
        for name, kind in (await objects(mariadb, settings.name)).items():
            if kind == "BASE TABLE":
                (row,) = await mariadb.query(f"SHOW CREATE TABLE {name}", database=settings.name)
                found[name] = {line.strip(" ,") for line in row["Create Table"].splitlines()}
        return found

    added = "ALTER TABLE lb_host ADD COLUMN mine INT, ADD KEY mine (mine), DROP COLUMN last_text"
    await mariadb.query(added, database=settings.name)
    await mariadb.query("ALTER TABLE lb_host ADD COLUMN last_text INT", database=settings.name)
    before = await tables()
    await mariadb.query(loss, database=settings.name)
    assert await tables() != before or "VIEW" in loss
    report = await apply(settings)
    assert any(found in line for line in report), report
    if "lb_host" not in loss:
        assert await tables() == before
    again = await apply(settings)
    assert again == [line for line in report if "missing" not in line and "applied" not in line]


@pytest.mark.parametrize(
    "options",
    [
        ["--innodb-default-row-format=compact"],
        ["--character-set-server=latin1", "--skip-character-set-client-handshake"],
    ],
)
async def test_servers_with_other_defaults_are_no_matter(options: list[str]) -> None:
    async with MariaDB(options=options) as server:
        await server.query("CREATE DATABASE mirror")
        settings = MysqlSettings(unix_socket=str(server.socket), user="root", database="mirror")
        await apply(settings)
        store = MariaStore(settings)
        row = ("n", "k", "s", "lb.example", "www.lb.example", "TXT", "\u00e4 \u20ac", 5, 1)
        await store.write([Upsert(STATIC, [row])])
        assert await store.read(Select(STATIC, STATIC.columns)) == [row]
        await store.close()
        await server.query(
            "INSERT INTO lb_zone VALUES ('n', 'k', 's', 'lb.example', 7, 'soa', 60, 1)",
            database="mirror",
        )
        await server.query(
            "INSERT INTO lb_node VALUES ('n', 'i', '1', NOW(), NOW(), '', '', NOW(), 0, '', NULL)",
            database="mirror",
        )
        for query, found in (
            ("SELECT name AS x FROM records WHERE type = 'SOA'", "lb.example"),
            (
                "SELECT HEX(CONVERT(content USING utf8mb4)) AS x FROM records WHERE type = 'TXT'",
                "C3A420E282AC",
            ),
            ("SELECT name AS x FROM domains WHERE type = 'NATIVE'", "lb.example"),
        ):
            assert await server.query(query, database="mirror") == [{"x": found}]


@pytest.mark.parametrize(
    "names", ["utf8mb4 COLLATE utf8mb4_unicode_ci", "utf8mb4 COLLATE utf8mb4_bin", "latin1"]
)
async def test_powerdns_may_compare_texts_with_those_of_any_connection(
    mariadb: MariaDB, empty: MysqlSettings, names: str
) -> None:
    await apply(empty)
    columns = await mariadb.query(
        "SELECT TABLE_NAME AS t, COLUMN_NAME AS c FROM information_schema.COLUMNS"
        " JOIN information_schema.VIEWS USING (TABLE_SCHEMA, TABLE_NAME)"
        " WHERE TABLE_SCHEMA = %s AND TABLE_NAME NOT LIKE 'lb%%' AND COLLATION_NAME IS NOT NULL",
        [empty.name],
    )
    assert {"domains", "records", "domainmetadata", "cryptokeys"} < {row["t"] for row in columns}
    async with mariadb.connection(empty.name) as connection, connection.cursor() as cursor:
        await cursor.execute(f"SET NAMES {names}")
        for row in columns:
            await cursor.execute(f"SELECT 1 FROM {row['t']} WHERE {row['c']} = 'NATIVE'")


@pytest.mark.parametrize(
    "foreign",
    [
        "CREATE TABLE lb_state (x INT)",
        "CREATE TABLE lb_transition (x INT) COMMENT 'mine'",
        "CREATE VIEW lb_zone AS SELECT 1 AS x",
        "CREATE TABLE lb_schema_version (x INT)",
    ],
)
async def test_a_table_of_somebody_else_is_not_taken(
    mariadb: MariaDB, empty: MysqlSettings, foreign: str
) -> None:
    await mariadb.query(foreign, database=empty.name)
    before = await objects(mariadb, empty.name)
    with pytest.raises(SchemaError, match="not made by this program: lb_"):
        await apply(empty)
    assert await objects(mariadb, empty.name) == before


async def test_a_view_of_somebody_else_is_not_replaced(
    mariadb: MariaDB, empty: MysqlSettings
) -> None:
    for name in ("lb_status", "tsigkeys"):
        await mariadb.query(f"CREATE VIEW {name} AS SELECT 42 AS x", database=empty.name)
    report = await apply(empty)
    assert "another program has created lb_status" in report[-2]
    assert "another program has created tsigkeys" in report[-1]
    for name in ("lb_status", "tsigkeys"):
        assert await mariadb.query(f"SELECT * FROM {name}", database=empty.name) == [{"x": 42}]
    assert "records" not in await objects(mariadb, empty.name)


async def test_mysql_is_refused_before_anything_is_changed() -> None:
    answers: dict[str, Answer] = {
        "SELECT COUNT(*) FROM information_schema.COLLATIONS": result(
            "n", rows=((b"0",),), type=NUMBER
        ),
        "SELECT VERSION()": result("v", rows=((b"9.7.4",),)),
    }
    async with serving(Impostor(answers=answers)) as impostor:
        settings = MysqlSettings(host="127.0.0.1", port=impostor.port, user="root")
        with pytest.raises(SchemaError, match=r"no MariaDB of 10\.2 or newer but 9\.7\.4"):
            await apply(settings)
    changing = ("CREATE", "ALTER", "INSERT", "DROP")
    assert not [text for text in impostor.statements if text.startswith(changing)]


async def test_a_migration_is_applied_once_and_keeps_the_rows(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    await mariadb.query(
        "INSERT INTO lb_zone VALUES ('ns1', 'k', 's', 'lb.example', 7, 'soa', 60, 1)",
        database=settings.name,
    )
    text = "ALTER TABLE lb_zone ADD COLUMN extra INT NOT NULL DEFAULT 3;"
    later = Script(VERSION + 1, Path("0009_extra.sql"), text)
    scripts = sorted([*SCRIPTS, later], key=lambda script: script.number)
    assert "applied 0009_extra.sql" in await apply(settings, scripts=scripts, version=VERSION + 1)
    assert "applied 0009_extra.sql" not in await apply(
        settings, scripts=scripts, version=VERSION + 1
    )
    assert await mariadb.query("SELECT id, extra FROM lb_zone", database=settings.name) == [
        {"id": 7, "extra": 3}
    ]


async def test_a_schema_newer_than_this_program_is_left_alone(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    await mariadb.query(
        "INSERT INTO lb_schema_version VALUES (99, NOW(), NULL)", database=settings.name
    )
    with pytest.raises(SchemaError, match="version 99, this program knows"):
        await apply(settings)
    store = MariaStore(settings)
    with pytest.raises(SchemaError, match="version 99, this program knows"):
        await store.open()
    await store.close()


async def test_without_tables_the_store_says_what_to_do(empty: MysqlSettings) -> None:
    store = MariaStore(empty)
    with pytest.raises(SchemaError, match="dnslb-backend schema apply"):
        await store.open()
    await store.close()


# -- users --------------------------------------------------------------------------------


LOCAL = ("dnslb@localhost", "dnslb_reader@localhost", "pdns@localhost")
REMOTE = ("dnslb@'%'", "dnslb_reader@'%'")


@pytest.fixture
async def users(mariadb: MariaDB, settings: MysqlSettings) -> AsyncIterator[None]:
    """The users as they are shown, except that none has to come with TLS."""
    async with mariadb.connection(settings.name) as connection, connection.cursor() as cursor:
        for statement in USERS:
            await cursor.execute(statement.replace("REQUIRE SSL", ""))
    yield
    await mariadb.query(f"DROP USER {', '.join((*LOCAL, *REMOTE))}")


@pytest.mark.usefixtures("users")
async def test_nobody_can_log_in_by_password_where_none_was_set(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    by_tcp = {"unix_socket": None, "host": "127.0.0.1", "port": mariadb.port}
    for user, password, place in product(
        ("dnslb", "dnslb_reader"), ("", "PASSWORD", "invalid", "..."), ({}, by_tcp)
    ):
        login = {"user": user, "password": SecretStr(password), **place}
        store = MariaStore(settings.model_copy(update=login))
        with pytest.raises(StoreError, match="denied"):
            await store.read(Select(STATE, STATE.columns))
        await store.close()


def test_those_from_other_hosts_must_come_with_tls() -> None:
    created = [each for each in USERS if each.startswith("CREATE USER") and "@'%'" in each]
    assert len(created) == len(REMOTE)
    assert all(each.endswith("REQUIRE SSL") for each in created)


@pytest.mark.usefixtures("users")
async def test_the_users_can_do_what_they_must_and_nothing_else(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    for user in ("dnslb_reader@localhost", *REMOTE):
        await mariadb.query(f"ALTER USER {user} IDENTIFIED BY 'it''s'")
    login = settings.model_copy(
        update={"unix_socket": None, "host": "127.0.0.1", "port": mariadb.port}
    )
    password = SecretStr("it's")
    daemon = login.model_copy(update={"user": "dnslb", "password": password})
    reader = login.model_copy(update={"user": "dnslb_reader", "password": password})
    for who in (daemon, reader):
        store = MariaStore(who)
        assert await store.read(Select(STATE, STATE.columns)) == []
        await store.close()
        with pytest.raises(StoreError, match="denied"):
            await apply(who)
    for table in (KEY, TSIG):
        readers = MariaStore(reader)
        with pytest.raises(StoreError, match="denied"):
            await readers.read(Select(table, table.columns))
        await readers.close()
    await write(daemon)
    with pytest.raises(StoreError, match=r"denied.*schema show users"):
        await write(reader)


async def test_those_who_could_read_keys_are_named(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    assert not any("private keys" in line for line in await apply(settings))
    await mariadb.query("CREATE USER curious@localhost IDENTIFIED BY 'x'")
    pattern = settings.name.replace("_", "\\_")
    await mariadb.query(f"GRANT SELECT ON `{pattern}`.* TO curious@localhost")
    (line,) = [line for line in await apply(settings) if "private keys" in line]
    assert "'curious'@'localhost'" in line
    await mariadb.query("DROP USER curious@localhost")


async def write(who: MysqlSettings) -> None:
    """Some of all that the daemon writes, and deletes."""
    store = MariaStore(who)
    moment = "2026-01-31 12:00:00.000"
    moved = ("e", moment, "n", "z", "n", "A", "c", "a", "UP", "DOWN", 1, 0, 1, None, "", "{}")
    order = ("1", "", "t", "", "", "drain", "", "", moment, None, None, "", 1, None, None)
    node = ("n", "i", "1", moment, "h", "local", moment, 1.0, "b", "s")
    try:
        secret = ("k", "z", 1, 257, 1, 1, "c", 1, 0, 1)
        voter = ("n", "i", "s", 1, 1, "", "b", 1)
        vote = ("n", "k", 1, "192.0.2.1", "tcp", "UP", 0, "", None, None, moment)
        lost = ("e", moment, "n", "z", "n", "A", "serve", "nodata", "error", 0, 2, 0, "")
        rows = (
            (DECISION, lost),
            *((TRANSITION, moved), (OVERRIDE, order), (NODE, node), (KEY, secret)),
            *((VOTER, voter), (VOTE, vote)),
        )
        for table, row in rows:
            await store.write([Upsert(table, [row])])
            await store.write([Upsert(table, [row]), Delete(table, [table.key_of(row)])])
    finally:
        await store.close()
