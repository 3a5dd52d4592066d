"""Whole zones: records of every type, what is not there, transfers, zones that come and go."""

import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import dns.flags
import dns.name
import dns.rdata
import dns.rdatatype
import pytest

from tests.config.contents import CONTENTS
from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import installed_version, is_older_than
from tests.rigs.transfer import Record, transfer
from tests.rigs.transfer import record as sent
from tests.rigs.waiting import until
from tests.system.serving import CACHES, Serving, serving
from tests.system.wall_clock import WallClock
from tests.system.writing import FINE, config, record, table

LB = "lb.example"
ORIGIN = dns.name.from_text(LB)
SOA = {"mname": "ns1", "rname": "hostmaster"}
WRONG_BEFORE_45 = (r'1 . alpn="f\\\\oo\\,bar,h2"',)
"""PowerDNS serves these as something else."""

NS1 = {"name": "ns1", "type": "A", "content": "192.0.2.53"}


def zone(*static: Mapping[str, object], **keys: object) -> str:
    return table(f'zones."{LB}"', ns=["ns1"], soa=SOA, static=[NS1, *static], **keys)


async def listed(daemon: Daemon) -> set[Record]:
    """What the daemon answers to `list`."""
    url = f"http://{daemon.http}/dns/list/-1/{LB}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        rows = json.loads(await response.read())["result"]
    return {sent(row["qname"], row["ttl"], _parsed(row["qtype"], row["content"])) for row in rows}


def _parsed(qtype: str, content: str) -> dns.rdata.Rdata:
    if qtype == "IPSECKEY" and content.split()[1] == "0":
        fields = content.split(" ", 3)
        content = " ".join([*fields[:3], ".", *fields[3:]])
    return dns.rdata.from_text("IN", qtype, content, origin=dns.name.root, relativize=False)


async def test_every_type_is_served_as_it_was_written() -> None:
    written = [
        (qtype, content)
        for qtype, contents in CONTENTS.items()
        for content in contents
        if not (content in WRONG_BEFORE_45 and is_older_than(4, 5))
    ]
    owners = [f"r{number}.{qtype}" for number, (qtype, _) in enumerate(written)]
    static: list[dict[str, object]] = [
        {"name": owner, "type": qtype, "content": content, "ttl": 300 + number}
        for number, (owner, (qtype, content)) in enumerate(zip(owners, written, strict=True))
    ]
    own = table("pdns", version=installed_version())
    async with serving(config(zone(*static), own), "off", dname_processing="yes") as served:
        seen: set[Record] = set()
        for number, (owner, (qtype, content)) in enumerate(zip(owners, written, strict=True)):
            answer = await served.ask(owner, qtype, tcp=True)
            data = dns.rdata.from_text("IN", qtype, content, origin=ORIGIN, relativize=False)
            expected = sent(f"{owner}.{LB}", 300 + number, data)
            # A delegation is told in the authority section.
            message = answer.message
            found = {
                sent(rrset.name.to_text(), rrset.ttl, rdata)
                for rrset in (message.authority if qtype == "NS" else message.answer)
                for rdata in rrset
                if rrset.rdtype == data.rdtype
            }
            assert (answer.rcode, found) == ("NOERROR", {expected}), (qtype, content)
            seen.add(expected)
        rows = await listed(served.daemon)
        assert rows == await transfer(served.pdns.address, LB)
        assert seen <= rows
        assert " 0 errors, " in (await served.pdns.util("check-zone", LB))[1]
        assert {row.type for row in rows - seen} == {"SOA", "NS", "A"}


NEGATIVE = zone(
    {"name": "www", "type": "TXT", "content": "here"},
    {"name": "leaf.b.deep", "type": "A", "content": "192.0.2.1"},
    {"name": "*.wild", "type": "A", "content": "192.0.2.2"},
    {"name": "there.wild", "type": "TXT", "content": "here"},
    {"name": "below.there.wild", "type": "TXT", "content": "here"},
    {"name": "sub", "type": "NS", "content": "ns.sub"},
    {"name": "sub", "type": "NS", "content": "ns.elsewhere.example."},
    {"name": "sub", "type": "DS", "content": f"1 13 2 {'ab' * 32}"},
    {"name": "ns.sub", "type": "A", "content": "192.0.2.3"},
    {"name": "unsigned", "type": "NS", "content": "ns.sub"},
)


async def is_referral(served: Serving, name: str, *, cut: str, glue: set[str]) -> bool:
    message = (await served.ask(name)).message
    ns = message.get_rrset(
        message.authority, dns.name.from_text(f"{cut}.{LB}"), dns.rdataclass.IN, dns.rdatatype.NS
    )
    shown = {rdata.to_text() for rrset in message.additional for rdata in rrset}
    return bool(ns) and not message.answer and not message.flags & dns.flags.AA and shown == glue


@pytest.mark.parametrize("caches", CACHES)
async def test_what_is_not_there_is_denied_rightly(caches: str) -> None:
    async with serving(
        config(NEGATIVE, record("lb", dest=["192.0.2.9"], check=FINE)), caches
    ) as lb:
        # Twice, so that what is cached is asked for as well.
        for _ in range(2):
            for name in ("nope", "a.b.nope", "nope.www", "nope.deep", "x.below.there.wild"):
                answer = await lb.ask(name)
                assert (answer.rcode, answer.has_soa) == ("NXDOMAIN", True), name
            nodata = [
                ("www", "A"),
                ("lb", "AAAA"),
                ("@", "TXT"),
                # Names that only others below them make exist
                ("deep", "A"),
                ("b.deep", "TXT"),
                ("wild", "A"),
                # wildcards: of another type, beside a name that exists, and themselves
                ("x.wild", "AAAA"),
                ("a.b.wild", "TXT"),
                ("there.wild", "A"),
                ("*.wild", "TXT"),
                # A delegation that is not signed, and one's own apex
                ("unsigned", "DS"),
                ("@", "DS"),
            ]
            for name, qtype in nodata:
                assert (await lb.ask(name, qtype)).is_nodata, (name, qtype)
            # A wildcard does not cover what is below a name that exists.
            assert (await lb.ask("y.there.wild")).rcode == "NXDOMAIN"
            for name in ("x.wild", "a.b.c.wild", "*.wild"):
                assert (await lb.ask(name)).addresses == {"192.0.2.2"}
            for name in ("sub", "ns.sub", "any.thing.sub"):
                assert await is_referral(lb, name, cut="sub", glue={"192.0.2.3"}), name
            assert await is_referral(lb, "unsigned", cut="unsigned", glue={"192.0.2.3"})
            assert "0 errors, 0 warnings" in (await lb.pdns.util("check-zone", LB))[1]
            ds = await lb.ask("sub", "DS")
            assert "aa" in ds.flags
            assert len(ds.contents) == 1


async def test_a_zone_comes_and_goes_with_a_reload() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    other = table('zones."other.example"', ns=["ns1.lb.example."], soa=SOA)
    api = table('zones."other.example".records.api.A', dest=["192.0.2.2"], check=FINE)
    async with serving(config(zone(), www), "on", zone_cache_refresh_interval=1) as served:
        daemon, pdns = served.daemon, served.pdns
        more, fewer = config(zone(), www, other, api), config(zone(), www)
        for text, rcode in ((more, "NOERROR"), (fewer, "REFUSED")):
            keep = {"control_socket": str(pdns.control_socket)}
            daemon.configure(text + "\n" + table("pdns", **keep))
            daemon.reload()

            async def is_so(wanted: str = rcode) -> bool:
                return (await pdns.ask("api.other.example")).rcode == wanted

            await until(is_so, within=4)
            assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}


async def test_what_changed_over_a_restart_is_not_answered_from_a_cache() -> None:
    """Nor what has changed while nobody, or the wrong PowerDNS, could be told."""
    static = {"name": "t", "type": "TXT", "content": "old"}
    async with serving(config(zone(static)), "on") as served:
        daemon, pdns = served.daemon, served.pdns

        async def is_new(wanted: str) -> bool:
            return wanted in (await pdns.ask(f"t.{LB}", "TXT")).contents

        def says(text: str, *more: str, control: str) -> None:
            said = zone({**static, "content": text})
            daemon.configure(config(said, table("pdns", control_socket=control), *more))

        assert await is_new('"old"')
        assert (await pdns.ask(f"new.{LB}")).rcode == "NXDOMAIN"
        await daemon.stop()
        www = record("new", dest=["192.0.2.1"], check=FINE)
        says("newer", www, control=str(pdns.control_socket))
        await daemon.start()
        await until(lambda: is_new('"newer"'), within=5)
        await follows(pdns, f"new.{LB}", {"192.0.2.1"}, within=5)
        # The wrong one is told of the next change, and the right one once it is found.
        says("newest", www, control=f"{pdns.directory}/nowhere")
        daemon.reload()
        await daemon.logged("cannot purge PowerDNS's caches")
        says("newest", www, control=str(pdns.control_socket))
        daemon.reload()
        await until(lambda: is_new('"newest"'), within=5)


async def test_names_in_unicode_are_served_as_idna() -> None:
    text = config(
        table('zones."b\u00fccher.example"', ns=["ns1"], soa=SOA, static=[NS1]),
        record("w\u00fcrfel", dest=["192.0.2.1"], check=FINE),
        domain_name="b\u00fccher.example",
    )
    async with Daemon(text) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "xn--wrfel-kva.xn--bcher-kva.example", {"192.0.2.1"})
        ns = await pdns.ask("XN--Bcher-Kva.example", "NS")
        assert [name.lower() for name in ns.contents] == ["ns1.xn--bcher-kva.example."]


async def test_the_serial_never_goes_back_over_a_restart(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    daemon = Daemon(config(zone()), environment=clock.environment)

    async def serial() -> int:
        answer = await pdns.ask(LB, "SOA")
        return int(answer.contents[0].split()[2]) if answer.contents else 0

    clock.step(86400)
    async with daemon, daemon.powerdns() as pdns:
        first = await serial()
        await daemon.stop()
        # The true time is a day behind.
        del daemon.environment["LD_PRELOAD"]
        await daemon.start()
        second = await until(serial)
        assert second > first
        daemon.configure(config(zone({"name": "t", "type": "TXT", "content": "new"})))
        daemon.reload()
        await daemon.logged("reloaded")
        assert await serial() > second
