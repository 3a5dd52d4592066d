"""What both HTTP listeners, PowerDNS's connector and that of operators, make of odd clients."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.http_server import HttpConnection
from dnslb_backend.pdns.methods.responder import Responder
from tests.admin.node import Node, serving
from tests.pdns.transports import serve_http
from tests.pdns.world import World
from tests.rigs.processes import descriptors
from tests.rigs.waiting import until

GARBAGE = b"\x16\x03\x01garbage\r\n\r\n"


class Listener(NamedTuple):
    port: int
    path: str

    @property
    def request(self) -> bytes:
        return f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, *pieces: bytes, ends: bool = False) -> bytes:
        """All that is answered until the other side hangs up."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if ends:
            writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture(params=["connector", "operators"])
async def listener(request: pytest.FixtureRequest) -> AsyncIterator[Listener]:
    if request.param == "connector":
        async with serve_http(Responder(World().current)) as port:
            yield Listener(port, "/dns/lookup/v4%2elb%2eexample%2e/ANY")
    else:
        async with serving(Node(), AdminSettings(listen="127.0.0.1:0")) as url:
            yield Listener(int(url.rpartition(":")[2].strip("/")), "/api/v1/status")


async def test_connections_that_sent_garbage_are_freed_at_once(listener: Listener) -> None:
    """They must not wait for the garbage collector."""
    gc.collect()
    others = connections()
    gc.disable()
    try:
        for _ in range(5):
            await listener.say(GARBAGE)
        await until(lambda: connections() <= others)
    finally:
        gc.enable()


def connections() -> set[int]:
    """The ids of all that this process has; other tests may have left some."""
    return {id(each) for each in gc.get_objects() if isinstance(each, HttpConnection)}


@pytest.mark.parametrize("count", [1, 5])
async def test_a_client_that_ends_its_half_is_answered(listener: Listener, count: int) -> None:
    answer = await listener.say(listener.request * count, ends=True)
    assert answer.count(b"HTTP/1.1 200 OK") == count
    assert answer.rstrip().endswith(b"}")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\n", b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"],
    ids=["nothing", "half a head", "half a body"],
)
async def test_a_client_that_ends_within_a_request_is_left(listener: Listener, sent: bytes) -> None:
    assert b" 200 " not in await listener.say(sent, ends=True)


@pytest.mark.parametrize("is_whole", [True, False], ids=["in one piece", "in two"])
async def test_what_precedes_garbage_is_answered(listener: Listener, is_whole: bool) -> None:
    body = b'{"method": "lookup", "parameters": {"qname": "v4.lb.example.", "qtype": "ANY"}}'
    form = b"POST /dns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    good = [listener.request, listener.request]
    if listener.path.startswith("/dns"):
        good.append(form)
    sent = b"".join(good)
    answer = await (listener.say(sent + GARBAGE) if is_whole else listener.say(sent, GARBAGE))
    assert answer.count(b"HTTP/1.1 200 OK") == len(good)
    assert answer.count(b" 400 ") == 1
    assert answer.rindex(b" 200 ") < answer.rindex(b" 400 ")


async def test_a_body_that_turns_bad_is_refused_at_once(listener: Listener) -> None:
    head = b"POST /dns HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 200 " not in await listener.say(head, b"zz\r\n")


@pytest.mark.parametrize("sent", [b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", GARBAGE])
async def test_no_answer_says_which_software_it_is_from(listener: Listener, sent: bytes) -> None:
    answer = await listener.say(sent, ends=True)
    assert answer.startswith(b"HTTP/1.")
    for word in (b"aiohttp", b"Python"):
        assert word not in answer


async def test_an_event_stream_ends_when_its_client_does() -> None:
    async with serving(Node(), AdminSettings(listen="127.0.0.1:0")) as url:
        listener = Listener(int(url.rpartition(":")[2].strip("/")), "/api/v1/events")
        reader, writer = await listener.connect()
        writer.write(listener.request)
        await reader.readuntil(b"retry:")
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()


async def test_clients_that_come_and_go_leave_nothing(listener: Listener) -> None:
    await listener.say(listener.request, ends=True)
    before = len(descriptors())
    loop = asyncio.get_running_loop()
    for number in range(1000):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", listener.port))
        if number % 3:
            await loop.sock_sendall(sock, listener.request[: number % 40])
        sock.close()
    await until(lambda: len(descriptors()) <= before, what="closed connections")
    assert await listener.say(listener.request, ends=True)


async def test_a_client_of_one_byte_at_a_time_holds_up_nobody(listener: Listener) -> None:
    _, slow = await listener.connect()
    for byte in listener.request[:-1]:
        slow.write(bytes([byte]))
        await slow.drain()
        answer = await listener.say(listener.request, ends=True)
        assert answer.startswith(b"HTTP/1.1 200")
    slow.close()
