"""`schema show` and `schema apply`, on a real MariaDB."""

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from dnslb_backend.store.database.schema import VERSION, show
from tests.cli.command import Ended, run
from tests.rigs.mariadb import MariaDB

_numbers = count(1)

SCRIPT, USERS = show(), show(users=True)


@pytest.fixture(scope="module")
async def mariadb() -> AsyncIterator[MariaDB]:
    async with MariaDB() as server:
        yield server


@pytest.fixture
async def database(mariadb: MariaDB) -> str:
    name = f"mirror{next(_numbers)}"
    await mariadb.query(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def file(mariadb: MariaDB, database: str, tmp_path: Path) -> Path:
    """A configuration that no daemon would run on: only [mysql] matters."""
    path = tmp_path / "dnslb.toml"
    path.write_text(
        f'[mysql]\nunix_socket = "{mariadb.socket}"\nuser = "root"\ndatabase = "{database}"\n'
        "[records.www.A]\nttl = 'being edited'\n"
    )
    return path


async def tables(mariadb: MariaDB, database: str) -> set[str]:
    return {
        str(value)
        for row in await mariadb.query("SHOW TABLES", database=database)
        for value in row.values()
    }


def edit(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


async def apply(file: Path, *arguments: str) -> Ended:
    return await run("schema", "apply", "-c", str(file), *arguments)


async def test_show_prints_what_would_be_run_and_the_users_apart() -> None:
    assert await run("schema", "show") == Ended(0, SCRIPT, "")
    assert await run("schema", "show", "users") == Ended(0, USERS, "")


async def test_everything_is_made_and_a_second_run_changes_nothing(
    file: Path, mariadb: MariaDB, database: str
) -> None:
    first = await apply(file)
    assert (first.code, first.err) == (0, "")
    lines = first.out.splitlines()
    assert lines[0] == "applied 0001_schema.sql"
    count = sum(line.startswith("applied ") for line in lines)
    assert lines[count] == f"the tables in {database} are of version {VERSION}"
    assert any(line.startswith("created the views domains, records") for line in lines)
    made = await tables(mariadb, database)
    assert {"lb_state", "lb_status", "records"} <= made
    second = await apply(file, "--json")
    assert (second.code, second.err) == (0, "")
    assert json.loads(second.out)["report"] == lines[count:]
    assert await tables(mariadb, database) == made


async def test_what_was_skipped_is_told_with_the_way_out(
    file: Path, mariadb: MariaDB, database: str
) -> None:
    await mariadb.query("CREATE TABLE records (id INT)", database=database)
    ended = await apply(file)
    assert (ended.code, ended.err) == (0, "")
    assert "another program has created records" in ended.out
    assert "--views-database" in ended.out
    ended = await apply(file, "--views-database", f"{database}_views")
    assert (ended.code, ended.err) == (0, "")
    assert "records" in await tables(mariadb, f"{database}_views")


async def test_a_table_of_somebody_else_is_one_clear_line(
    file: Path, mariadb: MariaDB, database: str
) -> None:
    await mariadb.query("CREATE TABLE lb_state (x INT)", database=database)
    ended = await apply(file)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (f"not made by this program: lb_state in {database}; nothing was changed\n")
    assert await tables(mariadb, database) == {"lb_state"}


async def test_another_user_with_a_password(
    file: Path, mariadb: MariaDB, database: str, tmp_path: Path
) -> None:
    user = f"maker_{database}"
    await mariadb.query(f"CREATE USER {user} IDENTIFIED BY 'it''s-secret'")
    await mariadb.query(f"GRANT ALL ON {database}.* TO {user}")
    secret = tmp_path / "password"
    secret.write_text("it's-secret\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2hunter2\n")
    # The daemon's own password is not for this user.
    edit(file, "user = ", 'password = "other"\nuser = ')
    assert (await apply(file)).code == 1
    assert (await apply(file, "--user", "root")).code == 0
    for arguments in (["--user", user], ["--user", user, "--password-file", str(wrong)]):
        ended = await apply(file, *arguments)
        assert (ended.code, ended.out) == (1, "")
        assert "denied" in ended.err.lower()
        assert len(ended.err.splitlines()) == 1
        assert "hunter2" not in ended.err
    ended = await apply(file, "--user", user, "--password-file", str(secret))
    assert (ended.code, ended.err) == (0, "")
    assert "lb_state" in await tables(mariadb, database)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 126, "mysql: is missing"),
        ("mysql = 1", 126, "mysql: must be a table"),
        ("[mysql]\nsurprise = 1", 126, "mysql.surprise: unknown key"),
        ("[mysql", 126, "is not valid TOML"),
        ('[mysql]\nunix_socket = "/nonexistent/socket"', 1, "/nonexistent/socket"),
    ],
)
async def test_what_cannot_be_used(tmp_path: Path, text: str, code: int, words: str) -> None:
    path = tmp_path / "dnslb.toml"
    path.write_text(text)
    ended = await apply(path)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_a_database_that_is_not_there(file: Path, database: str) -> None:
    edit(file, database, "nowhere")
    ended = await apply(file)
    assert (ended.code, ended.out) == (1, "")
    assert "nowhere" in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert (await apply(tmp_path / "absent")).code == 126
