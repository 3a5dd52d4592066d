"""PowerDNS on the mirror says what PowerDNS said on the daemon."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import aiomysql
import dns.rdatatype
import dns.rrset
import pytest

from dnslb_backend.config.rdata import VERSIONS, data_by_version
from dnslb_backend.core.model.records import AllDown, Dest, Policy, Record
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import parse_version
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.config.contents import CONTENTS
from tests.pdns.transports import http_settings, serve_http
from tests.rigs.dig import Answer
from tests.rigs.mariadb import MariaDB
from tests.rigs.powerdns import PowerDNS, installed_version
from tests.store.database.test_schema import ORIGINAL
from tests.store.farm import FAIL, PASS, Farm, farm_record
from tests.store.mirror.test_mirror import Scene, running

A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"

SHIPPED = (Path(__file__).parents[2] / "pdns" / "break-glass-gmysql.conf").read_text()

STATIC = [
    ZoneRow("NS1.lb.example", "A", "192.0.2.53", 300),
    ZoneRow("ns1.lb.example", "AAAA", "2001:db8::53", 300),
    ZoneRow("alias.lb.example", "CNAME", "www.lb.example.", 60),
    ZoneRow("far.alias.lb.example", "CNAME", "alias.lb.example.", 60),
    ZoneRow("*.wild.lb.example", "A", "192.0.2.77", 60),
    ZoneRow("*.wildalias.lb.example", "CNAME", "www.lb.example.", 60),
    ZoneRow("leaf.b.deep.lb.example", "TXT", '"a \\"quoted\\" text; with \\\\" "and more"', 60),
    ZoneRow("mail.lb.example", "MX", "10 www.lb.example.", 60),
    ZoneRow("mail.lb.example", "MX", "20 other.example.", 60),
    ZoneRow("_sip._tcp.lb.example", "SRV", "1 2 5060 www.lb.example.", 60),
    ZoneRow("caa.lb.example", "CAA", '0 issue "ca.example"', 60),
    ZoneRow("sub.lb.example", "NS", "ns.sub.lb.example.", 60),
    ZoneRow("ns.sub.lb.example", "A", "192.0.2.99", 60),
    ZoneRow("a\\.b.lb.example", "A", "192.0.2.44", 60),
    ZoneRow("sp\\032ace.lb.example", "A", "192.0.2.45", 60),
    ZoneRow("both.lb.example", "TXT", '"beside a balanced record"', 60),
    ZoneRow("www.lb.example", "TXT", '"beside a balanced record"', 60),
]

NAMES = [
    *("lb.example", "www.lb.example", "tiers.lb.example", "fallback.lb.example"),
    *("all.lb.example", "last.lb.example", "nodata.lb.example", "servfail.lb.example"),
    *("pending.lb.example", "auto.lb.example", "both.lb.example", "under.nodata.lb.example"),
    *("NS1.lb.example", "alias.lb.example", "far.alias.lb.example", "x.wild.lb.example"),
    *("wild.lb.example", "x.wildalias.lb.example", "leaf.b.deep.lb.example", "deep.lb.example"),
    *("b.deep.lb.example", "mail.lb.example", "_sip._tcp.lb.example", "_tcp.lb.example"),
    *("caa.lb.example", "sub.lb.example", "host.sub.lb.example", "ns.sub.lb.example"),
    *("a\\.b.lb.example", "sp\\032ace.lb.example", "nosuch.lb.example", "x.www.lb.example"),
    "WwW.Lb.ExAmPlE",
]

TYPES = ["A", "AAAA", "TXT", "MX", "SRV", "CNAME", "NS", "SOA", "CAA"]


def everything() -> Farm:
    """A record for every way to be answered, and rows of every kind."""
    spare = (Dest(D, is_literal=True),)
    down: dict[str, Record] = {
        "fallback": farm_record("fallback", A, B, fallback=spare, all_down=AllDown.FALLBACK),
        "all": farm_record("all", A, B, all_down=AllDown.ALL),
        "last": farm_record("last", A, B, all_down=AllDown.LAST),
        "nodata": farm_record("nodata", A, B, all_down=AllDown.NODATA),
        "servfail": farm_record("servfail", A, B, all_down=AllDown.SERVFAIL),
        "both": farm_record("both", C, all_down=AllDown.NODATA),
        "under.nodata": farm_record("under.nodata", C, all_down=AllDown.NODATA),
    }
    up = [
        farm_record("www", A, B, C),
        replace(farm_record("auto", A, B), ttl_range=(1, 30)),
        farm_record("tiers", A, B, C),
    ]
    farm = Farm(*up, *down.values(), farm_record("pending", A), static=STATIC)
    for name in ("www", "auto", "tiers"):
        farm.check(name, PASS)
    farm.check("tiers", FAIL, A)
    for name in down:
        farm.check(name, PASS, B)
        farm.check(name, FAIL)
    farm.settle()
    return farm


@asynccontextmanager
async def mirrored(settings: MysqlSettings, farm: Farm, node: str = "ns1") -> AsyncIterator[Scene]:
    """The mirror of a farm, complete when the block begins."""
    scene = Scene(MariaStore(settings), farm, node=node)
    async with running(scene):
        assert await scene.mirror.flush(10)
        yield scene
    await scene.store.close()


def break_glass(server: MariaDB, database: str) -> PowerDNS:
    """pdns_server with the shipped file, told where this test's database is."""
    assert "/run/mysqld/mysqld.sock" in SHIPPED
    conf = (
        SHIPPED.replace("/run/mysqld/mysqld.sock", str(server.socket))
        .replace("gmysql-dbname=dnslb", f"gmysql-dbname={database}")
        .replace("gmysql-user=pdns", "gmysql-user=root")
    )
    return PowerDNS({}, conf=conf)


def told(answer: Answer) -> tuple[object, ...]:
    """What a client makes of it."""
    message = answer.message
    return (
        answer.rcode,
        "aa" in answer.flags,
        _set(message.answer),
        _set(message.authority),
        _set(message.additional),
    )


def _set(section: list[dns.rrset.RRset]) -> frozenset[tuple[str, int, str]]:
    return frozenset(
        (f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}".lower(), rrset.ttl, rdata.to_text())
        for rrset in section
        for rdata in rrset
    )


async def differences(
    farm: Farm,
    server: MariaDB,
    settings: MysqlSettings,
    questions: Iterable[tuple[str, str]],
    *,
    tcp: bool = False,
) -> str:
    """What is answered differently on the daemon and on its mirror."""
    async with mirrored(settings, farm):
        pass
    found = []
    async with (
        serve_http(Responder(lambda: farm.snapshot)) as port,
        PowerDNS(http_settings(port)) as live,
        break_glass(server, settings.name) as spare,
    ):
        for name, kind in questions:
            theirs = told(await spare.ask(name, kind, tcp=tcp))
            ours = told(await live.ask(name, kind, tcp=tcp))
            if theirs != ours:
                found.append(f"{name} {kind}\n  daemon: {ours}\n  mirror: {theirs}")
    return "\n".join(found)


async def test_it_answers_as_the_daemon_did(mariadb: MariaDB, settings: MysqlSettings) -> None:
    differing = await differences(everything(), mariadb, settings, product(NAMES, TYPES))
    assert not differing, differing


async def test_every_type_is_answered_as_the_daemon_did(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    """DNAME apart: PowerDNS has to be told to look for it, with `dname-processing`."""
    ours = parse_version(installed_version()) or (0, 0)
    since = max(version for version in VERSIONS if version <= ours)
    data = [
        data_by_version(qtype, content, "lb.example")[since]
        for qtype, contents in CONTENTS.items()
        for content in contents
        if qtype != "DNAME"
    ]
    names = [f"r{number}.lb.example" for number in range(len(data))]
    rows = [
        ZoneRow(name, *row, 60, auth=row.qtype != "NS")
        for name, row in zip(names, data, strict=True)
    ]
    farm = Farm(farm_record("www", A), static=rows)
    farm.check_all()
    questions = [(name, row.qtype) for name, row in zip(names, data, strict=True)]
    differing = await differences(farm, mariadb, settings, questions, tcp=True)
    assert not differing, differing


async def test_each_answer_is_one_of_the_kinds_that_there_are(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    """The comparison above would not notice that nothing is answered at all."""
    async with mirrored(settings, everything()):
        pass
    async with break_glass(mariadb, settings.name) as pdns:
        served = {
            "www": {A, B, C},
            "tiers": {B, C},
            "fallback": {D},
            "all": {A, B},
            "last": {B},
            "ns1": {"192.0.2.53"},
            "x.wild": {"192.0.2.77"},
        }
        for name, addresses in served.items():
            assert (await pdns.ask(f"{name}.lb.example")).addresses == addresses, name
        for name in ("nodata", "both", "deep", "under.nodata"):
            assert (await pdns.ask(f"{name}.lb.example")).is_nodata, name
        for name in ("servfail", "pending"):
            assert (await pdns.ask(f"{name}.lb.example")).rcode == "SERVFAIL", name
        assert (await pdns.ask("nosuch.lb.example")).rcode == "NXDOMAIN"
        mail = await pdns.ask("mail.lb.example", "MX")
        assert sorted(mail.contents) == ["10 www.lb.example.", "20 other.example."]


async def test_it_follows_the_freshest_node(mariadb: MariaDB, settings: MysqlSettings) -> None:
    for node, address in (("ns1", A), ("ns2", B), ("ns0", C)):
        farm = Farm(farm_record("www", address))
        farm.check_all()
        async with mirrored(settings, farm, node):
            pass
    async with break_glass(mariadb, settings.name) as pdns:
        assert (await pdns.ask("www.lb.example")).addresses == {C}


async def test_members_for_some_views_only_are_given_to_nobody(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    record = farm_record("www", A, B)
    office = replace(record.dests[1], views=("office",))
    alone = replace(farm_record("inside", C), dests=(replace(record.dests[0], views=("office",)),))
    farm = Farm(replace(record, dests=(record.dests[0], office)), alone)
    farm.check_all()
    async with mirrored(settings, farm):
        pass
    async with break_glass(mariadb, settings.name) as pdns:
        assert (await pdns.ask("www.lb.example")).addresses == {A}
        assert (await pdns.ask("inside.lb.example")).addresses == frozenset()


async def test_a_policy_that_picks_some_gives_all(
    mariadb: MariaDB, settings: MysqlSettings
) -> None:
    farm = Farm(replace(farm_record("www", A, B, C), policy=Policy.WEIGHTED, max_answers=1))
    farm.check_all()
    async with mirrored(settings, farm):
        pass
    async with break_glass(mariadb, settings.name) as pdns:
        assert (await pdns.ask("www.lb.example")).addresses == {A, B, C}


async def test_it_serves_from_a_database_of_its_own(mariadb: MariaDB, empty: MysqlSettings) -> None:
    for statement in ORIGINAL:
        await mariadb.query(statement, database=empty.name)
    views = f"{empty.name}_views"
    await apply(empty, views_database=views)
    farm = Farm(farm_record("www", A, B))
    farm.check_all()
    async with mirrored(empty, farm):
        pass
    async with break_glass(mariadb, views) as pdns:
        assert (await pdns.ask("www.lb.example")).addresses == {A, B}


async def test_the_originals_columns_are_there(mariadb: MariaDB, settings: MysqlSettings) -> None:
    """Its monitoring asks for them."""
    spare = (Dest(D, is_literal=True),)
    fallen = farm_record("fallen", C, fallback=spare, all_down=AllDown.FALLBACK)
    farm = Farm(farm_record("www", A, B), fallen)
    farm.check("www", PASS, A)
    farm.check("www", FAIL, B)
    farm.check("fallen", FAIL)
    async with mirrored(settings, farm):
        pass
    rows = await mariadb.query(
        "SELECT content, disabled, prio, last_lb_check_result AS result,"
        " UNIX_TIMESTAMP() - last_lb_check AS age"
        " FROM records WHERE type = 'A' ORDER BY name DESC, content",
        database=settings.name,
    )
    assert [(r["content"], r["disabled"], r["prio"], r["result"]) for r in rows] == [
        (A, 0, 1, 0),
        (B, 1, None, -2),
        (C, 1, None, -2),
        # Served without being checked.
        (D, 0, None, 0),
    ]
    assert all(0 <= row["age"] < 60 for row in rows)
    soa = await mariadb.query(
        "SELECT last_lb_check AS c FROM records WHERE type = 'SOA'", database=settings.name
    )
    assert soa == [{"c": -1}]


@pytest.mark.parametrize("statement", ["DELETE FROM records", "UPDATE records SET disabled = 1"])
async def test_nobody_writes_through_the_views(
    mariadb: MariaDB, settings: MysqlSettings, statement: str
) -> None:
    with pytest.raises(aiomysql.OperationalError, match="not updatable"):
        await mariadb.query(statement, database=settings.name)
