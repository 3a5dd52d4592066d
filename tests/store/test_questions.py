"""Every SQL statement that we show to people runs as it stands, and answers what it says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.store.database.interface import Upsert
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.schema import split, sql_directory
from dnslb_backend.store.database.tables import OVERRIDE
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.shared.overrides import OverrideEntry
from tests.rigs.mariadb import MariaDB
from tests.store.database.test_schema import ORIGINAL
from tests.store.farm import FAIL, PASS, Farm, farm_record
from tests.store.shared.test_overrides import override
from tests.store.test_break_glass import mirrored

ROOT = Path(__file__).parents[2]

QUERIES = split((sql_directory() / "queries.sql").read_text())

SHOWN = [
    (str(path.relative_to(ROOT)), statement)
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    for block in re.findall(r"^```sql\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    for statement in split(block)
]

COMPARISON = QUERIES[-1]

A, B = "192.0.2.1", "192.0.2.2"

WHERE_IT_GOES = """
[global]
domain_name = "lb.example"
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = {{ type = "tcp", port = 80 }}
[zones."lb.example"]
static = [
{static}
]
{records}
"""


@pytest.fixture
async def told(mariadb: MariaDB, settings: MysqlSettings) -> str:
    """A database that has seen something of everything; its name."""
    farm = Farm(farm_record("www", A, B), farm_record("api", B))
    farm.check_all()
    for result in (FAIL, PASS, FAIL):
        farm.check("www", result, A)
    store = MariaStore(settings)
    await store.write([Upsert(OVERRIDE, [OverrideEntry(override(expires=4e9)).row()])])
    await store.close()
    async with mirrored(settings, farm):
        pass
    return settings.name


def test_there_are_a_dozen_questions() -> None:
    assert len(QUERIES) >= 12
    assert any(path == "docs/migration.md" for path, _ in SHOWN)


@pytest.mark.parametrize("statement", QUERIES, ids=lambda text: text.split("\n")[0][:40])
async def test_a_question_can_be_asked(mariadb: MariaDB, told: str, statement: str) -> None:
    await mariadb.query(statement, database=told)


@pytest.mark.parametrize(("path", "statement"), SHOWN)
async def test_what_the_documents_show_runs(
    mariadb: MariaDB, told: str, path: str, statement: str
) -> None:
    assert path
    await mariadb.query(statement, database=told)


async def answer(mariadb: MariaDB, database: str, number: int) -> list[dict[str, Any]]:
    return await mariadb.query(QUERIES[number - 1], database=database)


async def test_the_answers_are_right(mariadb: MariaDB, told: str) -> None:
    (fresh,) = await answer(mariadb, told, 1)
    assert (fresh["node"], fresh["silent"] < 30) == ("ns1", True)
    (down,) = await answer(mariadb, told, 2)
    assert (down["name"], down["address"]) == ("www.lb.example", A)
    assert down["reason"] == "timed out after 2 s"
    assert [row["served"] for row in await answer(mariadb, told, 4)] == [1, 0]
    (lonely,) = await answer(mariadb, told, 6)
    assert (lonely["name"], lonely["members"]) == ("www.lb.example", 2)
    flapped = await answer(mariadb, told, 7)
    assert (flapped[0]["content"], flapped[0]["times"]) == (A, 4)
    assert {row["content"] for row in await answer(mariadb, told, 8)} == {A, B}
    (given,) = await answer(mariadb, told, 9)
    assert (given["target"], given["record"], given["node"]) == (A, "every record", "every node")
    (longest, *_) = await answer(mariadb, told, 14)
    assert (longest["content"], longest["down"] >= 0) == (A, True)


async def test_when_a_record_had_no_answer(mariadb: MariaDB, settings: MysqlSettings) -> None:
    farm = Farm(farm_record("www", A))
    farm.check_all()
    async with mirrored(settings, farm) as scene:
        for result in (FAIL, PASS):
            farm.check("www", result, A)
            scene.record_changes()
        assert await scene.mirror.flush(10)
    (lost,) = await answer(mariadb, settings.name, 15)
    assert (lost["name"], lost["decision"]) == ("www.lb.example", "nodata")
    assert (lost["reason"], lost["lasted"]) == ("1 of 1 members DOWN", 0)


async def test_people_see_one_row_a_member(mariadb: MariaDB, told: str) -> None:
    rows = await mariadb.query("SELECT * FROM lb_status ORDER BY name, address", database=told)
    assert [(row["name"], row["address"], row["served"]) for row in rows] == [
        ("api.lb.example", B, 1),
        ("www.lb.example", A, 0),
        ("www.lb.example", B, 1),
    ]
    for row in rows:
        assert (row["node"], row["type"], row["restored"]) == ("ns1", "A", "nothing")
        assert 0 <= row["age"] < 60
        assert 0 <= row["mirror_age"] < 60
        assert row["since"]


async def test_where_the_original_differs(mariadb: MariaDB, empty: MysqlSettings) -> None:
    for statement in ORIGINAL:
        await mariadb.query(statement, database=empty.name)
    await apply(empty)
    farm = Farm(farm_record("www", A), farm_record("api", B))
    farm.check_all()
    async with mirrored(empty, farm):
        pass
    assert await mariadb.query(COMPARISON, database=empty.name) == [
        {"name": "api.lb.example", "type": "A", "original": None, "mirror": B}
    ]
    await mariadb.query(
        "INSERT INTO records (domain_id, name, type, content) VALUES"
        f" (1, 'API.lb.example', 'A', '{B}'), (1, 'www.lb.example', 'A', '{B}')",
        database=empty.name,
    )
    assert await mariadb.query(COMPARISON, database=empty.name) == [
        {"name": "www.lb.example", "type": "A", "original": f"{A},{B}", "mirror": A}
    ]
    await mariadb.query(
        f"UPDATE records SET disabled = 1 WHERE name = 'www.lb.example' AND content = '{B}'",
        database=empty.name,
    )
    assert await mariadb.query(COMPARISON, database=empty.name) == []


async def test_rows_that_were_edited_become_a_configuration(
    mariadb: MariaDB, empty: MysqlSettings, tmp_path: Path
) -> None:
    for statement in ORIGINAL:
        await mariadb.query(statement, database=empty.name)
    await mariadb.query("DELETE FROM records", database=empty.name)
    await mariadb.query(
        "INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled) VALUES"
        f" (1, 'www.lb.example', 'A', '{A}', 5, 0, 0), (1, 'www.lb.example', 'A', '{B}', 5, 0, 1),"
        f" (1, 'ns1.lb.example', 'A', '192.0.2.53', 300, 0, 0),"
        " (1, 'lb.example', 'MX', 'mx1.lb.example', 300, 10, 0),"
        " (1, 'lb.example', 'TXT', '\"v=spf1 -all\"', 300, 0, 0)",
        database=empty.name,
    )
    shown = [statement for path, statement in SHOWN if path == "docs/migration.md"]
    find, tables, rows = shown[-3:]
    (found,) = await mariadb.query(find, database=empty.name)
    assert (found["name"], found["addresses"], found["off"]) == ("www.lb.example", 2, 1)
    records = [row["toml"] for row in await mariadb.query(tables, database=empty.name)]
    static = [row["toml"] for row in await mariadb.query(rows, database=empty.name)]
    kept = [line for line in static if '"www.' not in line]
    path = tmp_path / "dnslb.toml"
    path.write_text(WHERE_IT_GOES.format(static="\n".join(kept), records="\n".join(records)))
    plan = (await asyncio.to_thread(load, ConfigPaths(path))).plan
    (record,) = plan.records.values()
    assert [dest.host for dest in record.dests] == [A, B]
    assert {(row.qtype, row.content) for row in plan.zones["lb.example"].static} == {
        ("A", "192.0.2.53"),
        ("MX", "10 mx1.lb.example."),
        ("TXT", '"v=spf1 -all"'),
    }
