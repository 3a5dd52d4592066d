"""Who stands beside whom, held against RFC 4034, RFC 5155, and against dnspython."""

from base64 import b32hexencode

import dns.dnssec
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.name_index import NameIndex, build_name_index
from dnslb_backend.core.answers.nsec import (
    Adjacent,
    Nsec3Chain,
    Nsec3Param,
    NsecChain,
    hash_name,
    is_hash,
    parse_nsec3param,
    sort_key,
)
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import ResourceRecord, Soa, Zone
from dnslb_backend.errors import RequestError
from tests.core.building import record

ZONE = "example"
RULE = Nsec3Param(12, bytes.fromhex("aabbccdd"), opt_out=False)

# RFC 4034, section 6.1.
IN_ORDER = [
    *("example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE"),
    *("z.example", "\\001.z.example", "*.z.example", "\\200.z.example"),
]

# RFC 5155, appendix A: names and hashes of its example.
HASHES = {
    "example": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "a.example": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "ai.example": "gjeqe526plbf1g8mklp59enfd789njgi",
    "ns1.example": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "ns2.example": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "w.example": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "*.w.example": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "x.w.example": "b4um86eghhds6nea196smvmlo4ors995",
    "y.w.example": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "xx.example": "t644ebqk9bibcna874givr6joj62mlhv",
}


def layout(*rows: tuple[str, str], records: tuple[str, ...] = ()) -> NameIndex:
    """A zone with these static rows (owner and type), and these balanced records."""
    static = tuple(ResourceRecord(f"{name}.{ZONE}", qtype, "x", 5) for name, qtype in rows)
    zone = Zone(ZONE, ZONE, Soa("ns", "admin"), ("ns",), static)
    keys = (RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in records)
    made = [record("192.0.2.1", key=key) for key in keys]
    return build_name_index(Plan({ZONE: zone}, {each.key: each for each in made}))


RFC5155 = layout(
    *(("ai", "A"), ("ns1", "A"), ("ns2", "A"), ("*.w", "MX"), ("x.w", "MX"), ("x.y.w", "MX")),
    *(("xx", "A"), ("a", "NS"), ("a", "DS"), ("ns1.a", "A"), ("ns2.a", "A")),
)


def sure(_: str) -> bool:
    return False


def unsure(_: str) -> bool:
    return True


def test_names_are_ordered_as_rfc_4034_orders_them() -> None:
    assert sorted(set(IN_ORDER), key=sort_key) == IN_ORDER


labels = st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=4)


@given(st.lists(labels, min_size=2, max_size=6))
def test_names_are_ordered_as_dnspython_orders_them(found: list[list[bytes]]) -> None:
    names = [dns.name.Name([*each, b""]) for each in found]
    texts = {canonical_name(name.to_text()) for name in names}
    ordered = sorted(texts, key=sort_key)
    assert ordered == sorted(texts, key=lambda text: dns.name.from_text(f"{text}."))


@given(labels, st.integers(0, 20), st.binary(max_size=8))
def test_names_are_hashed_as_dnspython_hashes_them(
    found: list[bytes], iterations: int, salt: bytes
) -> None:
    name = canonical_name(dns.name.Name([*found, b""]).to_text())
    expected = dns.dnssec.nsec3_hash(f"{name}.", salt, iterations, 1)
    mine = hash_name(sort_key(name), Nsec3Param(iterations, salt, opt_out=False))
    assert b32hexencode(mine).decode() == expected


def test_the_chain_of_names() -> None:
    chain = NsecChain(RFC5155, ZONE)
    told = [chain.adjacent(name, sure) for name in ("", "a", "ai", "ns1", "ns2", "*.w", "x.w")]
    assert [each.before for each in told] == ["", "a", "ai", "ns1", "ns2", "*.w", "x.w"]
    assert [each.after for each in told] == ["a", "ai", "ns1", "ns2", "*.w", "x.w", "x.y.w"]
    assert told[1].unhashed == "a.example"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("NS1", "ns1", "ns2"),  # whatever its letters
        ("w", "ns2", "*.w"),  # nothing of its own, but names below it
        ("y.w", "x.w", "x.y.w"),
        ("0", "", "a"),
        ("zz", "xx", ""),  # behind the last comes the apex
        ("b.a", "a", "ai"),  # what lies below a delegation is not ours
        ("\\000.xx", "xx", ""),
    ],
)
def test_a_name_stands_between_two_others(name: str, before: str, after: str) -> None:
    found = NsecChain(RFC5155, ZONE).adjacent(name, sure)
    assert (found.before, found.after) == (before, after)


def test_the_chain_of_hashes_is_that_of_rfc_5155() -> None:
    chain = Nsec3Chain(RFC5155, ZONE, RULE)
    ordered = sorted(HASHES.values())
    names = {digest: name for name, digest in HASHES.items()}
    for digest, behind in zip(ordered, [*ordered[1:], ordered[0]], strict=True):
        expected = Adjacent(names[digest], digest, behind)
        assert chain.adjacent(digest, unsure) == expected
        assert chain.adjacent(f"{digest[:-1]}v".upper(), sure).before == digest
    assert chain.adjacent("0" * 32, sure).before == ordered[-1]


def test_delegations_that_are_not_signed_can_be_left_out() -> None:
    zone = layout(("x.sub", "NS"), ("safe", "NS"), ("safe", "DS"))
    for opt_out, count in ((False, 4), (True, 3)):
        rule = Nsec3Param(0, b"", opt_out)
        hashes = {
            Nsec3Chain(zone, ZONE, rule).adjacent(f"{digit}{'0' * 31}", sure).before
            for digit in "0123456789abcdefghijklmnopqrstuv"
        }
        assert len(hashes) == count


def test_balanced_names_stand_in_the_chain_whatever_their_health() -> None:
    chain = NsecChain(layout(records=("www", "api.deep")), ZONE)
    assert [chain.adjacent(name, sure).after for name in ("", "api.deep", "www")] == [
        "api.deep",
        "www",
        "",
    ]


def test_a_neighbour_whose_types_nobody_should_be_told_gives_way() -> None:
    chain = NsecChain(RFC5155, ZONE)
    assert chain.adjacent("ns1x", unsure).before == "\\000.ns1"
    assert chain.adjacent("ns1", unsure).before == "ns1"
    assert chain.adjacent("0", unsure).before == "\\000"
    hashes = Nsec3Chain(RFC5155, ZONE, RULE)
    found = hashes.adjacent("0p9mhaveqvm6t7vbl5lop2u3t2rp3ton", unsure)
    assert found == ("", "0p9mhaveqvm6t7vbl5lop2u3t2rp3ton", HASHES["ns1.example"])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1 0 0 -", Nsec3Param(0, b"", opt_out=False)),
        ("1 1 5 AbCd", Nsec3Param(5, b"\xab\xcd", opt_out=True)),
        *((text, None) for text in ("", "1", "1 0 0", "2 0 0 -", "1 0 x -", "1 0 0 zz")),
        *((text, None) for text in ("1 0 2501 -", "1 0 -1 -", "1 0 0 - -", "1 0 0 abc")),
    ],
)
def test_how_to_hash_is_read_from_metadata(text: str, rule: Nsec3Param | None) -> None:
    assert parse_nsec3param(text) == rule


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", True),
        ("0" * 32, True),
        ("0" * 31, False),
        ("w" * 32, False),
        ("é" * 32, False),
        ("." * 32, False),
        ("", False),
    ],
)
def test_what_can_be_a_hash(name: str, answer: bool) -> None:
    assert is_hash(name) is answer


@pytest.mark.parametrize("name", ["\\999.a", f"{'x' * 64}.\\001", "a..\\001", "\\0"])
def test_what_is_no_name_is_a_request_that_cannot_be_understood(name: str) -> None:
    zone = Zone(ZONE, ZONE, Soa(f"ns.{ZONE}", f"root.{ZONE}"), (f"ns.{ZONE}",))
    chain = NsecChain(build_name_index(Plan({ZONE: zone}, {})), ZONE)
    with pytest.raises(RequestError):
        chain.adjacent(name, lambda _: False)


@pytest.mark.parametrize("name", ["v" * 32, "0123456789abcdefghijklmnopqrstuv"])
def test_every_digit_of_base32hex_can_be_in_a_hash(name: str) -> None:
    assert is_hash(name)


def test_the_most_iterations_are_those_of_rfc_5155() -> None:
    assert parse_nsec3param("1 0 2500 -") == Nsec3Param(2500, b"", opt_out=False)


@pytest.mark.parametrize(("flags", "opt_out"), [(0, False), (1, True), (2, False), (3, True)])
def test_only_the_lowest_flag_is_opt_out(flags: int, opt_out: bool) -> None:
    found = parse_nsec3param(f"1 {flags} 0 -")
    assert found is not None
    assert found.opt_out is opt_out


@given(st.binary(min_size=20, max_size=20))
def test_a_hash_lies_between_its_neighbours(digest: bytes) -> None:
    name = b32hexencode(digest).decode().lower()
    ordered = sorted(HASHES.values())
    found = Nsec3Chain(RFC5155, ZONE, RULE).adjacent(name, sure)
    below = [each for each in ordered if each <= name]
    assert found.before == (below[-1] if below else ordered[-1])
    above = [each for each in ordered if each > found.before]
    assert found.after == (above[0] if above else ordered[0])
    away = Nsec3Chain(RFC5155, ZONE, RULE).adjacent(name, unsure)
    assert away.after == found.after
    if found.before != name:
        assert int(away.before, 32) == int(found.before, 32) + 1
        assert away.unhashed == ""


def test_names_below_each_of_several_delegations_are_left_out() -> None:
    zone = layout(
        *(("a", "NS"), ("x.a", "A"), ("y.x.a", "A"), ("b", "A"), ("c", "NS"), ("x.c", "A")),
        *(("ca", "A"), ("d", "NS"), ("d", "A")),
    )
    chain = NsecChain(zone, ZONE)
    names = [""]
    while (after := chain.adjacent(names[-1], sure).after) != "":
        names.append(after)
    assert names == ["", "a", "b", "c", "ca", "d"]
