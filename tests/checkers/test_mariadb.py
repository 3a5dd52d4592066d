"""A real MariaDB, replicas of it, and what is no database at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.registry import parse_check
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Outcome, Result
from tests.checkers.conftest import Authority
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import ScriptedServer, greeting, hang, saying
from tests.rigs.mariadb import MariaDB
from tests.rigs.ports import free_port
from tests.rigs.processes import descriptors
from tests.rigs.waiting import until


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[MariaDB]:
    async with MariaDB(tcp=True, options=["--log-bin", "--server-id=1"]) as database:
        await database.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret'")
        await database.query(f"GRANT REPLICA MONITOR ON *.* TO probe@'{HERE}'")
        yield database


def ask(port: int | None, **keys: Any) -> dict[str, Any]:
    return {"type": "mariadb", "port": port, "user": "probe", "password": "s3cret", **keys}


@pytest.mark.parametrize(
    ("keys", "code", "text"),
    [
        ({}, 0, "1"),
        ({"query": "SELECT 'all OK'", "expect": "OK$"}, 0, "all OK"),
        ({"query": "SELECT 'all KO'", "expect": "OK$"}, -1, "no 'OK$', got 'all KO'"),
        ({"query": "SELECT NULL"}, 0, ""),
        ({"query": "SELECT 1 WHERE FALSE", "expect": "1"}, -1, "no '1'"),
        ({"query": "SELECT x'ff41'", "expect": "^A$"}, 0, "A"),
        ({"query": "DO 1"}, 0, ""),
        ({"query": "SELECT 1/0"}, 0, ""),
        ({"query": "SELECT nonsense"}, -6, "error 1054: Unknown column"),
        ({"query": "SELECT seq FROM mysql.seq_1_to_1000000000"}, 0, "1"),
        ({"states": ["read_write"]}, 0, "1"),
        ({"states": ["replica"]}, -6, "the server replicates from nobody"),
        ({"states": ["galera"]}, -6, "wsrep_ready is OFF, not ON"),
        ({"database": "information_schema", "query": "SELECT DATABASE()"}, 0, "information_schema"),
    ],
)
async def test_the_answer_decides(
    tools: Tools, database: MariaDB, keys: dict[str, Any], code: int, text: str
) -> None:
    await database.query("GRANT SELECT ON mysql.* TO probe@'127.0.0.1'")
    result = await probe(tools, ask(database.port, **keys))
    assert result.code == code
    assert result.text.startswith(text)


async def test_the_numbers(tools: Tools, database: MariaDB) -> None:
    check = ask(database.port, query="SELECT '+++'", priority={"regex": "(.*)"})
    assert (await probe(tools, check)).priority == 4


async def test_a_server_that_is_read_only(tools: Tools, database: MariaDB) -> None:
    await database.query("SET GLOBAL read_only = 1")
    try:
        result = await probe(tools, ask(database.port, states=["read_write"]))
        plain = await probe(tools, ask(database.port))
    finally:
        await database.query("SET GLOBAL read_only = 0")
    assert (result.code, result.text) == (Code.STATUS, "the server is read-only")
    assert plain.outcome is Outcome.PASS


async def test_a_replica(tools: Tools, database: MariaDB) -> None:
    await database.query(f"CREATE OR REPLACE USER replica@'{HERE}' IDENTIFIED BY 'x'")
    await database.query(f"GRANT REPLICATION SLAVE ON *.* TO replica@'{HERE}'")
    options = ["--server-id=2"]
    async with MariaDB(tcp=True, options=options) as replica:
        await replica.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret'")
        await replica.query(f"GRANT REPLICA MONITOR ON *.* TO probe@'{HERE}'")
        [position] = await database.query("SHOW MASTER STATUS")
        await replica.query(
            f"CHANGE MASTER TO MASTER_HOST='{HERE}', MASTER_PORT={database.port},"
            f" MASTER_USER='replica', MASTER_PASSWORD='x',"
            f" MASTER_LOG_FILE='{position['File']}', MASTER_LOG_POS={position['Position']},"
            f" MASTER_USE_GTID=no"
        )
        check = ask(replica.port, states=["replica"], max_lag=5)
        stopped = await probe(tools, check)
        assert (stopped.code, stopped.text) == (Code.STATUS, "Slave_IO_Running is No")
        await replica.query("START SLAVE")

        async def follows() -> bool:
            return (await probe(tools, check)).outcome is Outcome.PASS

        await until(follows)
        # What happens on the first while the second does not apply it makes it late.
        await replica.query("STOP SLAVE SQL_THREAD")
        late = await probe(tools, check)
        assert (late.code, late.text) == (Code.STATUS, "Slave_SQL_Running is No")
        await replica.query("START SLAVE SQL_THREAD")
        await until(follows)
        await replica.query("STOP SLAVE")
        await replica.query("CHANGE MASTER TO MASTER_DELAY = 3600")
        await replica.query("START SLAVE")
        await until(follows)
        await database.query("CREATE DATABASE something")

        async def behind() -> str:
            result = await probe(tools, ask(replica.port, states=["replica"], max_lag=0))
            return result.text if result.code == Code.STATUS else ""

        assert (await until(behind)).endswith("s behind, more than 0")


@pytest.mark.parametrize(
    "keys",
    [{"password": "wrong"}, {"user": "nobody"}, {"database": "mysql_secret"}],
)
async def test_an_account_that_is_refused_is_our_fault(
    tools: Tools, database: MariaDB, keys: dict[str, Any]
) -> None:
    result = await probe(tools, ask(database.port, **keys))
    assert result.outcome is Outcome.ERROR
    assert "Access denied" in result.text
    assert "s3cret" not in result.text


async def test_a_password_in_a_file(tools: Tools, database: MariaDB, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    check = {**ask(database.port), "password_file": str(file)}
    del check["password"]
    assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_too_many_connections_are_the_targets_fault(tools: Tools) -> None:
    async with MariaDB(tcp=True, options=["--max-connections=10"]) as database:
        await database.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret'")
        tasks: list[asyncio.Task[Result]] = []

        async def full() -> bool:
            # Ever more of them, as another connection may still be in the way of the first ones.
            checks = [ask(database.port, query=f"SELECT SLEEP({99 + n})") for n in range(12)]
            tasks.extend(asyncio.create_task(probe(tools, check, limit=30)) for check in checks)
            return (await probe(tools, ask(database.port))).code == Code.REFUSED

        await until(full)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_query_that_hangs_is_ended_on_the_server_as_well(
    tools: Tools, database: MariaDB
) -> None:
    endless = "SELECT BENCHMARK(4000000000, SHA2('x', 512))"
    result = await probe(tools, ask(database.port, query=endless), limit=0.3)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.3 s")

    async def alone() -> bool:
        rows = await database.query("SHOW PROCESSLIST")
        return not any("BENCHMARK" in (row["Info"] or "") for row in rows)

    await until(alone)


@pytest.mark.parametrize(
    ("play", "code"),
    [
        (saying(b""), Code.REFUSED),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n" + b"x" * 100_000), Code.STATUS),
        (saying(b"\x04\x00\x00\x00abcd"), Code.STATUS),
        (saying(b"\x02\x00\x00\x00\x0a\x00"), Code.STATUS),
        (hang, Code.TIMEOUT),
        (greeting(b"\xff\xff\xff\x00"), Code.TIMEOUT),
    ],
    ids=["nothing", "ssh", "nonsense", "short", "silence", "unfinished"],
)
async def test_what_is_no_database(tools: Tools, play: Any, code: Code) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, ask(server.port), limit=0.5)
    assert (result.outcome, result.code) == (Outcome.FAIL, code)


async def test_a_port_where_nobody_listens(tools: Tools) -> None:
    assert (await probe(tools, ask(free_port()))).code == Code.REFUSED


async def test_tls(tools: Tools, authority: Authority, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = authority.ca.issue_cert("db.lb.example")
    issued.private_key_pem.write_to_path(str(key))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(certificate), append=True)
    options = [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    async with MariaDB(tcp=True, options=options) as database:
        await database.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret' REQUIRE SSL")
        plain = await probe(tools, ask(database.port))
        assert plain.outcome is Outcome.ERROR
        secure = ask(database.port, tls=True, ca_file=authority.ca_file, sni="db.lb.example")
        assert (await probe(tools, secure)).outcome is Outcome.PASS
        assert (await probe(tools, {**secure, "sni": "other.example"})).code == Code.TLS
        assert (await probe(tools, {**secure, "sni": ""})).code == Code.TLS
        del secure["ca_file"]
        assert (await probe(tools, secure)).code == Code.TLS
        assert (await probe(tools, {**secure, "verify": False})).outcome is Outcome.PASS


async def test_a_probe_says_goodbye(tools: Tools) -> None:
    """A server that is hung up on writes a warning into its log, every few seconds for ever."""
    variants: tuple[dict[str, Any], ...] = (
        {},
        {"query": "DO 1"},
        {"query": "SELECT nonsense"},
        {"expect": "2"},
        {"states": ["read_write", "galera"]},
    )
    async with MariaDB(tcp=True) as database:
        await database.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret'")
        for keys in variants:
            await probe(tools, ask(database.port, **keys))

        async def all_gone() -> bool:
            rows = await database.query("SHOW PROCESSLIST")
            return not any(row["User"] == "probe" for row in rows)

        await until(all_gone)
    assert "Aborted connection" not in database.log


async def test_probes_leak_nothing(tools: Tools, database: MariaDB) -> None:
    checks = [
        ask(database.port),
        ask(database.port, password="wrong"),
        ask(database.port, query="SELECT seq FROM mysql.seq_1_to_1000000000"),
        ask(database.port, query="SELECT SLEEP(10)"),
    ]
    for check in checks:
        await probe(tools, check, limit=0.2)
    before = descriptors()
    for check in checks * 5:
        await probe(tools, check, limit=0.2)
    await until(lambda: len(descriptors()) <= len(before))


def test_description() -> None:
    check = parse_check(ask(3306, states=["read_write", "galera"], query="SELECT\n2"))
    shown = check.describe(Endpoint("::1"))
    assert shown == "MariaDB probe@[::1]:3306: read_write, galera; SELECT"
