"""Questions to name servers, and answers that are none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rrset
import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.nameserver import NanoNameServer
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import ScriptedServer, saying
from tests.rigs.ports import free_port

NAME = "www.lb.example"


@pytest.fixture
async def server() -> AsyncIterator[NanoNameServer]:
    async with NanoNameServer() as server:
        server.put(NAME, "A", "192.0.2.1", "192.0.2.2")
        server.put(NAME, "TXT", '"weight=7"')
        yield server


def question(server: NanoNameServer, **keys: Any) -> dict[str, Any]:
    return {"type": "dns", "name": NAME, "port": server.port, **keys}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({}, 0),
        ({"expect": r"(?m)^192\.0\.2\.2$"}, 0),
        ({"expect": r"(?m)^192\.0\.2\.3$"}, -1),
        ({"qtype": "AAAA"}, 0),
        ({"qtype": "AAAA", "expect": "."}, -1),
        ({"qtype": "txt", "expect": "weight"}, 0),
        ({"name": "no.example"}, -6),
        ({"name": "no.example", "rcode": "nxdomain"}, 0),
        ({"rcode": "NXDOMAIN"}, -6),
        ({"authoritative": True}, 0),
        ({"recursive": True}, 0),
    ],
)
async def test_the_answer_decides(
    tools: CheckResources, server: NanoNameServer, transport: str, keys: dict[str, Any], code: int
) -> None:
    result = await probe(tools, question(server, transport=transport, **keys))
    assert result.code == code
    assert {key[2] for key in server.queries} == {transport}


async def test_the_text_and_the_numbers(tools: CheckResources, server: NanoNameServer) -> None:
    result = await probe(tools, question(server))
    assert result.text in ("NOERROR: 192.0.2.1", "NOERROR: 192.0.2.2")
    result = await probe(tools, question(server, qtype="TXT", weight={"regex": r"=(\d+)"}))
    assert result.weight == 7


async def test_an_answer_that_is_not_authoritative(
    tools: CheckResources, server: NanoNameServer
) -> None:
    server.authoritative = False
    result = await probe(tools, question(server, authoritative=True))
    assert (result.code, result.text) == (Code.STATUS, "the answer is not authoritative")


async def test_a_server_that_cannot_answer(tools: CheckResources, server: NanoNameServer) -> None:
    server.codes[NAME] = dns.rcode.SERVFAIL
    result = await probe(tools, question(server))
    assert (result.code, result.text) == (Code.STATUS, "SERVFAIL, not NOERROR")


async def test_a_large_answer_comes_over_tcp(tools: CheckResources, server: NanoNameServer) -> None:
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(1000)]
    server.put(NAME, "A", *addresses)
    result = await probe(tools, question(server, expect=r"(?m)^10\.0\.3\.249$"))
    assert result.outcome is Outcome.PASS
    assert server.queries[NAME, "A", "tcp"] == 1


@pytest.mark.parametrize("garbage", [b"", b"\x81\x80", b"\x81\x80" + b"\xc0" * 200])
async def test_garbage_is_no_match(
    tools: CheckResources, server: NanoNameServer, garbage: bytes
) -> None:
    server.garbage[NAME] = garbage
    result = await probe(tools, question(server))
    assert result.code == Code.NO_MATCH


async def test_an_answer_with_another_number_is_not_heard(
    tools: CheckResources, server: NanoNameServer
) -> None:
    server.foreign.add(NAME)
    result = await probe(tools, question(server), limit=0.3)
    assert result.code == Code.TIMEOUT


async def test_silence(tools: CheckResources, server: NanoNameServer) -> None:
    server.silent.add(NAME)
    result = await probe(tools, question(server), limit=0.3)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.3 s")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_port_where_nobody_listens(tools: CheckResources, transport: str) -> None:
    table = {"type": "dns", "name": NAME, "port": free_port(), "transport": transport}
    assert (await probe(tools, table)).code == Code.REFUSED


@pytest.mark.parametrize("said", [b"", b"\x00", b"\x00\xffshort"])
async def test_a_connection_that_breaks_off(tools: CheckResources, said: bytes) -> None:
    async with ScriptedServer(saying(said)) as server:
        table = {"type": "dns", "name": NAME, "port": server.port, "transport": "tcp"}
        assert (await probe(tools, table)).code == Code.REFUSED


class _Server(asyncio.DatagramProtocol):
    """Answers each query with the datagrams that `replies` makes of it."""

    def __init__(self, replies: Callable[[dns.message.Message], list[bytes]]) -> None:
        self._replies = replies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for reply in self._replies(dns.message.from_wire(data)):
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def answers(replies: Callable[[dns.message.Message], list[bytes]]) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Server(replies), local_addr=(HERE, 0)
    )
    yield transport.get_extra_info("sockname")[1]
    transport.abort()


def right(query: dns.message.Message) -> bytes:
    return dns.message.make_response(query).to_wire()


def other(query: dns.message.Message) -> bytes:
    """The right number, and an answer to something else."""
    question = dns.message.make_query("other.example", "A", id=query.id)
    return dns.message.make_response(question).to_wire()


def number(query: dns.message.Message) -> bytes:
    wire = right(query)
    return bytes([wire[0] ^ 0xFF]) + wire[1:]


@pytest.mark.parametrize("first", [other, number, dns.message.Message.to_wire])
async def test_the_right_answer_is_waited_for(
    tools: CheckResources, first: Callable[[dns.message.Message], bytes]
) -> None:
    async with answers(lambda query: [*[first(query)] * 3, right(query)]) as port:
        result = await probe(tools, {"type": "dns", "name": NAME, "port": port})
    assert result.outcome is Outcome.PASS


async def test_only_wrong_answers_are_a_wrong_answer(tools: CheckResources) -> None:
    async with answers(lambda query: [other(query)]) as port:
        result = await probe(tools, {"type": "dns", "name": NAME, "port": port}, limit=0.3)
    assert (result.code, result.text) == (-1, "the message does not answer the query")


async def test_a_flood_of_datagrams_is_cut_off(tools: CheckResources) -> None:
    async with answers(lambda query: [number(query)] * 100) as port:
        result = await probe(tools, {"type": "dns", "name": NAME, "port": port}, limit=20)
    assert (result.code, result.text) == (-1, "64 messages that do not answer the query")


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
@pytest.mark.parametrize("bare", [True, False], ids=["header only", "with the question"])
async def test_a_server_without_edns_is_asked_without_it(
    tools: CheckResources, rcode: dns.rcode.Rcode, bare: bool
) -> None:
    def replies(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        if query.edns >= 0:
            reply.use_edns(False)
            reply.set_rcode(rcode)
            if bare:
                reply.question.clear()
        return [reply.to_wire()]

    async with answers(replies) as port:
        result = await probe(tools, {"type": "dns", "name": NAME, "port": port})
        wanted = {"type": "dns", "name": NAME, "port": port, "rcode": dns.rcode.to_text(rcode)}
        assert (await probe(tools, wanted)).outcome is Outcome.PASS
    assert result.outcome is Outcome.PASS


async def test_the_version_of_a_server(tools: CheckResources) -> None:
    def replies(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        if query.question[0].rdclass == dns.rdataclass.CH:
            name = query.question[0].name
            reply.answer.append(dns.rrset.from_text(name, 0, "CH", "TXT", '"9.18"'))
        return [reply.to_wire()]

    table = {"type": "dns", "name": "version.bind", "qtype": "TXT", "expect": "9"}
    async with answers(replies) as port:
        assert (await probe(tools, {**table, "port": port})).code == -1
        chaos = await probe(tools, {**table, "port": port, "qclass": "CH"})
    assert chaos.outcome is Outcome.PASS


def test_description() -> None:
    check = parse_check({"type": "dns", "name": NAME})
    assert check.describe(ProbeEndpoint("::1")) == f"DNS {NAME} A @[::1]:53"
    assert check.describe(ProbeEndpoint(HERE, 5353)) == f"DNS {NAME} A @{HERE}:5353"
