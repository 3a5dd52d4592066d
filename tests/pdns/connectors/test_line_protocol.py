"""The line connector on a socket: what only that transport can get wrong."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.model.records import Policy
from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.connectors import line_protocol as lines_module
from dnslb_backend.pdns.connectors.line_protocol import LINE_LIMIT, parse_lookup
from dnslb_backend.pdns.connectors.pipe_abi import MEMORABLE, as_lines
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.requests import parse_request
from tests.pdns.transports import serve_unix
from tests.pdns.world import World
from tests.rigs.waiting import passes, until


def lookup(name: str, qtype: str = "ANY", **more: str) -> bytes:
    """As PowerDNS writes it."""
    parameters = {
        "local": "0.0.0.0",
        "qname": name,
        "qtype": qtype,
        "real-remote": "0.0.0.0/0",
        "remote": "0.0.0.0",
        "zone-id": -1,
        **more,
    }
    return json.dumps({"method": "lookup", "parameters": parameters}).encode() + b"\n"


V4 = lookup("v4.lb.example.")


class Peer:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> Any:
        self.writer.write(data)
        return await self.hear()

    async def hear(self) -> Any:
        """The result of the next answer."""
        return json.loads(await self.line())["result"]

    async def line(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readuntil(b"\n")

    async def lines(self, end: bytes = b"END\n") -> list[bytes]:
        """An answer in the tabbed dialect."""
        found = [await self.line()]
        while found[-1] not in (end, b"FAIL\n"):
            found.append(await self.line())
        return found

    async def is_left(self) -> bool:
        """Whether the other side hangs up, having nothing more to say."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def peer(path: str) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def path(world: World) -> AsyncIterator[str]:
    async with serve_unix(Responder(world.current)) as path:
        yield path


async def test_a_connection_serves_one_request_after_another(path: str) -> None:
    async with peer(path) as client:
        assert await client.say(b'{"method": "initialize", "parameters": {"path": "x"}}\n') is True
        for _ in range(3):
            (row,) = await client.say(V4)
            assert row["content"] == "10.0.0.4"


async def test_what_is_asked_again_is_answered_with_what_is_true_now(
    world: World, path: str
) -> None:
    async with peer(path) as client:
        for address in ("10.0.1.1", "10.0.1.2", "10.0.1.1"):
            world.change("v4", "A", address)
            for _ in range(3):
                (row,) = await client.say(V4)
                assert row["content"] == address
        world.change("v4", "A")
        for _ in range(3):
            (row,) = await client.say(V4)
            assert row["qtype"] == "ENT"


async def test_what_depends_on_chance_is_decided_for_every_query(world: World) -> None:
    served = ("10.0.0.1", "10.0.0.2")
    key = world.add("dice", "A", Decision(DecisionKind.SERVE, served, weights=(1, 1)))
    world.records[key] = replace(world.records[key], policy=Policy.WEIGHTED)
    world.rebuild()
    chance = Random(1)
    askers = ClientCache(count().__next__, lambda: chance.getrandbits(64))
    async with (
        serve_unix(Responder(world.current, client_cache=askers)) as path,
        peer(path) as client,
    ):
        rows = [await client.say(lookup("dice.lb.example.")) for _ in range(20)]
    assert {row["content"] for (row,) in rows} == set(served)


async def test_pieces_and_heaps_of_requests_are_all_answered_in_their_order(path: str) -> None:
    async with peer(path) as client:
        asked = [V4, lookup("nope.lb.example."), b'{"method": "PING"}\n', lookup("www.LB.example.")]
        heap = b"".join(asked) * 50
        for cut in (1, 7, 1000, len(heap)):
            for start in range(0, len(heap), cut):
                client.writer.write(heap[start : start + cut])
                if cut < 1000:
                    await client.writer.drain()
            for _ in range(50):
                answers = [await client.hear() for _ in asked]
                assert [len(answers[0]), answers[1], answers[2]] == [1, [], False]
                assert len(answers[3]) == 3


SPELLINGS = [
    ({"qname": "sp\\032ace.lb.example."}, "192.0.2.45"),
    ({"qname": "a\\.b.LB.example."}, "192.0.2.44"),
    ({"qname": "v4.lb.example.", "remote": "fe80::1%eth0"}, "10.0.0.4"),
    ({"qname": "v4.lb.example.", "extra": {"qname": "nope."}}, "10.0.0.4"),
    ({"qname": "v4.lb.example.", "zone-id": 7.5}, "10.0.0.4"),
]


@pytest.mark.parametrize(("more", "content"), SPELLINGS)
async def test_what_is_spelt_another_way_means_the_same(
    path: str, more: dict[str, Any], content: str
) -> None:
    parameters = {**json.loads(V4)["parameters"], **more}
    request = {"method": "LookUp", "parameters": parameters}
    async with peer(path) as client:
        for spelt in (
            json.dumps(request),
            json.dumps(request, separators=(",", ":")),
            json.dumps({"parameters": parameters, "method": "lookup"}),
            json.dumps(request, ensure_ascii=False).replace("v4", "\\u00764"),
            f" \t{json.dumps(request)}\r",
        ):
            (row,) = await client.say(spelt.encode() + b"\n")
            assert row["content"] == content


letters = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.one_of(letters, st.integers(), st.none(), st.booleans(), st.lists(letters, max_size=2))


@given(
    st.fixed_dictionaries(
        {"local": letters, "qname": letters, "qtype": st.sampled_from(["A", "ANY", "TYPE65280"])},
        optional={"real-remote": letters, "remote": letters, "zone-id": values, "x": values},
    ),
    st.booleans(),
    st.integers(0, 300),
    st.binary(max_size=3),
)
def test_the_short_way_reads_what_the_long_way_reads(
    parameters: dict[str, Any], is_ascii: bool, place: int, noise: bytes
) -> None:
    text = json.dumps(
        {"method": "lookup", "parameters": parameters}, ensure_ascii=is_ascii, sort_keys=True
    )
    line = text.encode()
    for spoilt in (line, line[:place] + noise + line[place:], line[:place] + line[place + 1 :]):
        found = parse_lookup(spoilt + b"\n")
        if found is None:
            continue
        method, read = parse_request(spoilt)
        qname, qtype, remote = found
        assert method == "lookup"
        assert (qname, qtype, remote()) == (read["qname"], read["qtype"], read["real-remote"])


def test_the_short_way_is_taken_for_what_powerdns_sends() -> None:
    for name in (".", "www.lb.example.", "*.lb.example.", "_sip._tcp.lb.example."):
        for more in ({}, {"zone-id": 2**31 - 1}, {"remote": "2001:db8::1"}):
            assert parse_lookup(lookup(name, **more)) is not None


HOSTILE = [
    b"\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x00\n",
    b"\xff\xfe\n",
    b"[]\n",
    b"{}\n",
    b'{"method": []}\n',
    b'{"method": "lookup"}\n',
    b'{"method": "lookup", "parameters": {"qname": {}, "qtype": "A"}}\n',
    b"[" * 60_000 + b"\n",
    b"x" * (LINE_LIMIT + 1),
    b"HELO\n",
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: repr(data[:30]))
async def test_nonsense_ends_its_connection_and_no_other(
    path: str, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with peer(path) as good:
        assert await good.say(V4)
        for _ in range(10):
            async with peer(path) as client:
                client.writer.write(data)
                assert await client.is_left()
        assert await good.say(V4)
    (record,) = [record for record in caplog.records if record.name.startswith("dnslb")]
    assert (record.levelname, record.exc_info) == ("WARNING", None)


async def test_names_that_cannot_exist_do_not(path: str) -> None:
    async with peer(path) as client:
        for name in ("\0", "x" * 60_000, "." * 3000, "\n", "\ud800"):
            assert await client.say(lookup(name)) == []


async def test_what_was_asked_before_a_fault_is_still_answered(path: str) -> None:
    async with peer(path) as client:
        client.writer.write(V4 + lookup("pending.lb.example.") + V4)
        assert await client.hear()
        assert await client.is_left()


async def test_a_bug_is_logged_with_its_traceback_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Snapshot:
        raise ZeroDivisionError

    async with serve_unix(Responder(broken)) as path:
        for _ in range(20):
            async with peer(path) as client:
                client.writer.write(V4)
                assert await client.is_left()
    (record,) = [record for record in caplog.records if record.name.startswith("dnslb")]
    assert "ZeroDivisionError" in str(record.exc_info)


async def test_who_does_not_end_a_line_is_hung_up_on(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "READ_TIMEOUT", 0.1)
    async with peer(path) as slow, peer(path) as calm, peer(path) as silent:
        assert await calm.say(V4)
        assert await slow.say(V4)
        slow.writer.write(V4[:10])
        assert await slow.is_left()
        # Those who are between two lines, or before the first, may take their time.
        assert await calm.say(V4)
        assert await silent.say(V4)
        silent.writer.write(V4[:10])
        await passes(0.05)
        silent.writer.write(V4[10:])
        assert await silent.hear()
        await passes(0.2)
        assert await silent.say(V4)


async def test_a_peer_that_does_not_read_is_waited_for_and_costs_little(world: World) -> None:
    responder = Responder(world.current)
    connector = UnixConnector(responder)
    ours, theirs = socket.socketpair()
    await connector.adopt([lines_module.StoredConnection(ours)])
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    count = 20_000
    sending = asyncio.create_task(loop.sock_sendall(theirs, V4 * count))
    (one,) = connector._peers
    await until(lambda: one._is_paused)
    transport = one._transport
    assert transport is not None
    assert transport.get_write_buffer_size() < 4096
    assert not sending.done()
    received = 0
    while received < count:
        received += (await loop.sock_recv(theirs, 1 << 20)).count(b"\n")
    await sending
    theirs.close()
    await until(lambda: not connector._peers)
    assert received == count


async def some_bytes_a_turn(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """As one a second would be for the real READ_TIMEOUT."""
    with contextlib.suppress(OSError):
        while await loop.sock_recv(sock, 1):
            await passes(0.01)


@pytest.mark.parametrize("reads", [False, True])
async def test_who_does_not_read_its_answers_is_cut_off_and_no_other(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reads: bool
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(lines_module, "READ_TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setblocking(False)
        await loop.sock_connect(deaf, path)
        async with peer(path) as calm:
            assert await calm.say(V4)
            reading = asyncio.create_task(some_bytes_a_turn(loop, deaf) if reads else passes(0))
            # A few more than the system's buffers hold, and then nothing more.
            with contextlib.suppress(OSError):
                async with asyncio.timeout(10):
                    await loop.sock_sendall(deaf, V4 * 5000)
            await until(lambda: "not read within" in caplog.text)
            assert await calm.say(V4)
            reading.cancel()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_connections_that_come_and_go_leave_no_descriptor(path: str) -> None:
    before = descriptors()
    for number in range(1000):
        async with peer(path) as client:
            if number % 3 == 1:
                client.writer.write(V4[:10])
            elif number % 3 == 2:
                assert await client.say(V4)
    await until(lambda: descriptors() <= before)


# -- the tabbed dialect -----------------------------------------------------------------


def question(version: int, name: str, qtype: str = "ANY") -> bytes:
    """As PowerDNS's pipe backend writes it."""
    fields = ["Q", name, "IN", qtype, "-1", "192.0.2.1"]
    fields += ["127.0.0.1"] * (version >= 2) + ["192.0.2.0/24"] * (version >= 3)
    return "\t".join(fields).encode() + b"\n"


@pytest.mark.parametrize("version", range(1, 6))
async def test_the_tabbed_dialect(world: World, path: str, version: int) -> None:
    zone_id = world.zones["lb.example"].id
    scope = [b"0", b"1"] if version >= 3 else []
    async with peer(path) as client:
        client.writer.write(f"HELO\t{version}\n".encode())
        assert (await client.line()).startswith(b"OK\t")
        client.writer.write(question(version, "WWW.lb.example", "AAAA"))
        data, end = await client.lines()
        fields = [b"www.lb.example.", b"IN", b"AAAA", b"5", str(zone_id).encode(), b"2001:db8::1\n"]
        assert data.split(b"\t") == [b"DATA", *scope, *fields]
        assert end == b"END\n"
        client.writer.write(question(version, "_sip._tcp.lb.example"))
        assert (await client.lines())[0].endswith(b"\t1\t2 5060 www.lb.example\n")
        client.writer.write(question(version, "nope.lb.example."))
        assert await client.lines() == [b"END\n"]
        client.writer.write(question(version, "pending.lb.example"))
        assert await client.lines() == [b"FAIL\n"]
        client.writer.write(b"PING\n")
        assert await client.lines() == [b"END\n"]
        client.writer.write(b"CMD\tSTATUS v4.lb.example\n")
        assert b"10.0.0.4" in (await client.lines())[0]
        client.writer.write(f"AXFR\t{zone_id}\n".encode())
        assert await client.lines() == [b"FAIL\n"]  # pending is a fault
        world.change("pending", "A")
        for transfer in (f"AXFR\t{zone_id}\n", f"AXFR\t{zone_id}\tLB.example\n"):
            client.writer.write(transfer.encode())
            assert len(await client.lines()) == len(world.snapshot.rows("lb.example")) + 1


async def test_a_transfer_is_not_remembered_in_this_dialect(world: World, path: str) -> None:
    big = " ".join(['"' + "x" * 250 + '"'] * (MEMORABLE // 250))
    world.serve("big", "TXT", big)
    world.snapshot = world.build()
    world.change("pending", "A")
    zone_id = world.zones["lb.example"].id
    async with peer(path) as client:
        client.writer.write(b"HELO\t3\n")
        await client.line()
        known = as_lines.cache_info().currsize
        client.writer.write(b"AXFR\t%d\n" % zone_id)
        assert any(big.encode() in line for line in await client.lines())
        assert as_lines.cache_info().currsize == known


@pytest.mark.parametrize("hello", [b"HELO\t0\n", b"HELO\t6\n", b"HELO\t\n", b"HELO\tx\n"])
async def test_a_version_that_there_is_not_is_refused(path: str, hello: bytes) -> None:
    async with peer(path) as client:
        client.writer.write(hello)
        assert await client.line() == b"FAIL\n"


@pytest.mark.parametrize(
    "line",
    [b"", b"Q", b"Q\tx\tIN\tA\t1", b"AXFR\tx", b"AXFR\t1", b"AXFR\t-1\tnope", b"\xff", b"X\t"],
)
async def test_nonsense_in_the_tabbed_dialect_is_a_fault(path: str, line: bytes) -> None:
    async with peer(path) as client:
        client.writer.write(b"HELO\t5\n" + line + b"\n" + question(5, "v4.lb.example"))
        assert (await client.line()).startswith(b"OK")
        assert await client.lines() == [b"FAIL\n"]
        assert len(await client.lines()) == 2


# -- handing connections on -------------------------------------------------------------


async def test_a_connection_can_be_handed_on_between_two_requests(world: World) -> None:
    first, second = (UnixConnector(Responder(world.current)) for _ in range(2))
    pairs = [socket.socketpair() for _ in range(3)]
    await first.adopt([lines_module.StoredConnection(ours) for ours, _ in pairs])
    clients = []
    for _, theirs in pairs:
        clients.append(Peer(*await asyncio.open_unix_connection(sock=theirs)))
    json_peer, tabbed, slow = clients
    assert await json_peer.say(V4)
    tabbed.writer.write(b"HELO\t3\n")
    await tabbed.line()
    # This one is within a request when the process is to end, and will finish it.
    slow.writer.write(V4[:10])
    await until(lambda: any(peer._partial for peer in first._peers))
    stopping = asyncio.create_task(first.stop(grace=10))
    await until(lambda: len(first._peers) == 1)
    slow.writer.write(V4[10:])
    assert await slow.hear()
    handed = await stopping
    assert sorted(connection.dialect for connection in handed) == ["abi3", "json", "json"]
    # What is asked while nobody is there waits.
    json_peer.writer.write(V4)
    tabbed.writer.write(question(3, "v4.lb.example"))
    await second.adopt(handed)
    assert await json_peer.hear()
    assert len(await tabbed.lines()) == 2
    assert await slow.say(V4)
    for connection in await second.stop(grace=10):
        connection.sock.close()
    for client in clients:
        assert await client.is_left()
        client.writer.close()


async def test_what_is_within_a_request_too_long_is_cut_off(path: str, world: World) -> None:
    connector = UnixConnector(Responder(world.current))
    ours, theirs = socket.socketpair()
    await connector.adopt([lines_module.StoredConnection(ours)])
    client = Peer(*await asyncio.open_unix_connection(sock=theirs))
    client.writer.write(V4[:10])
    await until(lambda: any(peer._partial for peer in connector._peers))
    assert await connector.stop(grace=0.01) == []
    assert await client.is_left()
    client.writer.close()


async def test_an_unknown_dialect_is_not_adopted(world: World) -> None:
    connector = UnixConnector(Responder(world.current))
    ours, theirs = socket.socketpair()
    with theirs:
        await connector.adopt([lines_module.StoredConnection(ours, "klingon")])
        assert ours.fileno() == -1
    assert not connector._peers


def test_a_dialect_must_be_one() -> None:
    with pytest.raises(RequestError):
        parse_request(b"HELO\t1")
