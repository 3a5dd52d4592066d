"""Zones with LUA records, imported: what each function becomes, and what has no equal."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.errors import SourceError
from dnslb_backend.importers.acceptance import accepted_text
from dnslb_backend.importers.lua import draft_of_zone
from tests.importers.loading import HEAD, SAMPLES, check_loads, of_zone
from tests.pdns.geo_databases import place, write_places

SAMPLE = (SAMPLES / "example.org.zone").read_text()


def lua(code: str, qtype: str = "A") -> str:
    escaped = code.replace("\\", "\\\\").replace('"', '\\"')
    return f'www IN LUA {qtype} "{escaped}"'


def record(code: str, qtype: str = "A") -> dict[str, Any]:
    """The record that this becomes, without a note."""
    zone, notes = of_zone(lua(code, qtype))
    assert notes == []
    found: dict[str, Any] = zone["records"]["www"][qtype]
    return found


def test_the_sample_becomes_what_is_written_beside_it_and_loads(tmp_path: Path) -> None:
    text = accepted_text(draft_of_zone(SAMPLE, "example.org.zone", None))
    assert text == (SAMPLES / "example.org.toml").read_text()
    check_loads(text, tmp_path)


def test_places_become_views_where_a_database_is_named(tmp_path: Path) -> None:
    database = write_places(tmp_path / "geo.mmdb", {"192.0.2.0/24": place("NZ")})
    draft = draft_of_zone(SAMPLE, "example.org.zone", None, str(database))
    found = tomllib.loads(accepted_text(draft))
    assert found["geo"] == {"database": str(database)}
    assert found["views"]["countries_NZ_AU"] == {"countries": ["NZ", "AU"]}
    records = found["zones"]["example.org"]["records"]
    assert records["where"]["CNAME"]["dest"] == [
        {"host": "west.example.org.", "check_address": "127.0.0.1", "views": ["continents_EU"]},
        {"host": "usa.example.org.", "check_address": "127.0.0.1"},
    ]
    assert records["places"]["A"]["dest"][0]["views"] == ["asns_64500_64501"]


def test_ports_are_checked_and_one_that_is_up_is_picked() -> None:
    options = "{selector='hashed', backupSelector='hashed'}"
    assert record(f"ifportup(443, {{'192.0.2.1', '192.0.2.2'}}, {options})") == {
        "ttl": 60,
        "dest": ["192.0.2.1", "192.0.2.2"],
        "policy": "sticky",
        "sticky": {"ipv4": 32, "ipv6": 128},
        "all_down": "all",
        "check": {"type": "tcp", "port": 443},
    }  # fmt: skip


def test_what_a_url_must_contain_is_a_text_and_no_pattern() -> None:
    found = record("ifurlup('https://a.example/?q=%41', {'192.0.2.1'}, {stringmatch='a.b (c)'})")
    assert found["check"] == {
        "type": "http",
        "url": "https://a.example/?q=%%41",
        "status": [200],
        "redirects": 10,
        "body": r"a\.b \(c\)",
        "verify": False,
    }


def test_times_and_failures_are_taken_over() -> None:
    code = "ifportup(1, {'192.0.2.1'}, {timeout=1, interval='7', minimumFailures=3, failOnIncompleteCheck='true'})"  # noqa: E501 - one line of Lua
    found = record(code)
    assert (found["timeout"], found["interval"], found["fall"]) == (1, 7, 3)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("'www.example.org'", "is no address"),
        ("pickclosest({'192.0.2.1'})", "pickclosest() has no equal"),
        ("ifportup(70000, {'192.0.2.1'})", "less than or equal to 65535"),
        ("ifportup('x', {'192.0.2.1'})", "the port is 'x'"),
        ("ifportup(443, {})", "a table with values"),
        ("ifportup(443)", "takes 2 arguments"),
        ("ifportup(443, {'2001:db8::1'})", "not an address for a record of type A"),
        ("ifportup(443, {'0.0.0.0'})", "not a server's address"),
        ("ifurlup('ftp://a.example/', {'192.0.2.1'})", "http"),
        ("ifurlup('http://[', {'192.0.2.1'})", "is not a URL"),
        ("ifurlextup({{['192.0.2.1']='http://10.0.0.1/a'}, {['192.0.2.2']='http://10.0.0.2/b'}})",
         "differ in more"),
        ("pickwrandom({{99999, '192.0.2.1'}, {1, '192.0.2.2'}})", "65535"),
        ("pickwrandom({{0, '192.0.2.1'}, {0, '192.0.2.2'}})", "every weight is 0"),
        ("pickrandomsample(0, {'192.0.2.1'})", "number of values"),
        ("pickrandom({'192.0.2.1', '192.0.2.1'})", "listed twice"),
        (";if country('NZ') then return '192.0.2.1' end", "--geo-database"),
        (";if netmask({'bad'}) then return '192.0.2.1' end", "no network"),
        (";if qname('a') then return '192.0.2.1' end", "condition qname() has no equal"),
        ((";if netmask({'10.0.0.0/8'}) then return '192.0.2.1' "
          "elseif netmask({'10.1.0.0/16'}) then return '192.0.2.2' end"), "an earlier case"),
        ((";if netmask({'10.0.0.0/8'}) then return ifportup(1, {'192.0.2.1'}) "
          "else return '192.0.2.2' end"), "differs from case to case"),
        ("view({ { {'10.0.0.0/8'} } })", "each pair"),
    ],
)  # fmt: skip
def test_what_has_no_equal_is_a_comment_with_its_line_and_why(code: str, why: str) -> None:
    draft = draft_of_zone(f"{HEAD}{lua(code)}\n", "lb.zone", "lb.example")
    text = accepted_text(draft)
    assert "records" not in tomllib.loads(text)["zones"]["lb.example"]
    (note,) = draft.notes
    assert note.place == "lb.zone:5"
    assert why in note.text
    assert f'# NO EQUAL: {note}\n#     www 60 LUA A "{code}"' in text


def test_the_narrower_network_may_stand_before_the_wider_one() -> None:
    code = (
        ";if netmask({'10.1.0.0/16'}) then return '192.0.2.1' "
        "elseif netmask({'10.0.0.0/8'}) then return '192.0.2.2' else return '192.0.2.1' end"
    )
    assert record(code)["dest"] == [
        {"host": "192.0.2.1", "views": ["networks_10_1_0_0_16", "everybody"]},
        {"host": "192.0.2.2", "views": ["networks_10_0_0_0_8"]},
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a IN ALIAS b.example.", "type has no equal"),
        ("a IN A 192.0.2.300", "192.0.2.300"),
        ("a..b IN A 192.0.2.1", "empty"),
        ("elsewhere.example. IN A 192.0.2.1", "not in the zone"),
        ("ns1 IN CNAME a", "has a CNAME"),
        ("ns1 IN LUA A \"'192.0.2.1'\"", "static A rows"),
        ("$INCLUDE other.zone", "not followed"),
        ("$GENERATE 1-9 a$ A 192.0.2.$", "not followed"),
        ("a CH A 192.0.2.1", "class CH"),
        ("a IN A", "data"),
        ("a IN LUA A", "LUA has a type"),
        ("@ IN DNSKEY 257 3 13 aaaa", "made by PowerDNS"),
    ],
)
def test_a_row_that_cannot_be_served_here_is_noted_with_its_line(row: str, why: str) -> None:
    _, notes = of_zone(row)
    assert why in notes[0]
    assert any(note.startswith("lb.zone:5: ") for note in notes)


def test_what_pdnsutil_lists_is_the_same_zone() -> None:
    listed = (
        "$ORIGIN .\n"
        "lb.example\t60\tIN\tSOA\tns1.lb.example hostmaster.lb.example 1 7200 600 1209600 60\n"
        "lb.example\t60\tIN\tNS\tns1.lb.example.\n"
        "ns1.lb.example\t60\tIN\tA\t192.0.2.53\n"
        'www.lb.example\t60\tIN\tLUA\tA  "ifportup(443, " "{\'192.0.2.1\'})"\n'
    )
    draft = draft_of_zone(listed, "x", None)
    row = lua("ifportup(443, {'192.0.2.1'})")
    written = draft_of_zone(f"{HEAD}{row}\n", "x", "lb.example")
    assert accepted_text(draft) == accepted_text(written)


def test_a_lua_row_of_an_unknown_type_is_read_from_its_bytes() -> None:
    code = b"ifportup(443, {'192.0.2.1'})"
    data = b"\x00\x01" + bytes([len(code)]) + code
    zone, notes = of_zone(f"www IN TYPE65402 \\# {len(data)} {data.hex()}")
    assert notes == []
    assert zone["records"]["www"]["A"]["dest"] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("www IN LUA A 'x\n", "name the zone with --zone"),
        ("$ORIGIN a.example.\nwww 60 IN A 192.0.2.1\n", "has no SOA"),
        ("$ORIGIN a.example.\nwww 60 IN A 192.0.2.1", "x:2: the last line does not end"),
        ('$ORIGIN a.example.\n@ 60 IN TXT "unclosed\n', "x:2: a quoted text does not end"),
        ("$ORIGIN a.example.\n@ 60 IN SOA a b ( 1 2 3 4 5", "cut off"),
        ("$ORIGIN a.example.\n@ 60 IN SOA a b 1 2 3 4 5 )", "x:2: a parenthesis"),
        ("$ORIGIN a.\n@ 60 SOA a b 1 2 3 4 5\nb 60 SOA a b 1 2 3 4 5\n", "2 zones"),
        ("", "has no SOA"),
    ],
)
def test_what_is_no_zone_is_refused(text: str, why: str) -> None:
    with pytest.raises(SourceError, match=r"x:") as refusal:
        draft_of_zone(text, "x", None)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_zone_file_that_is_cut_off_inside_a_row_is_refused() -> None:
    for end in range(len(HEAD) - 1, len(SAMPLE), 31):
        last = SAMPLE[:end].rpartition("\n")[2].partition(";")[0]
        if last.strip():
            with pytest.raises(SourceError, match=r"^x:\d+: .* not? ") as refusal:
                draft_of_zone(SAMPLE[:end], "x", None)
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("www IN LUA A \"'192.0.2.1'\"", "the second of its name"),
        ('bad IN LUA LUA "x = y"', "'y' is not defined"),
        ("mail IN LUA CNAME \"ifportup(25, {'192.0.2.1'})\"", "no address to check"),
        ("far IN LUA A \"ifportup(1, {'192.0.2.1'}, 'x')\"", "the options are no table"),
        ("far IN LUA A \"pickwrandom({'192.0.2.1'})\"", "a table with values belongs here"),
        ("far IN LUA A \"ifportup(1, {'192.0.2.1'}, {timeout='x'})\"", "no whole number"),
        ("far IN LUA A ';if asnum({\"x\"}) then return 1 end'", "LUA has a type"),
    ],
)
def test_a_lua_record_that_cannot_be_read_leaves_the_others(row: str, why: str) -> None:
    zone, notes = of_zone(lua("ifportup(443, {'192.0.2.1'})"), row)
    assert set(zone["records"]) == {"www"}
    assert why in notes[0]


def test_an_mx_record_serves_names() -> None:
    assert record("pickrandom({'10 mx1.lb.example', '10 mx2.lb.example'})", "MX")["dest"] == [
        {"host": f"mx{n}.lb.example.", "content": f"10 mx{n}.lb.example.",
         "check_address": "127.0.0.1"} for n in (1, 2)
    ]  # fmt: skip


def test_a_zone_that_no_part_can_be_blamed_for_is_refused() -> None:
    draft = draft_of_zone(HEAD, "lb.zone", "lb.example")
    draft.default["interval"] = -1
    with pytest.raises(SourceError, match=r"lb\.zone: default\.interval: "):
        accepted_text(draft)


def test_an_soa_or_ns_that_cannot_be_served_is_noted() -> None:
    draft = draft_of_zone(HEAD, "lb.zone", "lb.example")
    zone = draft.zones["lb.example"]
    zone.ns, zone.soa["minimum"] = ["a..b."], -1
    found = tomllib.loads(accepted_text(draft))["zones"]["lb.example"]
    assert "ns" not in found
    assert "soa" not in found
    assert [note.text.partition(":")[0] for note in draft.notes] == ["SOA", "NS"]


def test_the_root_zone_is_refused() -> None:
    with pytest.raises(SourceError, match="root zone"):
        draft_of_zone("$ORIGIN .\n@ 60 IN SOA a b 1 2 3 4 5\n", "x", None)
