"""Host names among the destinations: what DNS says of them, and what happens when it is silent."""

import time
from collections.abc import AsyncIterator

import pytest

from tests.rigs.daemon import Daemon, follows
from tests.rigs.nameserver import NameServer
from tests.rigs.namespaces import Namespace
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until
from tests.system.writing import FINE, config, http, record, table

INTERVAL = 0.5
HOST = "web.targets.example"


@pytest.fixture
async def resolver(namespace: Namespace) -> AsyncIterator[NameServer]:
    """What resolv.conf names inside the namespace."""
    async with NameServer(namespace.outer) as server:
        yield server


def daemon_in(space: Namespace, *records: str, ready: bool = True, **default: object) -> Daemon:
    server = table("server", allow=[f"{space.outer}/32"])
    admin = table("admin", allow=[f"{space.outer}/32"])
    text = config(server, admin, *records, default={"check": FINE, **default})
    return Daemon(text, ready=ready, host=space.inner, inside=space.inside)


async def test_a_silent_resolver_stalls_nothing_and_takes_no_address_away(
    namespace: Namespace, resolver: NameServer
) -> None:
    resolver.addresses[HOST] = ["192.0.2.1", "192.0.2.2"]
    async with HttpTarget(namespace.outer) as target:
        records = [
            record("named", dest=[HOST], dns_ttl=0.6),
            *(record(f"more{n}", dest=[f"host{n}.targets.example"]) for n in range(20)),
            record("mixed", dest=[HOST, target.host], check=http(target.port), dns_ttl=0.6),
            record("plain", dest=[target.host], check=http(target.port)),
        ]
        async with daemon_in(namespace, *records) as daemon, daemon.powerdns() as pdns:
            named = await follows(pdns, "named.lb.example", {"192.0.2.1", "192.0.2.2"})

            resolver.is_silent = True
            await daemon.logged(f"named.lb.example/A: {HOST} cannot be resolved")
            for change, served in ((target.stop, set()), (target.start, {target.host})):
                await change()
                changed = time.monotonic()
                for name in ("plain", "mixed"):
                    await follows(pdns, f"{name}.lb.example", served)
                    assert time.monotonic() - changed <= INTERVAL + 1
            for _ in range(100):
                began = time.monotonic()
                answer = await pdns.ask("named.lb.example")
                assert time.monotonic() - began < 0.5
                assert (answer.addresses, answer.ttl) == (named.addresses, named.ttl)

            # Past dns_ttl it is said that the addresses only stand in.
            async def overdue() -> bool:
                _, status = await daemon.get("/api/v1/status")
                hosts = {each["name"]: each["hosts"] for each in status["records"]}
                return bool(hosts["named.lb.example"][0]["overdue"])

            await until(overdue)
            assert (await pdns.ask("named.lb.example")).addresses == named.addresses

            resolver.addresses[HOST] = ["192.0.2.3"]
            resolver.is_silent = False
            await follows(pdns, "named.lb.example", {"192.0.2.3"})


async def test_a_resolver_that_was_never_there_delays_no_first_round(
    namespace: Namespace, resolver: NameServer
) -> None:
    resolver.is_silent = True
    records = [
        record("named", dest=[HOST]),
        record("saved", dest=[HOST], fallback="192.0.2.99"),
        record("plain", dest=["192.0.2.1"]),
    ]
    async with daemon_in(namespace, *records, dns_timeout=0.2) as daemon, daemon.powerdns() as pdns:
        assert (await pdns.ask("plain.lb.example")).addresses == {"192.0.2.1"}
        assert (await pdns.ask("saved.lb.example")).addresses == {"192.0.2.99"}
        # Nothing is known of it: a fault of ours, not an empty name.
        assert (await pdns.ask("named.lb.example")).rcode == "SERVFAIL"
        resolver.addresses[HOST] = ["192.0.2.2"]
        resolver.is_silent = False
        await follows(pdns, "named.lb.example", {"192.0.2.2"})
        await follows(pdns, "saved.lb.example", {"192.0.2.2"})


async def test_a_network_that_is_gone_takes_no_address_away(
    namespace: Namespace, resolver: NameServer
) -> None:
    resolver.addresses[HOST] = ["192.0.2.1"]
    async with daemon_in(namespace, record("www", dest=[HOST])) as daemon:
        namespace.unplug()
        await daemon.logged(f"{HOST} cannot be resolved")
        namespace.heal()
        async with daemon.powerdns() as pdns:
            assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}
        assert "no longer served" not in daemon.log


async def test_a_name_that_is_gone_keeps_its_addresses_for_dns_ttl(
    namespace: Namespace, resolver: NameServer
) -> None:
    resolver.addresses[HOST] = ["192.0.2.1"]
    dns_ttl = 1.2
    records = [
        record("www", dest=[HOST], dns_ttl=dns_ttl),
        record("both", dest=[HOST, "192.0.2.2"], dns_ttl=dns_ttl),
    ]
    # No answer may come too late for the daemon, or its last one is older than the server's.
    daemon = daemon_in(namespace, *records, dns_timeout=5)
    async with daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        del resolver.addresses[HOST]
        answer = await follows(pdns, "www.lb.example", set())
        gone = time.monotonic()
        assert answer.is_nodata
        assert dns_ttl <= gone - resolver.last_found <= dns_ttl + INTERVAL + 1
        await follows(pdns, "both.lb.example", {"192.0.2.2"})
        resolver.addresses[HOST] = ["192.0.2.3"]
        await follows(pdns, "www.lb.example", {"192.0.2.3"})
        await follows(pdns, "both.lb.example", {"192.0.2.2", "192.0.2.3"})


async def test_an_empty_answer_removes_the_addresses_at_once(
    namespace: Namespace, resolver: NameServer
) -> None:
    resolver.addresses[HOST] = ["192.0.2.1", "2001:db8::1"]
    records = [record("www", dest=[HOST]), record("www", "AAAA", dest=[HOST])]
    async with daemon_in(namespace, *records, dns_ttl=300) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        await follows(pdns, "www.lb.example", {"2001:db8::1"}, "AAAA")
        resolver.addresses[HOST] = ["2001:db8::1"]
        emptied = time.monotonic()
        assert (await follows(pdns, "www.lb.example", set())).is_nodata
        assert time.monotonic() - emptied <= INTERVAL + 1
        assert (await pdns.ask("www.lb.example", "AAAA")).addresses == {"2001:db8::1"}
