"""What a client of PowerDNS sees is the same over every transport."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import dns.asyncquery
import dns.rdatatype
import dns.xfr
import dns.zone
import pytest

from dnslb_backend.core.health.decision import PENDING
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.transports import TRANSPORTS
from tests.pdns.world import LB, World
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import executable


class Stand(NamedTuple):
    """A PowerDNS that asks a connector that reads this world."""

    world: World
    pdns: PowerDNS
    transport: str


@pytest.fixture(scope="module", params=TRANSPORTS)
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    world = World()
    world.serve("moving", "A", "10.1.0.1")
    world.snapshot = world.build()
    async with (
        TRANSPORTS[request.param](Responder(world.current)) as settings,
        PowerDNS({**settings, "disable-axfr": "no"}) as pdns,
    ):
        yield Stand(world, pdns, request.param)


@pytest.mark.parametrize(
    ("name", "qtype", "contents"),
    [
        ("www.lb.example", "A", {"10.0.0.1", "10.0.0.2"}),
        ("www.lb.example", "AAAA", {"2001:db8::1"}),
        ("api.other.example", "A", {"10.0.0.9"}),
        ("ns1.lb.example", "A", {"192.0.2.53"}),
        ("anything.wild.lb.example", "A", {"192.0.2.77"}),
        ("far.down.wild.lb.example", "A", {"192.0.2.77"}),
        ("mail.lb.example", "MX", {"10 www.lb.example."}),
        ("_sip._tcp.lb.example", "SRV", {"1 2 5060 www.lb.example."}),
        (
            "leaf.b.deep.lb.example",
            "TXT",
            {'"a \\"quoted\\" text; with \\\\ and \\009" "and more"'},
        ),
        ("lb.example", "NS", {"ns1.lb.example.", "ns2.lb.example."}),
        ("a\\.b.lb.example", "A", {"192.0.2.44"}),
        ("sp\\032ace.lb.example", "A", {"192.0.2.45"}),
        ("sla/sh.lb.example", "A", {"192.0.2.46"}),
    ],
)
async def test_what_is_there_is_answered(
    stand: Stand, name: str, qtype: str, contents: set[str]
) -> None:
    answer = await stand.pdns.ask(name, qtype)
    assert (answer.rcode, set(answer.contents)) == ("NOERROR", contents)
    assert "aa" in answer.flags


async def test_the_client_gets_its_own_spelling_back(stand: Stand) -> None:
    for asked in ("wWw.Lb.ExAmPlE.", "V4.lb.example.", "v4.lb.example."):
        answer = await stand.pdns.ask(asked)
        assert answer.contents
        assert str(answer.message.answer[0].name) == asked


async def test_an_alias_is_followed(stand: Stand) -> None:
    answer = await stand.pdns.ask("far-alias.lb.example")
    assert answer.addresses == {"10.0.0.1", "10.0.0.2"}
    assert [str(rrset.name) for rrset in answer.message.answer] == [
        "far-alias.lb.example.",
        "alias.lb.example.",
        "www.lb.example.",
    ]


@pytest.mark.parametrize(
    ("name", "qtype"),
    [
        ("v4.lb.example", "AAAA"),
        ("www.lb.example", "TXT"),
        ("empty.lb.example", "A"),
        ("empty.lb.example", "AAAA"),
        ("deep.lb.example", "A"),
        ("b.deep.lb.example", "A"),
        ("wild.lb.example", "A"),
        ("x.wild.lb.example", "AAAA"),
        ("lb.example", "A"),
    ],
)
async def test_a_name_without_that_type_is_nodata(stand: Stand, name: str, qtype: str) -> None:
    answer = await stand.pdns.ask(name, qtype)
    assert answer.is_nodata, answer


@pytest.mark.parametrize(
    "name", ["nope.lb.example", "x.www.lb.example", "x.empty.lb.example", "0.b.deep.lb.example"]
)
async def test_a_name_that_is_not_there_is_nxdomain(stand: Stand, name: str) -> None:
    answer = await stand.pdns.ask(name)
    assert (answer.rcode, answer.has_soa) == ("NXDOMAIN", True)


@pytest.mark.parametrize("name", ["example", "lb.example.org", "xlb.example", "."])
async def test_a_zone_that_is_not_ours_is_refused(stand: Stand, name: str) -> None:
    assert (await stand.pdns.ask(name)).rcode == "REFUSED"


async def test_a_delegation_is_handed_on(stand: Stand) -> None:
    answer = await stand.pdns.ask("x.sub.lb.example")
    assert answer.rcode == "NOERROR"
    assert "aa" not in answer.flags
    assert [str(rrset.name) for rrset in answer.message.authority] == ["sub.lb.example."]
    assert [rrset[0].to_text() for rrset in answer.message.additional] == ["192.0.2.99"]


async def test_what_is_not_known_yet_is_servfail_and_costs_nobody_else(stand: Stand) -> None:
    for _ in range(5):
        for qtype in ("A", "AAAA"):
            assert (await stand.pdns.ask("pending.lb.example", qtype)).rcode == "SERVFAIL"
        assert (await stand.pdns.ask("www.lb.example")).contents


async def test_a_change_is_answered_at_once(stand: Stand) -> None:
    serial = await _serial(stand)
    for contents in (["10.1.0.1", "10.1.0.2"], [], ["10.1.0.3"]):
        stand.world.change("moving", "A", *contents)
        answer = await stand.pdns.ask("moving.lb.example")
        assert (answer.rcode, set(answer.contents)) == ("NOERROR", set(contents))
        assert (before := serial) < (serial := await _serial(stand)), before


async def test_one_row_that_becomes_unknown_is_a_fault_until_it_is_known(stand: Stand) -> None:
    key = RecordKey(LB, "moving.lb.example", "A")
    known = stand.world.decisions[key]
    stand.world.decide(key, PENDING)
    assert (await stand.pdns.ask("moving.lb.example")).rcode == "SERVFAIL"
    stand.world.decide(key, known)
    assert (await stand.pdns.ask("moving.lb.example")).rcode == "NOERROR"


async def test_a_zone_is_transferred_whole_or_not_at_all(stand: Stand) -> None:
    pending = RecordKey(LB, "pending.lb.example", "A")
    with pytest.raises((EOFError, dns.xfr.TransferError)):
        await _transfer(stand, LB)
    stand.world.change("pending", "A", "10.2.0.1")
    sent = await _transfer(stand, LB)
    rows = {(f"{row.qname}.".lower(), row.qtype) for row in stand.world.snapshot.rows(LB)}
    stand.world.decide(pending, PENDING)
    assert {(owner.lower(), qtype) for owner, qtype in sent} == rows


async def test_a_zone_that_is_not_ours_is_not_transferred(stand: Stand) -> None:
    with pytest.raises((EOFError, dns.xfr.TransferError)):
        await _transfer(stand, "example")


async def test_people_can_talk_to_the_backend(stand: Stand) -> None:
    if stand.transport in ("abi1", "abi2", "abi3", "abi4"):
        pytest.skip("PowerDNS passes commands on since ABI 5")
    assert (await _backend_command(stand, "PING")).strip().endswith("PONG")
    assert "10.0.0.4" in await _backend_command(stand, "STATUS v4.LB.example")
    assert "no such name" in await _backend_command(stand, "status nope.lb.example.")
    assert "unknown command" in await _backend_command(stand, "reboot & now=1\t2")


async def _serial(stand: Stand) -> int:
    (soa,) = (await stand.pdns.ask("lb.example", "SOA")).contents
    return int(soa.split()[2])


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode()


async def _transfer(stand: Stand, name: str) -> set[tuple[str, str]]:
    """Owner and type of all that a secondary would have of this zone."""
    zone = dns.zone.Zone(f"{name}.", relativize=False)
    host, port = stand.pdns.address
    await dns.asyncquery.inbound_xfr(host, zone, port=port)
    return {
        (str(owner), dns.rdatatype.to_text(rdata.rdtype))
        for owner, _, rdata in zone.iterate_rdatas()
    }


async def _backend_command(stand: Stand, command: str) -> str:
    directory = stand.pdns.directory
    backend = str(stand.pdns.settings["launch"])
    return await _run(
        executable("pdnsutil"), f"--config-dir={directory}", "backend-cmd", backend, command
    )
