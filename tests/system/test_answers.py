"""What DNS says of every kind of name, asked of a real pdns_server over one running daemon."""

from collections.abc import AsyncIterator

import pytest

from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until
from tests.system.writing import BROKEN, FINE, config, http, record, table

CONFIG = config(
    table(
        'zones."lb.example"',
        ns=["ns1", "ns2.elsewhere.example."],
        static=[
            {"name": "ns1", "type": "A", "content": "192.0.2.53", "ttl": 300},
            {"name": "*.wild", "type": "A", "content": "192.0.2.77"},
            {"name": "*.wild", "type": "TXT", "content": '"any name"'},
            {"name": "there.wild", "type": "AAAA", "content": "2001:db8::77"},
            {"name": "alias", "type": "CNAME", "content": "www"},
            {"name": "*.alias", "type": "CNAME", "content": "www"},
            {"name": "@", "type": "MX", "content": "10 both"},
        ],
    ),
    table('zones."other.example"', ns=["ns1.lb.example."]),
    table('zones."other.example".records."www".A', dest=["198.51.100.1"], ttl=7),
    table('zones."sub.other.example"', ns=["ns1.lb.example."]),
    table('zones."sub.other.example".records."@".A', dest=["198.51.100.2"]),
    record("www", dest=["192.0.2.1", "192.0.2.2"], ttl=9),
    record("both", dest=["192.0.2.3"]),
    record("both", "AAAA", dest=["2001:DB8::0:3", "2001:db8::4"]),
    record("half", dest=["192.0.2.4"]),
    record("half", "AAAA", dest=["2001:db8::5"], check=BROKEN),
    record("dead", dest=["192.0.2.5", "192.0.2.6"], check=BROKEN),
    record("MixedCase", dest=["192.0.2.7"]),
    record("below.nothing", dest=["192.0.2.8"]),
    record("*.pool", dest=["192.0.2.9"]),
    record("@", dest=["192.0.2.10"]),
    default={"check": FINE},
)


@pytest.fixture(scope="module")
async def daemon() -> AsyncIterator[Daemon]:
    async with Daemon(CONFIG) as daemon:
        yield daemon


@pytest.fixture(scope="module")
async def pdns(daemon: Daemon) -> AsyncIterator[PowerDNS]:
    async with daemon.powerdns() as pdns:
        yield pdns


@pytest.mark.parametrize(
    ("name", "type_", "addresses", "ttl"),
    [
        ("www.lb.example", "A", {"192.0.2.1", "192.0.2.2"}, 9),
        ("both.lb.example", "A", {"192.0.2.3"}, 5),
        ("both.lb.example", "AAAA", {"2001:db8::3", "2001:db8::4"}, 5),
        ("half.lb.example", "A", {"192.0.2.4"}, 5),
        ("ns1.lb.example", "A", {"192.0.2.53"}, 300),
        ("anything.wild.lb.example", "A", {"192.0.2.77"}, 60),
        ("any.thing.wild.lb.example", "A", {"192.0.2.77"}, 60),
        ("any.pool.lb.example", "A", {"192.0.2.9"}, 5),
        ("lb.example", "A", {"192.0.2.10"}, 5),
        ("alias.lb.example", "A", {"192.0.2.1", "192.0.2.2"}, 9),
        ("x.alias.lb.example", "A", {"192.0.2.1", "192.0.2.2"}, 9),
        ("www.other.example", "A", {"198.51.100.1"}, 7),
        ("sub.other.example", "A", {"198.51.100.2"}, 5),
    ],
)
async def test_a_name_has_its_addresses_and_their_ttl(
    pdns: PowerDNS, name: str, type_: str, addresses: set[str], ttl: int
) -> None:
    for tcp in (False, True):
        answer = await pdns.ask(name, type_, tcp=tcp)
        assert (answer.rcode, answer.ttl) == ("NOERROR", ttl)
        assert answer.addresses == addresses
        assert "aa" in answer.flags


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("www.lb.example", "AAAA"),
        ("www.lb.example", "TXT"),
        ("dead.lb.example", "A"),
        ("dead.lb.example", "AAAA"),
        ("half.lb.example", "AAAA"),
        ("nothing.lb.example", "A"),
        ("there.wild.lb.example", "A"),
        ("alias.lb.example", "AAAA"),
        ("any.pool.lb.example", "AAAA"),
        ("pool.lb.example", "A"),
        ("other.example", "A"),
        ("sub.other.example", "AAAA"),
    ],
)
async def test_what_a_name_has_not_is_no_data_with_soa(
    pdns: PowerDNS, name: str, type_: str
) -> None:
    answer = await pdns.ask(name, type_)
    assert (answer.rcode, answer.addresses, answer.has_soa) == ("NOERROR", frozenset(), True)


@pytest.mark.parametrize(
    "name", ["nosuch.lb.example", "x.www.lb.example", "www.sub.other.example", "-.lb.example"]
)
async def test_an_unknown_name_does_not_exist(pdns: PowerDNS, name: str) -> None:
    answer = await pdns.ask(name)
    assert (answer.rcode, answer.has_soa) == ("NXDOMAIN", True)


@pytest.mark.parametrize("name", ["elsewhere.example", "example", ".", "blb.example"])
async def test_an_unknown_zone_is_refused(pdns: PowerDNS, name: str) -> None:
    answer = await pdns.ask(name)
    assert (answer.rcode, answer.has_soa) == ("REFUSED", False)


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("wWw.Lb.ExAmPlE", "192.0.2.1"),
        ("mixedcase.lb.example", "192.0.2.7"),
        ("MIXEDCASE.LB.EXAMPLE", "192.0.2.7"),
        ("Any.WILD.lb.example", "192.0.2.77"),
        ("WWW.OTHER.example", "198.51.100.1"),
    ],
)
async def test_case_does_not_matter_and_the_client_gets_its_own_back(
    pdns: PowerDNS, asked: str, address: str
) -> None:
    answer = await pdns.ask(asked)
    assert address in answer.addresses
    spelt = {rrset.name.to_text(omit_final_dot=True) for rrset in answer.message.answer}
    assert spelt == {asked}


@pytest.mark.parametrize(
    ("zone", "servers"),
    [
        ("lb.example", {"ns1.lb.example.", "ns2.elsewhere.example."}),
        ("other.example", {"ns1.lb.example."}),
    ],
)
async def test_a_zone_has_its_soa_and_name_servers(
    pdns: PowerDNS, zone: str, servers: set[str]
) -> None:
    soa = await pdns.ask(zone, "SOA")
    assert len(soa.contents) == 1
    assert soa.contents[0].split()[1] == f"hostmaster.{zone}."
    assert set((await pdns.ask(zone, "NS")).contents) == servers


async def test_static_records_of_any_type_are_served(pdns: PowerDNS) -> None:
    assert (await pdns.ask("any.wild.lb.example", "TXT")).contents == ('"any name"',)
    assert (await pdns.ask("lb.example", "MX")).contents == ("10 both.lb.example.",)
    assert (await pdns.ask("there.wild.lb.example", "AAAA")).addresses == {"2001:db8::77"}


async def test_the_serial_rises_with_every_change_of_an_answer() -> None:
    async with HttpTarget() as target:
        www = record("www", dest=[target.host], check=http(target.port))
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:

            async def serial() -> int:
                return int((await pdns.ask("lb.example", "SOA")).contents[0].split()[2])

            before = await serial()
            target.fail()
            await follows(pdns, "www.lb.example", set())
            between = await serial()
            target.heal()
            await follows(pdns, "www.lb.example", {target.host})
            assert before < between < await serial()


async def test_before_the_first_round_has_ended_a_name_is_a_fault_and_never_empty() -> None:
    async with HttpTarget() as target:
        target.hang()
        slow = record("www", dest=[target.host], check=http(target.port), timeout=30, interval=60)
        early = record("early", dest=["192.0.2.9"], check=FINE)
        async with Daemon(config(slow, early), ready=False) as daemon, daemon.powerdns() as pdns:
            await until(lambda: target.hits)
            assert (await pdns.ask("www.lb.example")).rcode == "SERVFAIL"
            # The zone itself is known from the first moment on, and so are the others in it.
            assert (await pdns.ask("lb.example", "SOA")).rcode == "NOERROR"
            assert (await pdns.ask("nosuch.lb.example")).rcode == "NXDOMAIN"
            await follows(pdns, "early.lb.example", {"192.0.2.9"})
            status, report = await daemon.get("/readyz")
            assert (status, report["ready"]) == (503, False)
            assert "www.lb.example" in str(report)
            target.heal()
            await daemon.ready()
            assert (await pdns.ask("www.lb.example")).addresses == {target.host}
