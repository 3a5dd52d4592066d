"""Lookups over HTTP in the form that PowerDNS uses: answered as aiohttp would, without it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.metrics import REGISTRY
from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.rest import WholeLookup, parse_whole_lookup
from tests.pdns.http_peer import Peer, Reply, peer
from tests.pdns.transports import LOOPBACK, http_settings, serve_http
from tests.pdns.world import World
from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import until


def lookup(name: str, qtype: str = "ANY", host: str = "127.0.0.1") -> bytes:
    """As PowerDNS 4.7 to 5.1 sends it."""
    return (
        f"GET /dns/lookup/{name.replace('.', '%2e')}/{qtype} HTTP/1.1\r\n"
        f"Accept: application/json\r\nConnection: Keep-Alive\r\nHost: {host}\r\n"
        "User-Agent: YaHTTP v1.0\r\nX-Remotebackend-Local: 127.0.0.1\r\n"
        "X-Remotebackend-Real-Remote: 192.0.2.7/32\r\nX-Remotebackend-Remote: 192.0.2.7\r\n"
        "X-Remotebackend-Zone-Id: -1\r\n\r\n"
    ).encode()


V4 = lookup("v4.lb.example.")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Peer]:
    async with serve_http(Responder(world.current)) as port, peer(port) as client:
        yield client


async def parsed(client: Peer, request: bytes) -> Reply:
    """The answer to a request in two pieces, which aiohttp parses."""
    client.writer.write(request[:30])
    await client.writer.drain()
    await until(lambda: client.writer.transport.get_write_buffer_size() == 0)
    return await client.say(request[30:])


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (V4, 200),
        (lookup("V4.LB.example.", "any"), 200),
        (lookup("www.lb.example.", "A"), 200),
        (lookup("www.lb.example.", "SOA"), 200),
        (lookup("empty.lb.example."), 200),
        (lookup("nope.lb.example."), 200),
        (lookup("x.wild.lb.example."), 200),
        (lookup("elsewhere.example."), 200),
        (lookup("%zz.lb.example."), 400),
        (lookup("pending.lb.example."), 500),
        (lookup("v4.lb.example.", host="attacker.example"), 403),
    ],
)
async def test_a_request_in_one_piece_is_answered_as_one_in_two(
    client: Peer, request_: bytes, status: int
) -> None:
    # Twice: what was found before is known.
    at_once = [await client.say(request_) for _ in range(2)]
    assert [reply.status for reply in at_once] == [status] * 2
    slow = await parsed(client, request_)
    for reply in at_once:
        assert (reply.status, reply.body) == (slow.status, slow.body)
        assert reply.headers.keys() <= slow.headers.keys()
        assert reply.headers["content-type"] == slow.headers["content-type"]


async def test_powerdns_sends_its_lookups_in_this_form() -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while request := await reader.read(65536):
                received.append(request)
                body = b'{"result":false}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {**http_settings(port), "zone-cache-refresh-interval": 0}
    async with server, PowerDNS(settings) as pdns:
        await pdns.ask("www.Shop.example", ecs="198.51.100.0/24")
    lookups = [request for request in received if request.startswith(b"GET /dns/lookup/")]
    found = [parse_whole_lookup(request) for request in lookups]
    assert None not in found
    names = [(each.qname, each.qtype) for each in found if each is not None]
    assert ("www.Shop.example.", "SOA") in names


@pytest.mark.parametrize(
    "request_",
    [
        V4 + V4,
        V4 + b"x",
        V4[:-2],
        b" " + V4,
        V4.replace(b"GET", b"HEAD"),
        V4.replace(b"1.1", b"1.0"),
        V4.replace(b"Keep-Alive", b"close"),
        V4.replace(b"/ANY", b"/ANY?x=y"),
        V4.replace(b"/ANY", b"/ANY/1"),
        V4.replace(b"/ANY", b""),
        V4.replace(b"lookup", b"list"),
        V4.replace(b"v4", b"v\xff"),
        V4.replace(b"v4", b"v 4"),
        V4.replace(b"Accept: ", b"Content-Length: 2\r\nAccept: "),
        V4.replace(b"Accept: ", b"Transfer-Encoding: chunked\r\nAccept: "),
        V4.replace(b"Host: ", b"Host: attacker.example\r\nHost: "),
        V4.replace(b"192.0.2.7/32", b"192.0.2.7/32\r\nX: y"),
        V4.replace(b"192.0.2.7/32", b"192.0.2.7\n/32"),
        V4.replace(b"192.0.2.7/32", b"\0"),
        V4.replace(b"\r\n", b"\n"),
        V4.replace(b"Zone-Id: -1", b"Zone-Id: " + b"1" * 256),
        lookup("x" * 4097),
    ],
)
def test_anything_else_is_left_to_the_parser(request_: bytes) -> None:
    assert parse_whole_lookup(V4) == WholeLookup(
        "v4.lb.example.", "ANY", "127.0.0.1", "192.0.2.7/32"
    )
    assert parse_whole_lookup(request_) is None


async def test_answers_keep_the_order_of_their_requests(client: Peer) -> None:
    write = b'{"method": "lookup", "parameters": {"qname": "www.lb.example.", "qtype": "ANY"}}'
    post = b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(write), write)
    for pieces in ([post, V4], [post[:-5], post[-5:], V4], [V4 + V4[:9], V4[9:], V4], [V4 * 3]):
        for piece in pieces:
            client.writer.write(piece)
            await client.writer.drain()
        replies = [await client.hear() for _ in range(b"".join(pieces).count(b"HTTP/1.1"))]
        assert {reply.status for reply in replies} == {200}
        is_first_posted = b"10.0.0.1" in replies[0].body
        assert is_first_posted == pieces[0].startswith(b"POST")
        assert all(b"10.0.0.4" in reply.body for reply in replies[is_first_posted:])


async def test_what_looks_like_a_lookup_within_another_request_is_none(client: Peer) -> None:
    begun = b"POST /dns/lookup HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX: "
    assert (await client.say(V4 + begun)).status == 200
    client.writer.write(V4)
    client.writer.write(b"x" * 1000)
    assert (await client.hear()).status == 400


@asynccontextmanager
async def serving(connector: HttpConnector) -> AsyncIterator[socket.socket]:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    await connector.start([listener])
    try:
        yield listener
    finally:
        await connector.stop(grace=0)


async def test_a_reload_that_takes_a_host_away_is_followed(world: World) -> None:
    connector = HttpConnector(Responder(world.current), LOOPBACK, hosts=["dns.example.com"])
    request = lookup("v4.lb.example.", host="dns.example.com")
    async with serving(connector) as listener, peer(listener.getsockname()[1]) as client:
        assert [(await client.say(request)).status for _ in range(2)] == [200, 200]
        connector.allow(LOOPBACK)
        assert (await client.say(request)).status == 403
        connector.allow(LOOPBACK, hosts=["dns.example.com"])
        assert (await client.say(request)).status == 200


async def test_a_change_is_answered_at_once(world: World, client: Peer) -> None:
    assert b"10.0.0.4" in (await client.say(V4)).body
    world.change("v4", "A", "10.0.0.5")
    assert b"10.0.0.5" in (await client.say(V4)).body
    world.decide(world.serve("v4", "A", "10.0.0.4"), Decision(DecisionKind.PENDING))
    assert (await client.say(V4)).status == 500


async def test_each_is_counted_once(client: Peer) -> None:
    def counted(outcome: str) -> float:
        labels = {"transport": "http", "outcome": outcome}
        return REGISTRY.get_sample_value("dnslb_lookups_total", labels) or 0.0

    for request, outcome in (
        (V4, "found"),
        (lookup("nope.lb.example."), "nxdomain"),
        (lookup("pending.lb.example."), "servfail"),
    ):
        for number in range(1, 4):
            before = counted(outcome)
            await client.say(request)
            assert counted(outcome) == before + 1, (outcome, number)


async def test_a_fault_is_a_500_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Snapshot:
        raise ZeroDivisionError("the secret of the fault")

    async with serve_http(Responder(broken)) as port, peer(port) as client:
        for _ in range(50):
            reply = await client.say(V4)
            assert reply.status == 500
            assert b"secret" not in reply.body
    (record,) = caplog.records
    assert "ZeroDivisionError" in str(record.exc_info)


async def test_a_peer_that_does_not_read_is_cut_off(client: Peer) -> None:
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def ask_on() -> None:
        while True:
            client.writer.write(V4)
            await client.writer.drain()

    with pytest.raises(ConnectionError):
        await ask_on()


async def test_a_connection_ends_with_its_next_answer_once_the_connector_stops(
    world: World,
) -> None:
    connector = HttpConnector(Responder(world.current), LOOPBACK)
    async with serving(connector) as listener, peer(listener.getsockname()[1]) as client:
        assert (await client.say(V4)).status == 200
        stopping = asyncio.create_task(connector.stop(grace=10))
        await until(lambda: listener.fileno() == -1)
        reply = await client.say(V4)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.is_left()
        await stopping
