"""The HTTP connector on a socket: what only that transport can get wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors import admission, http
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.http_peer import Peer, Reply, peer
from tests.pdns.transports import LOOPBACK, http_settings, serve_http
from tests.pdns.world import World
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS, is_older_than
from tests.rigs.waiting import passes, until

LOOKUP = b"GET /dns/lookup/v4%2elb%2eexample%2e/ANY HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def port(world: World) -> AsyncIterator[int]:
    async with serve_http(Responder(world.current)) as port:
        yield port


def body(reply: Reply) -> object:
    return json.loads(reply.body)["result"]


async def test_a_connection_serves_one_request_after_another(port: int) -> None:
    async with peer(port) as client:
        for _ in range(3):
            reply = await client.say(LOOKUP)
            assert reply.status == 200
            assert reply.headers["content-type"] == "application/json"
            assert b"10.0.0.4" in reply.body
        # Several in one piece, and one in several pieces.
        client.writer.write(LOOKUP * 3)
        assert [(await client.hear()).status for _ in range(3)] == [200, 200, 200]
        for byte in LOOKUP:
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert (await client.hear()).status == 200


async def test_a_client_that_wants_to_leave_may(port: int) -> None:
    async with peer(port) as client:
        reply = await client.say(LOOKUP.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await client.is_left()
    async with peer(port) as client:
        assert (await client.say(LOOKUP.replace(b"1.1", b"1.0"))).status == 200
        assert await client.is_left()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /dns/lookup/%zz/ANY", 400),
        (b"GET /dns/lookup/%/ANY", 400),
        (b"GET /dns/lookup/%ff/ANY", 400),
        (b"GET /dns/lookup/x\xff/ANY", 400),
        (b"GET /dns/lookup/onlyname", 400),
        (b"GET /dns/lookup/" + b"x" * 65536 + b"/ANY", 400),
        (b"GET /dns/searchRecords?pattern=%2a", 400),
        (b"GET /", 404),
        (b"GET /dnsx/lookup/x/ANY", 404),
        (b"GET /../dns/lookup/x/ANY", 404),
        (b"DELETE /dns/lookup/x/ANY", 405),
        (b"HEAD /dns/lookup/x/ANY", 405),
        (b"OPTIONS /dns/lookup/x/ANY", 405),
        (b"BREW /dns/lookup/x/ANY", 400),
        (b"G@T /dns/lookup/x/ANY", 400),
        (b"\x16\x03\x01\x02\x00", 400),
    ],
)
async def test_what_no_powerdns_sends_is_a_client_error(
    port: int, request_line: bytes, status: int
) -> None:
    async with peer(port) as client:
        client.writer.write(request_line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        head = (await client.reader.readuntil(b"\r\n")).split()
        assert int(head[1]) == status
        assert b"Traceback" not in await client.reader.read(4096)


@pytest.mark.parametrize("name", ["%00", "a%00b%2e", "%0d%0aX%3a%20y", "." * 3000, "%2e" * 2000])
async def test_names_that_cannot_exist_do_not(port: int, name: str) -> None:
    async with peer(port) as client:
        line = f"GET /dns/lookup/{name}/ANY HTTP/1.1\r\nHost: x\r\n\r\n"
        reply = await client.say(line.encode())
        assert (reply.status, body(reply)) == (200, [])


async def test_a_wrong_verb_is_told_the_right_one(port: int) -> None:
    async with peer(port) as client:
        reply = await client.say(LOOKUP.replace(b"GET", b"PUT"))
        assert (reply.status, reply.headers["allow"]) == (405, "get")


async def test_a_body_has_a_limit(port: int) -> None:
    limit = 1024 * 1024
    for size, status in ((limit // 2, 400), (limit + 1, 413)):
        async with peer(port) as client:
            client.writer.write(
                b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
            )
            client.writer.write(b"[" * size)
            assert (await client.hear()).status == status


async def test_a_body_that_unpacks_to_more_is_left_packed(port: int) -> None:
    async with peer(port) as client:
        reply = await client.say(
            b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 4\r\n\r\n\x1f\x8b\0\0"
        )
        assert reply.status == 400


async def test_a_fault_is_a_500_without_its_traceback_and_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Snapshot:
        raise ZeroDivisionError("the secret of the fault")

    async with serve_http(Responder(broken)) as port, peer(port) as client:
        for _ in range(50):
            reply = await client.say(LOOKUP)
            assert reply.status == 500
            assert b"secret" not in reply.body
    (record,) = caplog.records
    assert "ZeroDivisionError" in str(record.exc_info)


async def test_what_is_no_http_is_logged_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        async with peer(port) as client:
            await client.say(b"GET / HTTP/1.1\r\n\r\n")
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)


async def test_not_ready_is_a_500(port: int) -> None:
    async with peer(port) as client:
        assert (await client.say(LOOKUP.replace(b"v4", b"pending"))).status == 500
        assert (await client.say(LOOKUP)).status == 200


async def test_only_allowed_peers_are_answered(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen_tcp(AddressPort("::", 0))
    connector = HttpConnector(Responder(world.current), [ip_network("127.0.0.2")])
    await connector.start([listener])
    port = listener.getsockname()[1]
    try:
        for host in ("127.0.0.1", "::1"):
            async with peer(port, host) as client:
                reply = await client.say(LOOKUP)
                assert reply.status == 403
                assert b"allow" in reply.body
                assert await client.is_left()
            # Whose PowerDNS does not start finds out why.
            assert f"[server] allow does not name {host}" in caplog.text
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=("127.0.0.2", 0)
        )
        assert (await Peer(reader, writer).say(LOOKUP)).status == 200
        writer.close()
    finally:
        await connector.stop(grace=0)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"127.0.0.1:8053", 200),
        (b"[::1]:8053", 200),
        (b"localhost", 200),
        (b"dnslb:8053", 200),
        (b"LB.Example.com.:8053", 200),
        (b"rebound.attacker.example:8053", 403),
        (b"127.0.0.1.attacker.example", 403),
        (b"lb.example.com.attacker.example", 403),
        (b"[attacker.example]", 403),
    ],
)
async def test_a_page_of_a_foreign_name_reads_nothing(
    world: World, host: bytes, status: int
) -> None:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    connector = HttpConnector(Responder(world.current), LOOPBACK, hosts=["lb.example.com"])
    await connector.start([listener])
    async with peer(listener.getsockname()[1]) as client:
        reply = await client.say(LOOKUP.replace(b"Host: x", b"Host: " + host))
        assert reply.status == status
        assert (b"hosts" in reply.body) == (status == 403)
    await connector.stop(grace=0)


async def test_a_peer_that_may_not_ask_cannot_hold_a_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "REFUSAL_TIMEOUT", 0.01)
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    connector = HttpConnector(Responder(world.current), [])
    await connector.start([listener])
    async with peer(listener.getsockname()[1]) as client:
        assert await client.is_left()
    await connector.stop(grace=0)


async def test_peers_that_may_not_ask_cannot_pile_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REFUSAL_LIMIT", 2)
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    connector = HttpConnector(Responder(world.current), [])
    await connector.start([listener])
    port = listener.getsockname()[1]
    for _ in range(3):
        async with peer(port) as first, peer(port) as second, peer(port) as third:
            assert await first.is_left()
            assert (await second.say(LOOKUP)).status == (await third.say(LOOKUP)).status == 403
    await connector.stop(grace=0)


async def test_a_peer_that_does_not_read_is_cut_off(port: int) -> None:
    async with peer(port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        request = LOOKUP.replace(b"v4%2elb%2eexample%2e/ANY", b"").replace(
            b"lookup/", b"searchRecords?pattern=%2a&maxResults=10000"
        )

        async def ask_on() -> None:
            while True:
                client.writer.write(request * 100)
                await client.writer.drain()

        with pytest.raises(ConnectionError):
            await ask_on()


async def test_stopping_lets_every_connection_end_with_an_answer(world: World) -> None:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    port = listener.getsockname()[1]
    connector = HttpConnector(Responder(world.current), [ip_network("127.0.0.1")])
    await connector.start([listener])
    async with peer(port) as busy, peer(port) as idle:
        assert (await busy.say(LOOKUP)).status == (await idle.say(LOOKUP)).status == 200
        stopping = asyncio.create_task(connector.stop(grace=0.5))
        await until(lambda: listener.fileno() == -1)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        reply = await busy.say(LOOKUP)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await busy.is_left()
        assert not stopping.done()
        assert await idle.is_left()
        await stopping


async def test_stopping_waits_for_nobody_when_there_is_no_grace(world: World) -> None:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    connector = HttpConnector(Responder(world.current), [ip_network("127.0.0.1")])
    await connector.start([listener])
    async with peer(listener.getsockname()[1]) as idle, peer(listener.getsockname()[1]) as slow:
        assert (await idle.say(LOOKUP)).status == 200
        slow.writer.write(LOOKUP[:-2])
        async with asyncio.timeout(5):
            await connector.stop(grace=0)
            assert await idle.is_left()
            assert await slow.is_left()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        LOOKUP[:-2],
        b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        LOOKUP + LOOKUP[:20],
    ],
    ids=["nothing", "half a head", "half a body", "half a second request"],
)
async def test_who_never_gets_to_the_end_of_a_request_is_left(world: World, sent: bytes) -> None:
    connector = serve_http(Responder(world.current), patience=0.1)
    async with connector as port, peer(port) as slow, peer(port) as calm:
        assert (await calm.say(LOOKUP)).status == 200
        slow.writer.write(sent)
        if sent.startswith(LOOKUP):
            assert (await slow.hear()).status == 200
            slow.writer.write(b"x")
        async with asyncio.timeout(5):
            while not await slow.is_left():
                """What it is told on the way is of no matter."""
        # Silence between two requests is no half a request.
        assert (await calm.say(LOOKUP)).status == 200


async def test_powerdns_takes_no_harm_when_an_idle_connection_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_older_than(4, 5):
        pytest.skip("the next lookup over that connection is SERVFAIL")
    monkeypatch.setattr(http, "KEEP_ALIVE", 0.2)
    async with serve_http(Responder(world.current)) as port, PowerDNS(http_settings(port)) as pdns:
        for _ in range(8):
            assert (await pdns.ask("v4.lb.example")).rcode == "NOERROR"
            await passes(0.4)


async def test_a_request_may_come_in_pieces(world: World) -> None:
    """Each before the patience is over; and silence follows it."""
    body = b'{"method": "lookup", "parameters": {"qname": "v4.lb.example.", "qtype": "ANY"}}'
    head = b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serve_http(Responder(world.current), patience=0.2) as port, peer(port) as slow:
        for _ in range(3):
            for piece in (head[:30], head[30:], body[:20], body[20:]):
                slow.writer.write(piece)
                await passes(0.02)
            assert (await slow.hear()).status == 200
            await passes(0.5)


async def test_stopping_takes_no_time_when_nobody_is_there(world: World) -> None:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    connector = HttpConnector(Responder(world.current), [])
    await connector.stop(grace=60)
    await connector.start([listener])
    async with asyncio.timeout(5):
        await connector.stop(grace=60)


async def test_a_wrong_url_in_pdns_conf_is_no_nxdomain(port: int) -> None:
    settings = http_settings(port)
    wrong = f"http:url=http://127.0.0.1:{port}/wrong"
    zone_cache_off = {"zone-cache-refresh-interval": 0}
    async with PowerDNS({**settings, **zone_cache_off, "remote-connection-string": wrong}) as pdns:
        assert (await pdns.ask("www.lb.example")).rcode == "SERVFAIL"


async def test_without_a_zone_cache_every_label_is_tried_for_a_zone(port: int) -> None:
    async with PowerDNS({**http_settings(port), "zone-cache-refresh-interval": 0}) as pdns:
        for name in ("www.lb.example", "x.wild.lb.example", "leaf.b.deep.lb.example"):
            assert (await pdns.ask(name, "TXT")).rcode == "NOERROR"
        assert (await pdns.ask("www.lb.example")).addresses == {"10.0.0.1", "10.0.0.2"}
        assert (await pdns.ask("nope.lb.example")).rcode == "NXDOMAIN"
        assert (await pdns.ask("pending.lb.example")).rcode == "SERVFAIL"
        assert (await pdns.ask("nope.example")).rcode == "REFUSED"


async def test_the_api_of_powerdns_searches_our_records(port: int) -> None:
    api = free_port()
    settings = {"api": "yes", "api-key": "k", "webserver-port": api}
    async with PowerDNS({**http_settings(port), **settings}), peer(api) as client:
        reply = await client.say(
            b"GET /api/v1/servers/localhost/search-data?q=*alias*&max=50 HTTP/1.1\r\n"
            b"Host: x\r\nX-API-Key: k\r\n\r\n"
        )
        names = {found["name"] for found in json.loads(reply.body)}
        assert {"alias.lb.example.", "far-alias.lb.example."} <= names
