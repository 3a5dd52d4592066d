"""Who speaks to the daemon as PowerDNS never would harms nobody, and leaves nothing behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.rigs.daemon import Daemon
from tests.rigs.powerdns import PowerDNS
from tests.rigs.processes import open_files, peak_memory
from tests.rigs.waiting import until
from tests.system.stream import Stream
from tests.system.writing import FINE, config, record

ADDRESS = "192.0.2.1"
LIMIT = 1024 * 1024
LONG = b"x" * 65536
EVERYTHING_FINE = {("www.lb.example", "A"): {ADDRESS}}


def get(path: bytes, *headers: bytes, verb: bytes = b"GET") -> bytes:
    lines = [verb + b" " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(body: bytes, path: bytes = b"/dns", *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return get(path, b"Content-Length: %d" % size, verb=b"POST") + body


def ask(method: object, **parameters: object) -> bytes:
    return post(json.dumps({"method": method, "parameters": parameters}).encode())


HOSTILE = {
    "half an escape": get(b"/dns/lookup/www%2/ANY"),
    "an escape that is none": get(b"/dns/lookup/%zz%2elb%2eexample%2e/ANY"),
    "bytes that are no UTF-8": get(b"/dns/lookup/%ff%fe%2elb%2eexample%2e/ANY"),
    "raw bytes": get(b"/dns/lookup/\xff\xfe/ANY"),
    "an escaped NUL": get(b"/dns/lookup/www%00%2elb%2eexample%2e/ANY"),
    "a NUL": get(b"/dns/lookup/w\0w/ANY"),
    "an escaped end of line": get(b"/dns/lookup/x%0d%0aX-Evil:%201/ANY"),
    "an escaped slash": get(b"/dns/lookup/..%2f..%2fetc%2fpasswd/ANY"),
    "64 KiB of a name": get(b"/dns/lookup/" + LONG + b"/ANY"),
    "64 KiB of a type": get(b"/dns/lookup/www/" + LONG),
    "64 KiB of a name in JSON": ask("lookup", qname="x" * 65536, qtype="ANY"),
    "64 KiB of labels in JSON": ask("lookup", qname="x." * 32768, qtype="ANY"),
    "half a megabyte of a name": ask("lookup", qname="x" * (LIMIT // 2), qtype="A"),
    "a name with a NUL in JSON": ask("lookup", qname="www\0.lb.example.", qtype="A"),
    "half a surrogate in JSON": post(b'{"method":"lookup","parameters":{"qname":"\\ud800"}}'),
    "a list for a name": ask("lookup", qname=["www"], qtype="A"),
    "a type that is a number": ask("lookup", qname="www.lb.example.", qtype=1),
    "a method that is a list": ask(["lookup"]),
    "endless nesting": post(b"[" * 100_000),
    "nested objects": post(b'{"a":' * 50_000),
    "a number of many digits": post(b'{"method":' + b"9" * 100_000 + b"}"),
    "no JSON": post(b"method=lookup"),
    "a form that is no JSON": post(b"parameters={", b"/dns/lookup"),
    "10,000 fields": post(b"&".join([b"a=b"] * 10_000), b"/dns/lookup"),
    "a search that never ends": get(b"/dns/searchRecords?pattern=" + b"*a" * 2000),
    "as many rows as there are": get(b"/dns/searchRecords?pattern=zzz&maxResults=1" + b"0" * 4000),
    "DELETE": get(b"/dns/lookup/www/A", verb=b"DELETE"),
    "PUT": get(b"/dns/lookup/www/A", verb=b"PUT"),
    "CONNECT": get(b"www.example:443", verb=b"CONNECT"),
    "TRACE": get(b"/dns/lookup/www/A", verb=b"TRACE"),
    "no verb of HTTP": get(b"/dns/lookup/www/A", verb=b"STEAL"),
    "an absolute URL": get(b"http://elsewhere.example/dns/lookup/www/A"),
    "no path": get(b""),
    "a body that is too long": post(b"[" * (LIMIT + 1)),
    "a length that is too long": post(b"", length=10**15),
    "a length below zero": post(b"", length=-1),
    "two lengths": get(b"/dns", b"Content-Length: 1", b"Content-Length: 2", verb=b"POST"),
    "a chunk of no size": get(b"/dns", b"Transfer-Encoding: chunked", verb=b"POST") + b"zz\r\n",
    "64 KiB of a header": get(b"/dns/lookup/www/A", b"X: " + LONG),
    "10,000 headers": get(b"/dns/lookup/www/A", *[b"X: y"] * 10_000),
    "a header without a colon": get(b"/dns/lookup/www/A", b"nonsense"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    "DNS over TCP": b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\3www\2lb\7example\0\0\1\0\1",
    "64 KiB of nothing": b"\0" * 65536,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.fixture(scope="module")
async def daemon() -> AsyncIterator[Daemon]:
    async with Daemon(config(record("www", dest=[ADDRESS], check=FINE))) as daemon:
        yield daemon


@pytest.fixture(scope="module")
async def pdns(daemon: Daemon) -> AsyncIterator[PowerDNS]:
    async with daemon.powerdns() as pdns:
        yield pdns


@asynccontextmanager
async def connected(
    address: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def say(address: str, request: bytes) -> bytes:
    """All that comes back, until the other side hangs up."""
    async with asyncio.timeout(10), connected(address) as (reader, writer):
        answer = b""
        try:
            writer.write(request)
            while part := await reader.read(65536):
                answer += part
        except ConnectionError:
            # It hung up before all was read; what it said before that counts.
            pass
        return answer


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_request_is_refused_or_finds_nothing(
    what: str, daemon: Daemon, pdns: PowerDNS
) -> None:
    head, _, body = (await say(daemon.http, HOSTILE[what])).partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 400
    assert 400 <= status < 500 or (status, json.loads(body)) in (
        (200, {"result": []}),
        (200, {"result": False}),
    )
    assert (await pdns.ask("www.lb.example")).addresses == {ADDRESS}


async def test_hostile_requests_leak_nothing_and_delay_nobody(
    daemon: Daemon, pdns: PowerDNS
) -> None:
    await until(lambda: pdns.ask("www.lb.example"))
    before = open_files(daemon.pid)
    async with Stream(pdns, EVERYTHING_FINE) as stream:
        async with asyncio.TaskGroup() as group:
            for request in [*HOSTILE.values()] * 3:
                group.create_task(say(daemon.http, request))
        # Half of each, and away.
        for request in HOSTILE.values():
            async with connected(daemon.http) as (_, writer):
                writer.write(request[: len(request) // 2])
        await stream.goes_on()
    await until(lambda: open_files(daemon.pid) <= before, what="all connections closed")
    assert peak_memory(daemon.pid) < 300
    # They are no faults of ours, and each kind of them is said once in a while.
    assert "raceback" not in daemon.log
    assert len(daemon.log.splitlines()) < 100


async def test_many_connections_that_say_nothing_or_half_of_it_are_borne(
    daemon: Daemon, pdns: PowerDNS
) -> None:
    before = open_files(daemon.pid)
    lookup = get(b"/dns/lookup/www%2elb%2eexample%2e/ANY")
    async with Stream(pdns, EVERYTHING_FINE) as stream, AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(connected(daemon.http)) for _ in range(200)]
        for number, (_, writer) in enumerate(crowd):
            writer.write(lookup[: number % len(lookup)])
        await stream.goes_on()
        # Who says the other half gets its answer.
        for number, (reader, writer) in enumerate(crowd):
            writer.write(lookup[number % len(lookup) :])
            assert ADDRESS.encode() in await reader.read()
        await stream.goes_on()
    await until(lambda: open_files(daemon.pid) <= before, what="all connections closed")
    assert await daemon.health("/livez")
