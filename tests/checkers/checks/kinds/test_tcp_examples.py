"""The examples of docs/checks.md for Redis, SMTP and LDAP, against servers of these protocols."""

import asyncio
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.probing import probe
from tests.checkers.servers import Play, ScriptedServer
from tests.checkers.test_docs import examples, section

EXAMPLES: dict[int, dict[str, Any]] = {
    example["check"]["port"]: example["check"] for example in examples(section("tcp"))
}
REDIS, MAIL, LDAP = EXAMPLES[6379], EXAMPLES[25], EXAMPLES[389]


def redis(role: str) -> Play:
    """Answer the inline command INFO with a bulk string, and any other with an error."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := (await reader.readline()).split():
            text = f"# Replication\r\nrole:{role}\r\nconnected_slaves:0\r\n".encode()
            known = words == [b"INFO", b"replication"]
            writer.write(b"$%d\r\n%s\r\n" % (len(text), text) if known else b"-ERR unknown\r\n")

    return play


def element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first BER element, and what is behind it."""
    assert data[0] == tag
    assert data[1] < 0x80
    return data[2 : 2 + data[1]], data[2 + data[1] :]


def directory(root_class: bytes) -> Play:
    """Answer a CompareRequest (RFC 4511, 4.10) about the root entry."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(2)
        content, _ = element(head + await reader.readexactly(head[1]), 0x30)
        number, operation = element(content, 2)
        compare, _ = element(operation, 0x6E)
        entry, assertion = element(compare, 4)
        attribute, value = element(element(assertion, 0x30)[0], 4)
        assert (number, entry, attribute) == (b"\1", b"", b"objectClass")
        is_true = element(value, 4)[0] == root_class
        writer.write(b"\x30\x0c\2\1\1\x6f\7\x0a\1" + (b"\6" if is_true else b"\5") + b"\4\0\4\0")
        await reader.read()

    return play


@pytest.mark.parametrize(("role", "code"), [("master", Code.PASS), ("slave", Code.NO_MATCH)])
async def test_redis(tools: CheckResources, role: str, code: Code) -> None:
    async with ScriptedServer(redis(role)) as server:
        result = await probe(tools, REDIS, port=server.port, limit=1)
    assert result.code == code


@pytest.mark.parametrize(("name", "code"), [(b"top", Code.PASS), (b"dc", Code.NO_MATCH)])
async def test_ldap(tools: CheckResources, name: bytes, code: Code) -> None:
    async with ScriptedServer(directory(name)) as server:
        result = await probe(tools, LDAP, port=server.port, limit=1)
    assert result.code == code


async def test_smtp(tools: CheckResources) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(object(), hostname="mx"), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await probe(tools, MAIL, port=port)
    assert result.outcome is Outcome.PASS
    assert result.text.startswith("220 mx ")
