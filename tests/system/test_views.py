"""Who is answered what: by network, by place, and never from another client's cached answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cli.command import run
from tests.pdns.geo_databases import place, write_places
from tests.rigs.targets import HttpTarget
from tests.system.serving import CACHES, Serving, serving
from tests.system.writing import config, http, record, table

COMMON, WIDE, NARROW = "192.0.2.1", "192.0.2.2", "192.0.2.3"
ALWAYS = {"type": "static"}
ILL = {"type": "static", "result": "fail"}
OUTSIDE, IN_WIDE, IN_NARROW = "127.0.0.1", "127.10.9.9", "127.10.1.9"

VIEWS = (
    # Listed the wrong way round, and inside each other: the longest prefix is tried first.
    table("views.wide", networks=["127.10.0.0/16", "10.0.0.0/8", "2001:db8::/32"]),
    table("views.narrow", networks=["127.10.1.0/24", "10.1.0.0/16", "2001:db8:1::/48"]),
)


def dest(host: str, *views: str, **more: object) -> dict[str, object]:
    return {"host": host, "views": [*views], **more}


CONFIG = config(
    *VIEWS,
    table(
        'zones."lb.example"',
        ns=["ns1"],
        soa={"mname": "ns1", "rname": "hostmaster"},
        static=[
            {"name": "ns1", "type": "A", "content": "192.0.2.53"},
            {"name": "alias", "type": "CNAME", "content": "inside"},
            {"name": "inside", "type": "TXT", "content": '"for all"'},
        ],
    ),
    record("www", dest=[COMMON, dest(WIDE, "wide"), dest(NARROW, "narrow")]),
    record("shared", dest=[COMMON, dest(WIDE, "wide", "narrow"), dest(NARROW, "narrow")]),
    record("inside", dest=[dest(WIDE, "wide"), dest(NARROW, "narrow")]),
    record("two", dest=[dest(WIDE, "wide")]),
    record("two", "AAAA", dest=["2001:db8::1"]),
    record("*.wild", dest=[dest(WIDE, "wide")]),
    record("closed", dest=[dest(WIDE, "wide")], all_down="servfail"),
    record("sorry", dest=[dest(WIDE, "wide")], fallback="192.0.2.99"),
    record("open", dest=[COMMON]),
    record(
        "everything",
        dest=[COMMON, dest(WIDE, "wide"), dest(NARROW, "narrow")],
        check=ILL,
        all_down="all",
    ),
    record("alone", dest=[dest(WIDE, "wide"), dest(NARROW, "narrow")], check=ILL, all_down="all"),
    # That of the narrow view is down, but the wide one around it serves.
    record(
        "elsewhere",
        dest=[dest(WIDE, "wide"), dest(NARROW, "narrow")],
        check=["test", "%(address)s", "=", WIDE],
        expect="",
        all_down="all",
    ),
    record("sticky", policy="sticky", dest=[COMMON, dest(WIDE, "wide"), dest(NARROW, "wide")]),
    default={"check": ALWAYS, "interval": 60},
)


@pytest.fixture(scope="module", params=CACHES)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Serving]:
    async with serving(CONFIG, request.param) as served:
        yield served


ASKERS = [
    (OUTSIDE, COMMON),
    (IN_WIDE, WIDE),
    (IN_NARROW, NARROW),
    (OUTSIDE, COMMON),
    (IN_NARROW, NARROW),
    (IN_WIDE, WIDE),
]


@pytest.mark.parametrize("tcp", [False, True])
async def test_each_asks_through_the_same_cache_and_has_its_own_answer(
    served: Serving, tcp: bool
) -> None:
    for source, address in ASKERS:
        assert (await served.ask("www", source=source, tcp=tcp)).addresses == {address}


@pytest.mark.parametrize(
    ("ecs", "address", "scope"),
    [
        ("10.9.0.0/16", WIDE, 13),
        ("10.1.2.0/24", NARROW, 16),
        ("10.1.2.3/32", NARROW, 16),
        ("11.0.0.0/8", COMMON, 8),
        ("200.0.0.0/8", COMMON, 1),
        ("2001:db8:1::/56", NARROW, 48),
        ("2001:db8:9::/56", WIDE, 45),
        ("2001:db9::/32", COMMON, 32),
        ("::ffff:10.1.2.0/120", NARROW, 112),
        ("::ffff:11.0.0.0/120", COMMON, 104),
    ],
)
async def test_the_subnet_that_is_sent_along_counts_and_the_scope_says_for_whom(
    served: Serving, ecs: str, address: str, scope: int
) -> None:
    for source in (IN_WIDE, OUTSIDE):
        answer = await served.ask("www", ecs=ecs, source=source)
        assert answer.addresses == {address}
        assert answer.scope == scope


@pytest.mark.parametrize(
    ("name", "outside", "wide", "narrow"),
    [
        ("everything", {COMMON}, {WIDE}, {NARROW}),
        ("elsewhere", set(), {WIDE}, {WIDE}),
        ("alone", set(), {WIDE}, {NARROW}),
    ],
)
async def test_when_all_are_down_each_view_has_its_own_last_resort(
    served: Serving, name: str, outside: set[str], wide: set[str], narrow: set[str]
) -> None:
    for source, addresses in ((OUTSIDE, outside), (IN_WIDE, wide), (IN_NARROW, narrow)):
        for _ in range(2):
            assert (await served.ask(name, source=source)).addresses == addresses


@pytest.mark.parametrize("ecs", ["0.0.0.0/0", "::/0"])
async def test_who_does_not_want_to_be_known_is_in_no_view(served: Serving, ecs: str) -> None:
    for source in (IN_NARROW, OUTSIDE):
        assert (await served.ask("www", ecs=ecs, source=source)).addresses == {COMMON}


async def test_a_subnet_wider_than_a_view_is_not_in_it(served: Serving) -> None:
    assert (await served.ask("www", ecs="10.0.0.0/7")).addresses == {COMMON}
    assert (await served.ask("www", ecs="10.0.0.0/8")).addresses == {WIDE}


async def test_a_member_may_be_in_several_views(served: Serving) -> None:
    assert (await served.ask("shared", source=IN_NARROW)).addresses == {WIDE, NARROW}
    assert (await served.ask("shared", source=IN_WIDE)).addresses == {WIDE}


@pytest.mark.parametrize(
    ("name", "address"), [("inside", WIDE), ("alias", WIDE), ("two", WIDE), ("x.wild", WIDE)]
)
async def test_no_data_for_some_is_never_given_to_others(
    served: Serving, name: str, address: str
) -> None:
    for _ in range(3):
        outside = await served.ask(name, source=OUTSIDE)
        assert (outside.rcode, outside.has_soa) == ("NOERROR", True)
        assert outside.addresses == set()
        assert (await served.ask(name, source=IN_WIDE)).addresses == {address}
        assert (await served.ask(name, ecs="11.0.0.0/8")).addresses == set()
        assert (await served.ask(name, ecs="10.9.0.0/16")).addresses == {address}


async def test_other_types_of_the_name_are_there_for_all(served: Serving) -> None:
    for source in (OUTSIDE, IN_WIDE, OUTSIDE):
        assert (await served.ask("inside", "TXT", source=source)).contents == ('"for all"',)
        assert (await served.ask("two", "AAAA", source=source)).addresses == {"2001:db8::1"}
        both = await served.ask("two", "ANY", source=source, tcp=True)
        expected = {"2001:db8::1"} | ({WIDE} if source == IN_WIDE else set())
        assert both.addresses == expected


async def test_a_fault_for_some_is_none_for_their_neighbours(served: Serving) -> None:
    for _ in range(2):
        assert (await served.ask("closed", source=OUTSIDE)).rcode == "SERVFAIL"
        assert (await served.ask("closed", source=IN_WIDE)).addresses == {WIDE}
        assert (await served.ask("open", source=OUTSIDE)).addresses == {COMMON}


async def test_who_is_in_no_view_has_the_fallback(served: Serving) -> None:
    for source, address in ((OUTSIDE, "192.0.2.99"), (IN_WIDE, WIDE), (OUTSIDE, "192.0.2.99")):
        assert (await served.ask("sorry", source=source)).addresses == {address}


async def test_a_policy_picks_among_those_of_the_view(served: Serving) -> None:
    seen = {(await served.ask("sticky", ecs=f"10.{net}.0.0/24")).addresses for net in range(40)}
    assert seen == {frozenset({WIDE}), frozenset({NARROW})}
    assert (await served.ask("sticky", ecs="12.0.0.0/24")).addresses == {COMMON}


async def test_the_apex_is_there_for_nobody_in_particular(served: Serving) -> None:
    for source in (OUTSIDE, IN_WIDE):
        assert (await served.ask("@", "SOA", source=source)).rcode == "NOERROR"
        assert (await served.ask("nosuch", source=source)).rcode == "NXDOMAIN"


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("2001:db8:1::7%eth1", NARROW),
        ("2001:db8:9::7%eth1/128", WIDE),
        ("fe80::1%eth1", COMMON),
        ("fe80::1/64%eth1", COMMON),
        ("::ffff:10.1.0.1", NARROW),
        ("0.0.0.0/0", COMMON),
        ("nonsense", COMMON),
        ("", COMMON),
    ],
)
async def test_whatever_powerdns_says_of_a_client_is_understood(
    served: Serving, remote: str, address: str
) -> None:
    url = f"http://{served.daemon.http}/dns/lookup/www.lb.example./ANY"
    headers = {"X-Remotebackend-Real-Remote": remote}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        rows = (await response.json(content_type=None))["result"]
    assert [row["content"] for row in rows] == [address]
    assert all(row["scopeMask"] > 0 for row in rows)


@pytest.mark.parametrize("caches", CACHES)
async def test_a_view_whose_members_are_down_goes_on_to_the_next(caches: str) -> None:
    async with HttpTarget("127.0.0.2") as first, HttpTarget("127.0.0.3", first.port) as second:
        www = record(
            "www",
            dest=["127.0.0.4", dest(second.host, "wide"), dest(first.host, "narrow")],
            check=http(first.port),
        )
        async with (
            HttpTarget("127.0.0.4", first.port) as third,
            serving(config(*VIEWS, www), caches) as served,
        ):
            for gone, here in ((None, first), (first, second), (second, third)):
                if gone:
                    gone.fail()
                await served.follows("www", {here.host}, source=IN_NARROW)
            assert (await served.ask("www", source=OUTSIDE)).addresses == {third.host}
            third.fail()
            await served.follows("www", set(), source=OUTSIDE)
            second.heal()
            await served.follows("www", {second.host}, source=IN_NARROW)
            assert (await served.ask("www", source=OUTSIDE)).addresses == set()


GEO = (
    table("views.land", countries=["NZ"]),
    table("views.part", continents=["OC"]),
    table("views.net", asns=[64500]),
    table("views.block", networks=["10.7.0.0/24"]),
)
LAND, PART, NET, BLOCK = (f"192.0.2.{number}" for number in (11, 12, 13, 14))
PLACED = record(
    "www",
    dest=[
        COMMON,
        dest(LAND, "land"),
        dest(PART, "part"),
        dest(NET, "net"),
        dest(BLOCK, "block"),
    ],
)


@pytest.mark.parametrize("caches", CACHES)
async def test_places_are_looked_up_and_looked_up_again(caches: str, tmp_path: Path) -> None:
    path = write_places(
        tmp_path / "places.mmdb",
        {
            "10.1.0.0/16": place("NZ", "OC"),
            "10.2.0.0/16": place("AU", "OC"),
            "10.3.0.0/16": place("AU", "OC", 64500),
            "10.7.0.0/16": place("NZ", "OC", 64500),
            "127.20.0.0/16": place("NZ"),
            "2001:db8:1::/48": place("NZ"),
        },
    )
    text = config(
        *GEO, table("geo", database=str(path)), PLACED, default={"check": ALWAYS, "interval": 60}
    )
    async with serving(text, caches) as served:
        for ecs, address, scope in (
            ("10.1.2.0/24", LAND, 16),
            ("10.2.2.0/24", PART, 16),
            ("10.3.2.0/24", NET, 16),
            ("10.7.0.0/24", BLOCK, 24),
            ("10.7.1.0/24", NET, 24),
            ("2001:db8:1:2::/64", LAND, 48),
            ("0.0.0.0/0", COMMON, None),
        ):
            answer = await served.ask("www", ecs=ecs)
            assert answer.addresses == {address}
            assert scope in (None, answer.scope)
        for source, address in (("127.20.0.1", LAND), (OUTSIDE, COMMON), ("127.20.0.1", LAND)):
            assert (await served.ask("www", source=source)).addresses == {address}

        write_places(path, {"127.20.0.0/16": place("AU", "OC")})
        await served.daemon.logged("location database reloaded")
        await served.follows("www", {PART}, source="127.20.0.1")

        await asyncio.to_thread(path.write_bytes, path.read_bytes()[:100])
        line = await served.daemon.logged("ignoring the changed location database")
        assert str(path) in line
        assert (await served.ask("www", source="127.20.0.1")).addresses == {PART}


async def refusal(text: str, folder: Path) -> str:
    file = folder / "dnslb.toml"
    file.write_text(text)
    ended = await run("serve", "-c", str(file))
    assert (ended.code, ended.out) == (126, "")
    [line] = ended.err.splitlines()
    return line.removeprefix(f"{file}: ")


@pytest.mark.parametrize("content", [None, b"", b"x" * 500])
async def test_a_database_that_cannot_be_read_is_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "places.mmdb"
    if content is not None:
        path.write_bytes(content)
    text = config(*GEO, table("geo", database=str(path)), PLACED, default={"check": ALWAYS})
    assert (await refusal(text, tmp_path)).startswith(f"geo.database: {path} cannot be read: ")


async def test_a_truncated_database_is_refused(tmp_path: Path) -> None:
    path = write_places(tmp_path / "places.mmdb", {"10.0.0.0/8": place("NZ")})
    path.write_bytes(path.read_bytes()[:-50])
    text = config(*GEO, table("geo", database=path.name), PLACED, default={"check": ALWAYS})
    assert (await refusal(text, tmp_path)).startswith(f"geo.database: {path} cannot be read: ")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"networks": ["10.0.0.0/33"]}, "views.office.networks[0]: '10.0.0.0/33' is not a network"),
        ({"networks": ["10.0.0.1/8"]}, "views.office.networks[0]: '10.0.0.1/8' is not a network"),
        ({"networks": "10.0.0.0/8"}, "views.office.networks: should be a valid list"),
        ({"network": ["10.0.0.0/8"]}, "views.office.network: unknown key"),
        (
            {"countries": ["NZ"]},
            "views.office: has countries, continents or asns, which need [geo] database",
        ),
    ],
)
async def test_a_view_that_means_nobody_is_refused(
    keys: dict[str, object], expected: str, tmp_path: Path
) -> None:
    www = record("www", dest=[dest(COMMON, "office")])
    text = config(table("views.office", **keys), www, default={"check": ALWAYS})
    assert (await refusal(text, tmp_path)).startswith(expected)


async def test_a_view_that_is_not_there_is_refused(tmp_path: Path) -> None:
    www = record("www", dest=[dest(COMMON, "office")])
    line = await refusal(config(*VIEWS, www, default={"check": ALWAYS}), tmp_path)
    assert line.startswith("records.www.A.dest[0].views: no view 'office'; known: narrow, wide")
