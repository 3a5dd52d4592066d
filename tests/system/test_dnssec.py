"""What is there, and what is not, is proved: to delv, whatever the proof, whatever the caches."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.rigs.dig import ask
from tests.rigs.validators import anchors, delv
from tests.system.serving import CACHES
from tests.system.signed import FAULTY, MODES, ZONE, Signed, shows, signed

NSEC3 = dns.rdatatype.NSEC3
PROOFS = (dns.rdatatype.NSEC, NSEC3)

Link = tuple[dns.name.Name, str]


@pytest.fixture(scope="module", params=CACHES)
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Signed]:
    async with signed(request.param, disable_axfr="no") as made:
        yield made


@pytest.fixture(scope="module", params=MODES)
async def zone(request: pytest.FixtureRequest, stand: Signed) -> Signed:
    """The zone in one of its modes: changed under the running server."""
    await stand.prove_by(request.param)
    return stand


@pytest.mark.parametrize(
    ("name", "qtype", "outcome"),
    [
        ("www", "A", "found"),
        ("WWW", "TXT", "nodata"),
        ("nope", "A", "nxdomain"),
        ("x.www", "A", "nxdomain"),
        ("x.y.www", "A", "nxdomain"),
        ("b.deep", "A", "nodata"),
        ("deep", "A", "nodata"),
        ("x.b.deep", "A", "nxdomain"),
        ("leaf.b.deep", "TXT", "found"),
        ("leaf.b.deep", "A", "nodata"),
        ("x.wild", "A", "found"),
        ("x.y.wild", "A", "found"),
        ("x.wild", "TXT", "nodata"),
        ("x.y.wild", "TXT", "nodata"),
        ("wild", "A", "nodata"),
        ("alias", "A", "found"),
        ("a\\.b", "A", "found"),
        ("a\\.b", "TXT", "nodata"),
        ("a.b", "A", "nxdomain"),
        ("\\000\\255z", "TXT", "nodata"),
        ("\\001", "A", "nxdomain"),
        ("sub", "DS", "nodata"),
        ("safe", "DS", "found"),
        ("subtlex", "A", "nxdomain"),
        ("zzz", "A", "nxdomain"),
        ("@", "TXT", "nodata"),
        ("@", "SOA", "found"),
        ("@", "DNSKEY", "found"),
        ("0" * 32, "A", "nxdomain"),
    ],
)
async def test_it_is_proved(zone: Signed, name: str, qtype: str, outcome: str) -> None:
    verdict = await delv(zone.pdns, zone.trusted, f"{name}.{ZONE}".removeprefix("@."), qtype)
    assert (verdict.outcome, verdict.is_valid) == (outcome, True), str(verdict)


@pytest.mark.parametrize(("child", "proof"), [("sub", "NSEC"), ("safe", "DS")])
async def test_a_delegation_says_whether_what_is_below_is_signed(
    zone: Signed, child: str, proof: str
) -> None:
    answer = await ask(zone.pdns.address, f"x.{child}.{ZONE}", wants_proof=True)
    assert answer.rcode == "NOERROR"
    assert "aa" not in answer.flags
    types = {dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.message.authority}
    assert any(found.startswith(proof) for found in types), types
    signatures = [r for s in answer.message.authority for r in s if r.rdtype == dns.rdatatype.RRSIG]
    assert signatures
    assert dns.rdatatype.NS not in {signature.type_covered for signature in signatures}


async def test_pdnsutil_finds_nothing_wrong(zone: Signed) -> None:
    checked = await zone.util("check-zone", ZONE)
    assert " 0 errors, " in checked
    # PowerDNS 5.1 advises against the iterations and the salt that one mode has.
    warned = [line for line in checked.splitlines() if "[Warning]" in line]
    assert [line for line in warned if "RFC 9276" not in line] == [], checked
    await zone.util("rectify-zone", ZONE)
    await zone.util("show-zone", ZONE)


@pytest.mark.parametrize(
    ("name", "qtype", "rcode"),
    [
        ("none", "A", "NOERROR"),
        ("none", "AAAA", "NOERROR"),
        ("nope", "A", "NXDOMAIN"),
        ("b.deep", "A", "NOERROR"),
        ("x.wild", "TXT", "NOERROR"),
        ("x.b.deep", "A", "NXDOMAIN"),
    ],
)
async def test_a_zone_beside_it_that_is_not_signed_is_as_it_ever_was(
    stand: Signed, name: str, qtype: str, rcode: str
) -> None:
    for wants_proof in (False, True, False, True):
        answer = await ask(
            stand.pdns.address, f"{name}.plain.example", qtype, wants_proof=wants_proof
        )
        assert (answer.rcode, answer.has_soa, answer.contents) == (rcode, True, ())
        assert [rrset.rdtype for rrset in answer.message.authority] == [dns.rdatatype.SOA]


async def test_who_does_not_ask_for_proof_is_given_none(zone: Signed) -> None:
    for name, rcode, has_soa in (
        ("www", "NOERROR", False),
        ("nope", "NXDOMAIN", True),
        ("b.deep", "NOERROR", True),
        ("x.wild", "NOERROR", False),
    ):
        answer = await zone.pdns.ask(f"{name}.{ZONE}")
        assert (answer.rcode, answer.has_soa) == (rcode, has_soa), name
        kinds = {rrset.rdtype for rrset in (*answer.message.answer, *answer.message.authority)}
        assert dns.rdatatype.RRSIG not in kinds


async def test_names_beside_one_that_is_not_known_are_proved_not_to_be_there(
    stand: Signed,
) -> None:
    await stand.util("add-zone-key", FAULTY, "zsk", "active", "ecdsa256")
    await shows(stand.pdns, FAULTY, "DNSKEY")
    trusted = await anchors(stand.pdns, FAULTY)
    for mode in MODES:
        await stand.prove_by(mode, FAULTY)
        for name, outcome in (
            ("none", "nodata"),
            ("nonex", "nxdomain"),
            ("x.none", "nxdomain"),
            ("unknown", "failed"),
            ("unknownx", "nxdomain"),
            ("unknow", "nxdomain"),
        ):
            verdict = await delv(stand.pdns, trusted, f"{name}.{FAULTY}")
            assert (verdict.outcome, verdict.is_valid) == (outcome, outcome != "failed"), (
                mode,
                name,
                str(verdict),
            )
            # What stands for "nothing" is no type that the name has.
            assert "TYPE0" not in verdict.text


async def test_the_chain_is_that_of_a_transfer(zone: Signed) -> None:
    """PowerDNS makes the chain of a transfer itself, of all rows: ours must be the same."""
    sent = await _transfer(zone)
    if sent is None:
        assert "NARROW" in await zone.util("show-zone", ZONE)
        return
    chain = set(_links(sent))
    owners = {rrset.name for rrset in sent if rrset.rdtype not in PROOFS}
    told = set[Link]()
    for owner in owners:
        # What it lacks, and the name behind it: between them they show its place.
        behind = dns.name.Name((owner.labels[0] + b"\0", *owner.labels[1:]))
        for name in (owner, behind):
            answer = await ask(zone.pdns.address, str(name), "HINFO", wants_proof=True)
            told |= set(_links(answer.message.authority))
    assert told <= chain
    # A delegation that is signed needs no proof of its own.
    assert len(chain) - len(told) <= 2
    assert len(told) > 9


def _links(rrsets: Iterable[dns.rrset.RRset]) -> Iterator[Link]:
    """Every name or hash of a chain, and what comes behind it."""
    for rrset in rrsets:
        for rdata in rrset:
            if rdata.rdtype in PROOFS:
                yield rrset.name, rdata.to_text().split()[4 if rdata.rdtype == NSEC3 else 0]


async def _transfer(zone: Signed) -> list[dns.rrset.RRset] | None:
    """All of the zone as a secondary has it; None where it may not have it."""
    found: list[dns.rrset.RRset] = []
    query = dns.message.make_query(ZONE, "AXFR")
    host, port = zone.pdns.address
    reader, writer = await asyncio.open_connection(host, port)
    try:
        wire = query.to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        while sum(rrset.rdtype == dns.rdatatype.SOA for rrset in found) < 2:
            size = int.from_bytes(await reader.readexactly(2), "big")
            message = dns.message.from_wire(await reader.readexactly(size), one_rr_per_rrset=True)
            if message.rcode() != dns.rcode.NOERROR:
                return None
            found += message.answer
    finally:
        writer.close()
    return found
