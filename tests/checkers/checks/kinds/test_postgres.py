"""A real PostgreSQL, a replica of it, and servers that are none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.scram import ITERATION_LIMIT
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.probing import probe
from tests.checkers.servers import Play, ScriptedServer, for_ever
from tests.rigs.postgres import Postgres
from tests.rigs.waiting import until

ROLES = ("probe", "plain", "digest", "secure", "few")


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Postgres]:
    async with Postgres() as database:
        for role in ROLES:
            scheme = "md5" if role == "digest" else "scram-sha-256"
            await database.query(
                f"SET password_encryption = '{scheme}'; CREATE ROLE {role} LOGIN PASSWORD 's3cret'"
            )
        await database.query("ALTER ROLE few CONNECTION LIMIT 0")
        await database.query("CREATE TABLE secret (x int)")
        yield database


def ask(port: int, **keys: Any) -> dict[str, Any]:
    table = {"type": "postgres", "user": "probe", "password": "s3cret", "database": "postgres"}
    return {**table, "port": port, **keys}


@pytest.mark.parametrize(
    ("keys", "code", "text"),
    [
        ({}, 0, "1"),
        ({"query": "SELECT 'all OK'", "expect": "OK$"}, 0, "all OK"),
        ({"query": "SELECT 'all KO'", "expect": "OK$"}, -1, "reply does not match 'OK$': 'all KO'"),
        ({"query": "SELECT NULL"}, 0, ""),
        ({"query": "SELECT 1 WHERE FALSE", "expect": "1"}, -1, "reply does not match '1'"),
        ({"query": "SELECT * FROM generate_series(1, 1000000)"}, 0, "1"),
        ({"query": "SELECT repeat('x', 300000)"}, -6, "the answer is not PostgreSQL's protocol"),
        ({"query": "SELECT nonsense"}, -6, 'error 42703: column "nonsense" does not exist'),
        ({"query": "SELECT 'hidden word'::int"}, -6, "error 22P02: invalid input syntax"),
        ({"query": "COPY (SELECT 1) TO STDOUT"}, -6, "the query is a COPY"),
        ({"query": "SELECT x FROM secret"}, -3, "error 42501: permission denied"),
        ({"role": "primary"}, 0, "1"),
        ({"role": "replica"}, -6, "the server is not a replica"),
        ({"user": "digest"}, 0, "1"),
        ({"user": "digest", "password": "wrong"}, -3, "error 28P01: "),
        ({"password": "wrong"}, -3, "error 28P01: "),
        ({"password": ""}, -3, "the server asks for a password, and none is configured"),
        ({"user": "nobody"}, -3, "error 28P01: "),
        ({"user": "plain"}, -3, "the server asks for the password itself"),
        ({"user": "secure"}, -3, "error 28000: "),
        ({"user": "few"}, -3, 'error 53300: too many connections for role "few"'),
        ({"database": "nosuch"}, -6, "error 3D000: "),
        ({"tls": True}, -5, "the server does not offer TLS, and TLS is configured"),
    ],
)
async def test_the_answer_decides(
    tools: CheckResources, database: Postgres, keys: dict[str, Any], code: int, text: str
) -> None:
    result = await probe(tools, ask(database.port, **keys))
    assert (result.code, result.text[: len(text)]) == (code, text)
    assert (result.outcome is Outcome.ERROR) == (code == Code.INTERNAL_ERROR)
    assert "hidden word" not in result.text


async def test_a_password_is_prepared_as_the_server_does(
    tools: CheckResources, database: Postgres
) -> None:
    # A ligature and a soft hyphen, which SASLprep replaces and removes.
    await database.query("CREATE ROLE odd LOGIN PASSWORD 'ﬁ\u00adn €'")
    for password in ("ﬁ\u00adn €", "fin €"):
        check = ask(database.port, user="odd", password=password)
        assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_a_query_that_hangs_is_ended_on_the_server_as_well(
    tools: CheckResources, database: Postgres
) -> None:
    result = await probe(tools, ask(database.port, query="SELECT pg_sleep(50)"), limit=0.3)
    assert result.code == Code.TIMEOUT

    async def alone() -> bool:
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%50)' AND state='active'"
        )
        return await database.query(sleeping) == "0"

    await until(alone)


async def test_a_replica(tools: CheckResources, database: Postgres) -> None:
    async with Postgres(primary=database) as replica:
        check = ask(replica.port, role="replica", max_lag=5)

        async def follows() -> bool:
            return (await probe(tools, check)).outcome is Outcome.PASS

        await until(follows)
        primary = await probe(tools, ask(replica.port, role="primary"))
        assert (primary.code, primary.text) == (Code.STATUS, "the server is not a primary")
        await replica.query("ALTER SYSTEM SET primary_conninfo = ''")
        await replica.query("SELECT pg_reload_conf()")

        async def behind() -> str:
            result = await probe(tools, {**check, "max_lag": 0})
            return result.text if result.code == Code.STATUS else ""

        assert "behind" in await until(behind)


async def test_tls(tools: CheckResources, authority: Authority) -> None:
    async with Postgres(tls=authority.ca.issue_cert("db.lb.example")) as database:
        await database.query("CREATE ROLE plain LOGIN PASSWORD 's3cret'")
        await database.query("CREATE ROLE secure LOGIN PASSWORD 's3cret'")
        check = ask(database.port, tls=True, ca_file=authority.ca_file, sni="db.lb.example")
        for user in ("plain", "secure"):
            assert (await probe(tools, {**check, "user": user})).outcome is Outcome.PASS
        assert (await probe(tools, {**check, "sni": "other.example"})).code == Code.TLS


async def test_no_credential_leaves_before_tls(tools: CheckResources) -> None:
    received = b""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.read(100)
        # What a man in the middle puts behind the answer is not taken for the server's.
        writer.write(b"S" + message(b"R", b"\0\0\0\3"))
        received += await reader.read()

    async with ScriptedServer(play) as server:
        result = await probe(tools, ask(server.port, tls=True, verify=False))
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.STATUS)
    assert received == b"\0\0\0\x08\x04\xd2\x16\x2f"


def asking(*messages: bytes) -> Play:
    """Send these at once, whatever the client says."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(messages))
        await reader.read()

    return play


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


SASL = message(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")


def demanding(iterations: int) -> Play:
    """It continues the client's nonce, and wants so much work for the proof."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(SASL)
        first = await reader.read(1000)
        nonce = first.rpartition(b"r=")[2]
        challenge = b"r=%sx,s=eA==,i=%d" % (nonce, iterations)
        writer.write(message(b"R", b"\0\0\0\x0b" + challenge))
        await reader.read()

    return play


async def test_the_work_that_a_server_may_ask_for_is_bounded(tools: CheckResources) -> None:
    async with ScriptedServer(demanding(ITERATION_LIMIT + 1)) as server:
        result = await probe(tools, ask(server.port))
    assert (result.code, result.text) == (
        -6,
        "the server asks for 100001 SCRAM iterations; 100000 are the limit (scram_iterations)",
    )
    async with ScriptedServer(demanding(ITERATION_LIMIT)) as server:
        result = await probe(tools, ask(server.port), limit=1)
    assert result.text == "no answer within 1 s", "it got its proof, and says nothing"


@pytest.mark.parametrize(
    ("play", "code", "text"),
    [
        (asking(message(b"R", b"\0\0\0\x07")), -3, "the server asks for authentication 7"),
        (asking(message(b"R", b"\0\0\0\x63")), -6, "the answer is not PostgreSQL's protocol"),
        (asking(message(b"R", b"\0\0\0\x0aOTHER\0\0")), -3, "the server does not offer SCRAM"),
        (asking(message(b"R", b"\0\0\0\x0cv=x")), -6, "the server does not know the password"),
        (asking(SASL, message(b"R", b"\0\0\0\x0br=x,s=eA==,i=1")), -6, "the server's SCRAM chall"),
        (asking(SASL, message(b"R", b"\0\0\0\x0br")), -6, "cannot read the answer: KeyError"),
        (asking(message(b"E", b"C53300\0Mfull\0RInitProcess\0\0")), -4, "error 53300: full"),
        (asking(message(b"E", b"C57P03\0Mstarting\0\0")), -4, "error 57P03: starting"),
        (asking(message(b"Q", b"")), -6, "the answer is not PostgreSQL's protocol"),
        (for_ever(b"", message(b"N", b"")), -6, "sent more than 1000 messages"),
    ],
)
async def test_what_is_no_database(tools: CheckResources, play: Play, code: int, text: str) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, ask(server.port))
    assert (result.code, result.text[: len(text)]) == (code, text)
