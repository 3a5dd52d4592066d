"""What a zone may say: names, rows that cannot stand together, what is left out."""

import gc
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.model.zones import MAX_TTL, ResourceRecord
from dnslb_backend.errors import ConfigError
from tests.system.writing import FINE, config, record, table

ZONE = 'zones."lb.example"'

Item = Mapping[str, object]


def row(name: str, qtype: str, content: str, **keys: object) -> Item:
    return {"name": name, "type": qtype, "content": content, **keys}


def loaded(tmp_path: Path, *static: Item, parts: tuple[str, ...] = (), **zone: object) -> Config:
    path = tmp_path / "dnslb.toml"
    text = config(table(ZONE, static=static, **zone), *parts, default={"check": FINE})
    path.write_text(text)
    return load(ConfigPaths(path))


def refusals(
    tmp_path: Path, *static: Item, parts: tuple[str, ...] = (), **zone: object
) -> list[str]:
    """What is said of it, without the name of the file, which is tried here for all."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, *static, parts=parts, **zone)
    lines = [str(problem) for problem in refused.value.problems]
    assert all(line.startswith(f"{tmp_path}/dnslb.toml") for line in lines)
    return lines


LONG = ".".join(["x" * 60] * 4)


@pytest.mark.parametrize(
    ("static", "place", "expected"),
    [
        # names
        ([row("x" * 64, "A", "192.0.2.1")], "static[0].name", "> 63 octets"),
        ([row(f"{LONG}.y", "A", "192.0.2.1")], "static[0].name", "> 255 octets"),
        ([row("\u00fc" * 60, "A", "192.0.2.1")], "static[0].name", "> 63 octets"),
        ([row("a..b", "A", "192.0.2.1")], "static[0].name", "label is empty"),
        ([row("a.example.", "A", "192.0.2.1")], "static[0].name", "not in the zone lb.example"),
        ([row("xlb.example.", "A", "192.0.2.1")], "static[0].name", "not in the zone"),
        # times
        ([row("a", "A", "192.0.2.1", ttl=MAX_TTL + 1)], "static[0].ttl", "2147483647"),
        ([row("a", "A", "192.0.2.1", ttl=-1)], "static[0].ttl", "greater than or equal to 0"),
        (
            [row("a", "A", "192.0.2.1", ttl=1), row("A", "A", "192.0.2.2", ttl=2)],
            "static[1]",
            "a.lb.example A has a ttl of 1 and of 2 (RFC 2181, 5.2)",
        ),
        # types
        ([row("@", "SOA", "a. b. 1 2 3 4 5")], "static[0].type", "the zone's key soa"),
        ([row("a", "SOA", "a. b. 1 2 3 4 5")], "static[0].type", "the zone's key soa"),
        ([row("a", "MB", "b")], "static[0].type", "is not supported"),
        ([row("a", "ALIAS", "b")], "static[0].type", "is not supported"),
        ([row("a", "TYPE1", "\\# 4 c0000201")], "static[0].type", "is written A"),
        ([row("a", "TYPE47", "\\# 0")], "static[0].type", "is written NSEC"),
        ([row("a", "TYPE0", "\\# 0")], "static[0].type", "is not a record type"),
        ([row("a", "TYPE65536", "\\# 0")], "static[0].type", "is not a record type"),
        ([row("a", "RRSIG", "x")], "static[0].type", "PowerDNS itself"),
        # content
        ([row("a", "LOC", "1 0 0 N 1 0 0 E 0m 5e8m")], "static[0].content", "is not valid data"),
        ([row("a", "CERT", "0 1 8 AQID")], "static[0].content", "cannot be served by PowerDNS"),
        # neighbours
        ([row("a", "CNAME", "b"), row("A", "TXT", "x")], ZONE, "may not have TXT"),
        ([row("@", "CNAME", "b")], ZONE, "may not have NS, SOA"),
        ([row("www", "CNAME", "b")], ZONE, "may not have A"),
        ([row("a", "CNAME", "b"), row("a", "CNAME", "c")], ZONE, "more than one CNAME"),
        ([row("a", "DNAME", "b"), row("a", "DNAME", "c")], ZONE, "more than one DNAME"),
        ([row("a", "DNAME", "b."), row("x.y.a", "A", "192.0.2.1")], ZONE, "below the DNAME of a."),
        ([row("@", "DNAME", "b.")], ZONE, "below the DNAME of lb.example"),
        ([row("a", "A", "192.0.2.1"), row("A", "A", "192.0.2.1", ttl=9)], "static[1]", "twice"),
        ([row("@", "DS", f"1 13 2 {'ab' * 32}")], "static[0].type", "belongs in the zone above"),
        # delegations
        ([row("d", "NS", "x."), row("d", "TXT", "x")], "static[1].type", "allowed: A, AAAA, DS"),
        ([row("d", "NS", "x."), row("a.d", "TXT", "x")], "static[1].type", "allowed: A, AAAA"),
        ([row("d", "NS", "x."), row("a.d", "NS", "x.")], "static[1].type", "by the NS of d."),
        ([row("www", "NS", "x.")], "records.www.A", "is delegated by the NS of www.lb.example"),
        ([row("@", "NS", "x.")], "static", "belong in the key ns only"),
    ],
)
def test_a_row_that_cannot_be_is_refused(
    tmp_path: Path, static: list[Item], place: str, expected: str
) -> None:
    www = record("www", dest=["192.0.2.1"])
    lines = refusals(tmp_path, *static, parts=(www,), ns=["ns1"])
    assert any(place in line and expected in line for line in lines), lines


def test_a_record_behind_a_delegation_is_refused(tmp_path: Path) -> None:
    below = record("www.d", dest=["192.0.2.1"])
    (line,) = refusals(tmp_path, row("d", "NS", "x."), parts=(below,))
    assert "www.d.lb.example is delegated by the NS of d.lb.example" in line


def test_a_name_server_is_named_once(tmp_path: Path) -> None:
    (line,) = refusals(tmp_path, ns=["ns1", "NS1.lb.example."])
    assert 'zones."lb.example".ns[1]: ns1.lb.example is listed twice' in line


def test_what_may_stand_together_loads(tmp_path: Path) -> None:
    zone = loaded(
        tmp_path,
        row("@", "TXT", "apex"),
        row("@", "MX", "10 mail"),
        row("d", "NS", "ns.d"),
        row("d", "DS", f"1 13 2 {'ab' * 32}"),
        row("ns.d", "AAAA", "2001:db8::1"),
        row("other", "NS", "other"),
        row("other", "A", "192.0.2.1"),
        row("*.wild", "A", "192.0.2.1"),
        row("a", "A", "192.0.2.1", ttl=MAX_TTL),
        row("a", "A", "192.0.2.2", ttl=MAX_TTL),
        row("x" * 63, "A", "192.0.2.1"),
    ).plan.zones["lb.example"]
    assert len(zone.static) == 11


def test_names_in_unicode_become_idna_2008(tmp_path: Path) -> None:
    zone = {
        "ns": ["n\u00e4me"],
        "soa": {"mname": "n\u00e4me", "rname": "\u00e4.b\u00fccher.example."},
    }
    static = [
        row("Fa\u00df", "A", "192.0.2.1"),
        row("m", "MX", "10 m\u00e4il.b\u00fccher.example."),
    ]
    path = tmp_path / "dnslb.toml"
    written = {"static": static, **zone}
    text = config(
        table('zones."b\u00fccher.example"', **written),
        record("w\u00fcrfel", dest=["192.0.2.1"]),
        default={"check": FINE},
        domain_name="B\u00dcCHER.example",
    )
    path.write_text(text)
    plan = load(ConfigPaths(path)).plan
    apex = "xn--bcher-kva.example"
    (found,) = plan.zones.values()
    assert (found.name, found.spelling, found.ns) == (apex, apex, (f"xn--nme-qla.{apex}",))
    assert found.soa.rname == f"xn--4ca.{apex}"
    assert found.static == (
        ResourceRecord(f"xn--fa-hia.{apex}", "A", "192.0.2.1", 60),
        ResourceRecord(f"m.{apex}", "MX", f"10 xn--mil-qla.{apex}.", 60),
    )
    (key,) = plan.records
    assert (key.zone, key.name) == (apex, f"xn--wrfel-kva.{apex}")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("192.0.2.54", "192.0.2.54"),
        ("192.0.2.54:5300", "192.0.2.54:5300"),
        ("2001:DB8::54", "2001:db8::54"),
        ("[2001:db8::54]:5300", "[2001:db8::54]:5300"),
    ],
)
def test_secondaries_are_told_and_may_transfer(tmp_path: Path, written: str, told: str) -> None:
    config = loaded(tmp_path, also_notify=[written, written])
    zone = config.plan.zones["lb.example"]
    address = "192.0.2.54" if "192" in told else "2001:db8::54"
    assert (zone.also_notify, zone.allow_axfr) == ((told,), (address,))
    assert any("also_notify: needs [pdns]" in str(warning) for warning in config.warnings)
    some = loaded(tmp_path, also_notify=[written], allow_axfr=["10.0.0.0/8"])
    assert some.plan.zones["lb.example"].allow_axfr == ("10.0.0.0/8",)
    none = loaded(tmp_path, also_notify=[written], allow_axfr=[])
    assert none.plan.zones["lb.example"].allow_axfr == ()


@pytest.mark.parametrize(
    "written",
    [
        "ns2",
        "ns2.lb.example.",
        "192.0.2.256",
        "192.0.2.54:0",
        "192.0.2.54:x",
        "[::1",
        "::1]:53",
        "",
    ],
)
def test_a_secondary_is_an_address(tmp_path: Path, written: str) -> None:
    (line,) = refusals(tmp_path, also_notify=[written])
    assert "also_notify[0]" in line
    assert "192.0.2.54, [2001:db8::54]:5300" in line


def test_a_row_in_a_zone_within_is_refused_there(tmp_path: Path) -> None:
    inner = table('zones."b.lb.example"')
    lines = refusals(tmp_path, row("a.b", "A", "192.0.2.1"), parts=(inner,))
    assert "a.b.lb.example is in another configured zone, b.lb.example" in lines[0]


def cpu_of_loading(tmp_path: Path, zones: int) -> float:
    headers = (f'zones."z{number}.example"' for number in range(zones))
    text = "".join(table(header, static=[row("www", "A", "192.0.2.1")]) for header in headers)
    path = tmp_path / "zones.toml"
    path.write_text(f'[global]\nnode = "ns1.example"\n{text}')
    # As in a command. Here it would look through all that the other tests have left.
    gc.disable()
    try:
        began = time.thread_time()
        load(ConfigPaths(path))
        return time.thread_time() - began
    finally:
        gc.enable()


def test_ten_times_as_many_zones_take_ten_times_as_long(tmp_path: Path) -> None:
    few = min(cpu_of_loading(tmp_path, 300) for _ in range(3))
    many = min(cpu_of_loading(tmp_path, 3000) for _ in range(2))
    assert many < 25 * few
