"""A real MariaDB, replicas of it, and what is no database at all."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome, Result
from tests.checkers.conftest import Authority
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import ScriptedServer, greeting, hang, saying
from tests.rigs.mariadb import MariaDB
from tests.rigs.mariadb_impostor import (
    END,
    FAST_LOGIN,
    OK,
    WHOLE_LOGIN,
    Answer,
    Impostor,
    error,
    hello,
    packet,
    serving,
    switch,
    table,
)
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
        ({}, 0, "answers queries"),
        ({"query": "SELECT 'all OK'", "expect": "OK$"}, 0, "all OK"),
        ({"query": "SELECT 'all KO'", "expect": "OK$"}, -1, "reply does not match 'OK$': 'all KO'"),
        ({"query": "SELECT NULL"}, 0, ""),
        ({"query": "SELECT 1 WHERE FALSE", "expect": "1"}, -1, "reply does not match '1'"),
        ({"query": "SELECT x'ff41'", "expect": "^A$"}, 0, "A"),
        ({"query": "DO 1"}, 0, ""),
        ({"query": "SELECT 1/0"}, 0, ""),
        ({"query": "SELECT nonsense"}, -6, "error 1054: Unknown column"),
        ({"query": "SELECT seq FROM mysql.seq_1_to_1000000000"}, 0, "1"),
        ({"states": ["read_write"]}, 0, "writable"),
        ({"states": ["read_write"], "query": "SELECT 7"}, 0, "writable, 7"),
        ({"states": ["replica"]}, -6, "the server is not a replica"),
        ({"states": ["galera"]}, -6, "wsrep_ready is OFF, not ON"),
        ({"database": "information_schema", "query": "SELECT DATABASE()"}, 0, "information_schema"),
    ],
)
async def test_the_answer_decides(
    tools: CheckResources, database: MariaDB, keys: dict[str, Any], code: int, text: str
) -> None:
    await database.query("GRANT SELECT ON mysql.* TO probe@'127.0.0.1'")
    result = await probe(tools, ask(database.port, **keys))
    assert result.code == code
    assert result.text.startswith(text)


async def test_the_numbers(tools: CheckResources, database: MariaDB) -> None:
    check = ask(database.port, query="SELECT '+++'", priority={"regex": "(.*)"})
    assert (await probe(tools, check)).priority == 4


async def test_a_server_that_is_read_only(tools: CheckResources, database: MariaDB) -> None:
    await database.query("SET GLOBAL read_only = 1")
    try:
        result = await probe(tools, ask(database.port, states=["read_write"]))
        plain = await probe(tools, ask(database.port))
    finally:
        await database.query("SET GLOBAL read_only = 0")
    assert (result.code, result.text) == (Code.STATUS, "the server is read-only")
    assert plain.outcome is Outcome.PASS


async def test_a_replica(tools: CheckResources, database: MariaDB) -> None:
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
            passed = await probe(tools, check)
            assert re.fullmatch(r"replica, \d+ s behind", passed.text) or passed.code == Code.STATUS
            result = await probe(tools, ask(replica.port, states=["replica"], max_lag=0))
            return result.text if result.code == Code.STATUS else ""

        assert (await until(behind)).endswith("s behind, more than 0")


@pytest.mark.parametrize(
    "keys",
    [{"password": "wrong"}, {"user": "nobody"}, {"database": "mysql_secret"}],
)
async def test_an_account_that_is_refused_is_our_fault(
    tools: CheckResources, database: MariaDB, keys: dict[str, Any]
) -> None:
    result = await probe(tools, ask(database.port, **keys))
    assert result.outcome is Outcome.ERROR
    assert "Access denied" in result.text
    assert "s3cret" not in result.text


async def test_a_password_in_a_file(
    tools: CheckResources, database: MariaDB, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    check = {**ask(database.port), "password_file": str(file)}
    del check["password"]
    assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_too_many_connections_are_the_targets_fault(tools: CheckResources) -> None:
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
    tools: CheckResources, database: MariaDB
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
        (greeting(b"\xff\xff\x00\x00"), Code.TIMEOUT),
        (greeting(b"\xff\xff\xff\x00"), Code.STATUS),
    ],
    ids=["nothing", "ssh", "nonsense", "short", "silence", "unfinished", "huge"],
)
async def test_what_is_no_database(tools: CheckResources, play: Any, code: Code) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, ask(server.port), limit=0.5)
    assert (result.outcome, result.code) == (Outcome.FAIL, code)


async def test_a_port_where_nobody_listens(tools: CheckResources) -> None:
    assert (await probe(tools, ask(free_port()))).code == Code.REFUSED


async def test_tls(tools: CheckResources, authority: Authority, tmp_path: Path) -> None:
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


# -- who gets the password ----------------------------------------------------------------

CLEAR, OLD, SHA, CACHED = (
    *("mysql_clear_password", "mysql_old_password", "sha256_password", "caching_sha2_password"),
)
PUBLIC_KEY = b"\1-----BEGIN PUBLIC KEY-----"


@pytest.mark.parametrize(
    ("greeting", "login"),
    [
        (hello(CLEAR), [OK]),
        (hello(), [switch(CLEAR), OK]),
        (hello(), [switch(OLD), OK]),
        (hello(), [b"\xfe", OK]),
        (hello(), [b"\xfemysql_old_password", OK]),
        (hello(plugins=False), [switch("mysql_native_password"), OK]),
        (hello(SHA), [PUBLIC_KEY, OK]),
        (hello(), [switch(SHA), PUBLIC_KEY, OK]),
        (hello(CACHED), [WHOLE_LOGIN, PUBLIC_KEY, OK]),
        (hello(), [switch(CACHED), WHOLE_LOGIN, PUBLIC_KEY, OK]),
    ],
)
async def test_a_password_is_not_sent_in_a_form_that_others_can_read(
    tools: CheckResources, greeting: bytes, login: list[bytes]
) -> None:
    async with serving(Impostor(greeting=greeting, login=login)) as impostor:
        result = await probe(tools, ask(impostor.port))
    assert (result.outcome, result.code) == (Outcome.ERROR, Code.INTERNAL_ERROR)
    assert "is not sent without TLS: set tls = true" in result.text
    assert b"s3cret" not in impostor.received
    # Nothing but the proofs that cannot be turned round, and no request for a public key.
    assert len(impostor.login) >= 1
    assert not impostor.statements
    assert not impostor.received.endswith((b"\1", b"\2"))


async def test_a_proof_of_the_password_is_sent(tools: CheckResources) -> None:
    answers: dict[str, Answer] = {"SELECT": table("x", rows=((b"fine",),))}
    for login in ([OK], [switch("mysql_native_password"), OK], [switch(CACHED), FAST_LOGIN]):
        async with serving(Impostor(login=login, answers=answers)) as impostor:
            result = await probe(tools, ask(impostor.port))
        assert result.text == "fine"


async def test_tls_that_is_not_offered_ends_the_probe_before_the_login(
    tools: CheckResources,
) -> None:
    for verify in (True, False):
        async with serving(Impostor()) as impostor:
            result = await probe(tools, ask(impostor.port, tls=True, verify=verify))
        assert (result.outcome, result.code) == (Outcome.FAIL, Code.TLS)
        assert impostor.received == b""


# -- what is broken on the other side -----------------------------------------------------

STATES = ["read_write", "replica", "galera"]

WHOLE: dict[str, Answer] = {
    "SELECT @@": table("read_only", rows=((b"0",),)),
    "SHOW ALL": table(
        "Slave_IO_Running",
        "Slave_SQL_Running",
        "Seconds_Behind_Master",
        rows=((b"Yes", b"Yes", b"0"),),
    ),
    "SHOW GLOBAL": table(
        "Variable_name",
        "Value",
        rows=(
            (b"wsrep_ready", b"ON"),
            (b"wsrep_cluster_status", b"Primary"),
            (b"wsrep_local_state", b"4"),
        ),
    ),
    "SELECT 1": table("1", rows=((b"fine",),)),
}

BROKEN: dict[str, Answer] = {
    "an empty packet": [b""],
    "a length beyond its end": [*table("x")[:3], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", END],
    "columns beyond its end": [b"\1", b"\xfd\xff\xff\xffabc", END, END],
    "no end of the columns": [b"\1", *table("x")[1:2], b"\1x", END],
    "no text": [*table("x")[:3], b"\4\xff\xfe\xfd\xfc", END],
    "a wish for a file": [b"\xfb/etc/passwd"],
    "an error without text": [error(1064)],
    "half an error": [b"\xff\1"],
    "an error of text that is none": [b"\xff\x28\x04#\xff\xff\xff\xff\xff\xfe"],
    "columns of another table": table("y", rows=((b"z",),)),
    "too many columns": [b"\xfe\xff\xff\xff\xff\xff\xff\xff\0", *table("x")[1:2] * 6000],
    "a connection that ends": None,
}

STEPS = ["SET NAMES", *WHOLE]


async def test_what_is_broken_is_well_as_a_whole(tools: CheckResources) -> None:
    async with serving(Impostor(answers=WHOLE)) as impostor:
        result = await probe(tools, ask(impostor.port, states=STATES))
    found = "writable, replica, 0 s behind, synced, fine"
    assert (result.outcome, result.text) == (Outcome.PASS, found)


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_answer_is_the_targets_failure_at_every_step(
    tools: CheckResources, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in STEPS:
        answers = {step: BROKEN[broken], **{k: v for k, v in WHOLE.items() if k != step}}
        async with serving(Impostor(answers=answers)) as impostor:
            result = await probe(tools, ask(impostor.port, states=STATES))
        fine = broken == "columns of another table" and step in ("SET NAMES", "SELECT 1")
        assert result.outcome is (Outcome.PASS if fine else Outcome.FAIL), (step, result)
        assert result.text.isprintable()
    assert not caplog.records


@pytest.mark.parametrize(
    ("greeting", "login"),
    [
        (b"", [OK]),
        (b"\n\0", [OK]),
        (b"\nfive\0" + hello()[23:], [OK]),
        (hello()[:20], [OK]),
        (error(1040), [OK]),
        (hello(), [b""]),
        (hello(), [b"\xfb/etc/passwd"]),
        (hello(), [b"\1"]),
        (hello(), [b"\xfe\xff\xff\0x"]),
        (hello(), [switch("\u00e9")]),
        (hello(), [error(1064)]),
    ],
)
async def test_a_broken_login_is_the_targets_failure(
    tools: CheckResources, greeting: bytes, login: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    answers: dict[str, Answer] = {"SET": None}
    async with serving(Impostor(greeting=greeting, login=login, answers=answers)) as impostor:
        result = await probe(tools, ask(impostor.port), limit=1)
    if result.outcome is not Outcome.FAIL:
        assert "is not sent without TLS" in result.text or "2059" in result.text
    assert not caplog.records


@pytest.mark.parametrize("step", ["SHOW ALL", "SELECT 1"])
@pytest.mark.parametrize("size", [1, 0xFF00, 0xFFFFFF])
async def test_an_answer_without_end_is_not_read_to_its_end(
    tools: CheckResources, step: str, size: int
) -> None:
    sent = 0

    async def play(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"".join(packet(number, c) for number, c in enumerate(table("x")[:3], 1)))
        number = 4
        while True:
            row = b"\1x" if size == 1 else b"\xfd" + size.to_bytes(3, "little") + b"x" * size
            count = max(1, 4096 // len(row))
            writer.write(b"".join(packet(number + i, row[:0xFFFFFF]) for i in range(count)))
            number += count
            sent += count * len(row)
            await writer.drain()

    answers: dict[str, Answer] = {**WHOLE, step: play}
    async with serving(Impostor(answers=answers)) as impostor:
        result = await probe(tools, ask(impostor.port, states=STATES))
    if step == "SELECT 1" and size < 1 << 20:
        assert result.outcome is Outcome.PASS  # the first row is all that is read
    else:
        assert (result.outcome, result.code) == (Outcome.FAIL, Code.STATUS)
        assert "the answer " in result.text
    assert sent < 40 << 20


@pytest.mark.parametrize(
    ("numbers", "outcome", "code"),
    [
        ((1044, 1045, 1129, 1130, 1142, 1143, 1203, 1226, 1227, 1251, 1275, 1345, 1370, 1524, 1698,
          1820, 1862, 1873, 1959, 3159, 4150, 4151), Outcome.ERROR, Code.INTERNAL_ERROR),
        ((1037, 1038, 1040, 1041, 1042, 1043, 1053, 1077, 1079, 1080, 1081, 1135, 1152, 1158, 1159,
          1160, 1161, 1184, 1927, 2006, 2013), Outcome.FAIL, Code.REFUSED),
        ((1030, 1047, 1054, 1064, 1146, 1205, 1290, 1317, 1836, 1), Outcome.FAIL, Code.STATUS),
        ((1969, 3024), Outcome.FAIL, Code.TIMEOUT),
    ],
)  # fmt: skip
async def test_whose_fault_an_error_of_the_server_is(
    tools: CheckResources, numbers: tuple[int, ...], outcome: Outcome, code: Code
) -> None:
    for number in numbers:
        impostor = Impostor(answers={"SELECT": [error(number, "so it is")]})
        async with serving(impostor):
            late = await probe(tools, ask(impostor.port))
            impostor.greeting = error(number, "so it is")
            early = await probe(tools, ask(impostor.port))
        for result in (early, late):
            assert (result.outcome, result.code) == (outcome, code), number


@pytest.mark.parametrize(
    ("change", "more", "text"),
    [
        ("ALTER USER {} PASSWORD EXPIRE", {}, "error 1820"),
        ("ALTER USER {} ACCOUNT LOCK", {}, "error 4151"),
        ("ALTER USER {} WITH MAX_QUERIES_PER_HOUR 1", {}, "error 1226"),
        ("ALTER USER {} WITH MAX_CONNECTIONS_PER_HOUR 1", {}, "error 1226"),
        ("ALTER USER {} REQUIRE SSL", {}, "error 1045"),
        ("SET GLOBAL require_secure_transport = 1", {}, ("error 1045", "error 3159")),
        ("REVOKE REPLICA MONITOR ON *.* FROM {}", {"states": ["replica"]}, "error 1227"),
    ],
)
async def test_trouble_with_the_account_is_ours(
    tools: CheckResources,
    database: MariaDB,
    change: str,
    more: dict[str, Any],
    text: str | tuple[str, ...],
) -> None:
    own = f"own@'{HERE}'"
    await database.query(f"CREATE OR REPLACE USER {own} IDENTIFIED BY 's3cret'")
    await database.query(f"GRANT REPLICA MONITOR ON *.* TO {own}")
    check = {**ask(database.port), "user": "own", **more}
    try:
        await database.query(change.format(own))
        await probe(tools, check)
        result = await probe(tools, check)
    finally:
        await database.query("SET GLOBAL require_secure_transport = 0")
    assert result.outcome is Outcome.ERROR, result
    assert result.text.startswith(text)


async def test_a_password_is_sent_as_every_client_sends_it(
    tools: CheckResources, database: MariaDB, tmp_path: Path
) -> None:
    await database.query(f"CREATE OR REPLACE USER own@'{HERE}' IDENTIFIED BY 'päss €'")
    file = tmp_path / "password"
    file.write_bytes("\ufeffpäss €\r\n".encode())
    for secret in ({"password": "päss €"}, {"password_file": str(file)}):
        check = {"type": "mariadb", "port": database.port, "user": "own", **secret}
        assert (await probe(tools, check)).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "query",
    [
        "SELECT nothing FROM t WHERE key = 'hush hush'",
        "SELEC 'hush hush'",
        "SELECT 1 FROM DUAL WHERE DATE'hush hush'",
        'SELECT "hush hush" AND',
        "SELECT 'it''s hush hush",
    ],
)
async def test_what_a_query_has_between_quotes_is_not_shown(
    tools: CheckResources, database: MariaDB, query: str
) -> None:
    table = ask(database.port, query=query)
    result = await probe(tools, table)
    assert result.text.startswith("error 1")
    shown = parse_check(table).describe(ProbeEndpoint(HERE))
    assert shown.split(": ")[1].startswith("SELEC")
    assert "hush" not in result.text + shown


@pytest.mark.parametrize("login", [[error(1045, "s3cret? no")], [OK]])
@pytest.mark.parametrize("answer", [[error(1064, "s3cret!")], table("x", rows=((b"s3cret",),))])
async def test_no_result_shows_a_password_that_the_server_sends(
    tools: CheckResources, login: list[bytes], answer: list[bytes]
) -> None:
    async with serving(Impostor(login=login, answers={"SELECT": answer})) as impostor:
        result = await probe(tools, ask(impostor.port))
    assert "***" in result.text
    assert "s3cret" not in result.text


async def test_a_probe_says_goodbye(tools: CheckResources) -> None:
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


async def test_probes_leak_nothing(tools: CheckResources, database: MariaDB) -> None:
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
    shown = check.describe(ProbeEndpoint("::1"))
    assert shown == "MariaDB probe@[::1]:3306: read_write, galera; SELECT"
