"""The resolver against real name servers, healthy and sick."""

import asyncio
from collections.abc import AsyncIterator

import dns.rcode
import pytest

from dnslb_backend.checkers.schedule.resolver import LIMIT, Family, Resolver
from dnslb_backend.core.health.resolutions import Resolution, Status
from tests.checkers.nameserver import NanoNameServer
from tests.checkers.probing import HERE
from tests.rigs.ports import free_port
from tests.rigs.processes import descriptors
from tests.rigs.waiting import until

WEB = "web.dc2.example"


@pytest.fixture
async def server() -> AsyncIterator[NanoNameServer]:
    async with NanoNameServer() as server:
        yield server


@pytest.fixture
async def resolver(server: NanoNameServer) -> AsyncIterator[Resolver]:
    async with Resolver([server.address]) as resolver:
        yield resolver


def found(*addresses: str) -> Resolution:
    return Resolution(Status.FOUND, addresses)


async def test_addresses_are_canonical_sorted_and_each_there_once(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.put(WEB, "A", "192.0.2.10", "192.0.2.9", "10.0.0.1", "192.0.2.9")
    server.put(WEB, "AAAA", "2001:DB8:0::1", "2001:db8::", "2001:db8::1")
    assert await resolver.resolve(WEB, "A", 2) == found("10.0.0.1", "192.0.2.9", "192.0.2.10")
    assert await resolver.resolve(WEB, "AAAA", 2) == found("2001:db8::", "2001:db8::1")


async def test_an_alias_is_followed(server: NanoNameServer, resolver: Resolver) -> None:
    server.put("alias.example", "A", "192.0.2.1")
    server.aliases["www.example"] = "alias.example"
    assert await resolver.resolve("www.example", "A", 2) == found("192.0.2.1")


async def test_a_name_without_addresses_of_the_family_is_empty(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.put(WEB, "A", "192.0.2.1")
    assert await resolver.resolve(WEB, "AAAA", 2) == Resolution(Status.EMPTY)


async def test_a_name_that_does_not_exist(resolver: Resolver) -> None:
    assert await resolver.resolve("no.example", "A", 2) == Resolution(Status.NXDOMAIN)
    assert await resolver.resolve("no.example.", "AAAA", 2) == Resolution(Status.NXDOMAIN)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
async def test_a_server_that_cannot_answer_says_nothing_about_the_name(
    server: NanoNameServer, resolver: Resolver, code: dns.rcode.Rcode
) -> None:
    server.codes[WEB] = code
    resolution = await resolver.resolve(WEB, "A", 2)
    assert resolution.status is Status.FAILED
    assert resolution.text


@pytest.mark.parametrize("garbage", [b"", b"\x81\x80", b"\xff" * 30, b"\x81\x80" + b"\xc0" * 200])
async def test_garbage_says_nothing_about_the_name(
    server: NanoNameServer, resolver: Resolver, garbage: bytes
) -> None:
    server.garbage[WEB] = garbage
    resolution = await resolver.resolve(WEB, "A", 0.5)
    assert resolution.status is Status.FAILED


async def test_a_silent_server_costs_only_the_limit(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.silent.add(WEB)
    server.put("other.example", "A", "192.0.2.1")
    loop = asyncio.get_running_loop()
    started = loop.time()
    waiting = asyncio.create_task(resolver.resolve(WEB, "A", 0.3))
    await server.asked(WEB)
    assert await resolver.resolve("other.example", "A", 0.2) == found("192.0.2.1")
    assert await waiting == Resolution(Status.FAILED, (), "no answer within 0.3 s")
    assert loop.time() - started < 0.6


async def test_a_port_where_nobody_listens_is_a_failure() -> None:
    async with Resolver([f"{HERE}:{free_port()}"]) as resolver:
        resolution = await resolver.resolve(WEB, "A", 2)
    assert resolution.status is Status.FAILED
    assert resolution.text


async def test_a_dead_first_server_is_passed_over(server: NanoNameServer) -> None:
    server.put(WEB, "A", "192.0.2.1")
    async with NanoNameServer() as silent:
        silent.silent.add(WEB)
        async with Resolver([silent.address, server.address]) as resolver:
            assert await resolver.resolve(WEB, "A", 3) == found("192.0.2.1")


async def test_thousands_of_addresses_are_cut_to_the_lowest(
    server: NanoNameServer, resolver: Resolver
) -> None:
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(4000)]
    server.put(WEB, "A", *reversed(addresses))
    assert await resolver.resolve(WEB, "A", 5) == found(*addresses[:LIMIT])
    assert server.queries[WEB, "A", "tcp"] == 1


async def test_who_asks_the_same_at_the_same_time_shares_one_query(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.silent.add(WEB)
    names = (WEB, WEB.upper())
    waiting = [asyncio.create_task(resolver.resolve(name, "A", 0.3)) for name in names * 100]
    await server.asked(WEB)
    results = await asyncio.gather(*waiting)
    assert {result.status for result in results} == {Status.FAILED}
    assert server.times(WEB) == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.held.add(WEB)
    server.put(WEB, "A", "192.0.2.1")
    impatient = asyncio.create_task(resolver.resolve(WEB, "A", 5))
    hasty = asyncio.create_task(resolver.resolve(WEB, "A", 0.05))
    patient = asyncio.create_task(resolver.resolve(WEB, "A", 5))
    await server.asked(WEB)
    impatient.cancel()
    assert (await hasty).status is Status.FAILED
    server.release(WEB)
    assert await patient == found("192.0.2.1")
    assert impatient.cancelled()
    assert server.times(WEB) == 1


async def test_every_round_asks_anew(server: NanoNameServer, resolver: Resolver) -> None:
    """The records have a TTL of an hour, the missing name a minimum of an hour."""
    server.put(WEB, "A", "192.0.2.1")
    assert (await resolver.resolve(WEB, "A", 2)) == found("192.0.2.1")
    assert (await resolver.resolve("new.example", "A", 2)).status is Status.NXDOMAIN
    server.put(WEB, "A", "192.0.2.2")
    server.put("new.example", "A", "192.0.2.3")

    async def new() -> bool:
        changed = await resolver.resolve(WEB, "A", 2) == found("192.0.2.2")
        return changed and await resolver.resolve("new.example", "A", 2) == found("192.0.2.3")

    await until(new, within=1)


async def test_literals_stand_for_themselves(server: NanoNameServer, resolver: Resolver) -> None:
    assert await resolver.resolve("192.0.2.1", "A", 1) == found("192.0.2.1")
    assert await resolver.resolve("2001:DB8::0:1", "AAAA", 1) == found("2001:db8::1")
    assert await resolver.resolve("192.0.2.1", "AAAA", 1) == Resolution(Status.EMPTY)
    assert await resolver.resolve("::1", "A", 1) == Resolution(Status.EMPTY)
    assert not server.queries


async def test_localhost_is_known_without_a_server(
    server: NanoNameServer, resolver: Resolver
) -> None:
    assert "127.0.0.1" in (await resolver.resolve("localhost", "A", 1)).addresses
    assert (await resolver.resolve("LOCALHOST", "AAAA", 1)) == found("::1")
    assert not server.queries


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "x." * 200, "a\0b", ""])
async def test_what_is_no_name_is_a_failure(resolver: Resolver, host: str) -> None:
    assert (await resolver.resolve(host, "A", 1)).status in (Status.FAILED, Status.NXDOMAIN)


async def test_closing_ends_what_waits_and_leaves_nothing(server: NanoNameServer) -> None:
    server.silent.add(WEB)
    before = descriptors()
    loop = asyncio.get_running_loop()
    async with Resolver([server.address]) as resolver:
        waiting = asyncio.create_task(resolver.resolve(WEB, "A", 30))
        await server.asked(WEB)
        started = loop.time()
    assert loop.time() - started < 0.4
    assert (await waiting).status is Status.FAILED
    await until(lambda: len(descriptors()) <= len(before), what="closed descriptors")


async def test_many_lookups_leak_nothing(server: NanoNameServer) -> None:
    names = [f"www{number}.example" for number in range(60)]
    for name in names:
        server.put(name, "A", "192.0.2.1")
    async with Resolver([server.address]) as resolver:
        await asyncio.gather(*(resolver.resolve(name, "A", 20) for name in names))
        before = len(descriptors())
        for _ in range(3):
            results = await asyncio.gather(*(resolver.resolve(name, "A", 20) for name in names))
            assert set(results) == {found("192.0.2.1")}
        assert len(descriptors()) <= before


@pytest.mark.parametrize(
    ("family", "sinkholes"),
    [
        ("A", ["0.0.0.0"]),
        ("A", ["255.255.255.255", "224.0.0.1", "0.1.2.3"]),
        ("AAAA", ["::"]),
        ("AAAA", ["ff02::1", "::ffff:0.0.0.0"]),
    ],
)
async def test_addresses_that_no_server_can_have_are_no_answer(
    server: NanoNameServer, resolver: Resolver, family: Family, sinkholes: list[str]
) -> None:
    server.put(WEB, family, *sinkholes)
    answer = await resolver.resolve(WEB, family, 2)
    assert (answer.status, answer.addresses) == (Status.FAILED, ())
    assert sinkholes[0] in answer.text
    good = "10.0.0.1" if family == "A" else "fd00::1"
    server.put(WEB, family, *sinkholes, good, "127.0.0.1" if family == "A" else "::1")

    async def mixed() -> bool:
        return (await resolver.resolve(WEB, family, 2)).status is Status.FOUND

    await until(mixed)
    answer = await resolver.resolve(WEB, family, 2)
    assert good in answer.addresses
    assert len(answer.addresses) == 2
    assert len(answer.ignored) == len(sinkholes)


@pytest.mark.parametrize("circle", [["a.example"], ["a.example", "b.example"]])
async def test_an_alias_of_itself_says_nothing_about_the_name(
    server: NanoNameServer, resolver: Resolver, circle: list[str]
) -> None:
    server.circles["a.example"] = circle
    answer = await resolver.resolve("A.example", "A", 2)
    assert answer.status is Status.FAILED
    assert "itself" in answer.text


async def test_an_alias_of_a_name_without_addresses_is_empty(
    server: NanoNameServer, resolver: Resolver
) -> None:
    server.put("target.example", "AAAA", "2001:db8::1")
    server.circles["a.example"] = ["a.example", "target.example", ""]
    assert await resolver.resolve("a.example", "A", 2) == Resolution(Status.EMPTY)
