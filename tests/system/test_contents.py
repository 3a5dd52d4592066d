"""Balanced names of every type and place: CNAME, MX, SRV, wildcards and the apex."""

import pytest

from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.serving import CACHES, Serving, serving
from tests.system.writing import config, http, record, table

ALWAYS = {"type": "static"}

ZONE = table(
    'zones."lb.example"',
    ns=["ns1"],
    soa={"mname": "ns1", "rname": "hostmaster"},
    static=[
        {"name": "ns1", "type": "A", "content": "192.0.2.53"},
        {"name": "mx1", "type": "A", "content": "192.0.2.61"},
        {"name": "mx2", "type": "A", "content": "192.0.2.62"},
        {"name": "there", "type": "TXT", "content": '"here"'},
        {"name": "@", "type": "TXT", "content": '"apex"'},
    ],
)


async def has(served: Serving, name: str, qtype: str, contents: set[str]) -> None:
    """Wait until DNS has exactly these records of that type."""

    async def found() -> bool:
        answer = await served.ask(name, qtype)
        return answer.rcode == "NOERROR" and set(answer.contents) == contents

    await until(found, what=f"{name} {qtype} = {sorted(contents)}")


@pytest.mark.parametrize("caches", CACHES)
async def test_what_is_no_address_follows_the_health_of_one(caches: str) -> None:
    async with farm(2) as (first, second):

        def members(*contents: str) -> list[dict[str, str]]:
            hosts = (first.host, second.host)
            return [{"host": h, "content": c} for h, c in zip(hosts, contents, strict=True)]

        app = [
            {"host": "one.elsewhere.example", "check_address": first.host, "prio": 2},
            {"host": "two.elsewhere.example", "check_address": second.host},
        ]
        drawn = members("one.elsewhere.example.", "two.elsewhere.example.")
        records = [
            record("app", "CNAME", dest=app, fallback="sorry.elsewhere.example."),
            record("drawn", "CNAME", dest=drawn, policy="weighted", max_answers=9),
            record("mail", "MX", dest=members("10 mx1", "20 mx2"), fallback="90 mx9"),
            record("_sip._tcp", "SRV", dest=members("10 60 5060 mx1", "10 40 5060 mx2")),
            record("inside", "CNAME", dest=members("mx1", "mx2"), all_down="all"),
        ]
        text = config(ZONE, *records, default={"check": http(first.port)})
        async with serving(text, caches) as served:
            await has(served, "app", "CNAME", {"one.elsewhere.example."})
            await has(served, "mail", "MX", {"10 mx1.lb.example.", "20 mx2.lb.example."})
            both = {"10 60 5060 mx1.lb.example.", "10 40 5060 mx2.lb.example."}
            await has(served, "_sip._tcp", "SRV", both)
            mail = await served.ask("mail", "MX")
            more = {rdata.to_text() for rrset in mail.message.additional for rdata in rrset}
            assert more == {"192.0.2.61", "192.0.2.62"}
            # An alias is one name, whatever max_answers says, and another one at times.
            seen: set[str] = set()

            async def drawn_both() -> bool:
                answer = await served.ask("drawn", "CNAME")
                assert len(answer.contents) == 1
                seen.update(answer.contents)
                return len(seen) == 2

            await until(drawn_both)
            # PowerDNS follows an alias that stays in the zone.
            assert (await served.ask("inside")).addresses == {"192.0.2.61"}

            first.fail()
            await has(served, "app", "CNAME", {"two.elsewhere.example."})
            await has(served, "drawn", "CNAME", {"two.elsewhere.example."})
            await has(served, "mail", "MX", {"20 mx2.lb.example."})
            await has(served, "_sip._tcp", "SRV", {"10 40 5060 mx2.lb.example."})
            await served.follows("inside", {"192.0.2.62"})

            second.fail()
            await has(served, "app", "CNAME", {"sorry.elsewhere.example."})
            await has(served, "mail", "MX", {"90 mx9.lb.example."})
            await has(served, "_sip._tcp", "SRV", set())
            await has(served, "inside", "CNAME", {"mx1.lb.example."})


@pytest.mark.parametrize("caches", CACHES)
async def test_wildcards_and_the_apex_are_balanced_as_well(caches: str) -> None:
    async with farm(2) as (first, second):
        hosts = [first.host, second.host]
        records = [
            record("@", dest=hosts),
            record("@", "AAAA", dest=["2001:db8::1"], check=ALWAYS),
            record("@", "MX", dest=[{"host": first.host, "content": "10 mx1"}]),
            record("*", dest=hosts),
            record("*.apps", dest=[first.host]),
            record("*.drawn", policy="weighted", dest=["192.0.2.1", "192.0.2.2"], check=ALWAYS),
        ]
        text = config(ZONE, *records, default={"check": http(first.port)})
        async with serving(text, caches) as served:
            await served.follows("@", {*hosts})
            await served.follows("any", {*hosts})
            await served.follows("any.thing", {*hosts})
            await served.follows("x.apps", {first.host})
            assert (await served.ask("@", "AAAA")).addresses == {"2001:db8::1"}
            assert (await served.ask("@", "TXT")).contents == ('"apex"',)
            assert (await served.ask("@", "SOA")).contents
            assert (await served.ask("@", "NS")).contents == ("ns1.lb.example.",)
            # What is there covers itself, and the empty name above a wildcard does so too.
            assert (await served.ask("there")).is_nodata
            assert (await served.ask("apps")).is_nodata
            assert (await served.ask("any", "AAAA")).is_nodata
            # Lookups of one wildcard within 50 ms count as one query.
            drawn: set[frozenset[str]] = set()

            async def both_were_drawn() -> bool:
                drawn.add((await served.ask(f"x{len(drawn)}.drawn")).addresses)
                return len(drawn) > 1

            await until(both_were_drawn)
            assert drawn == {frozenset({"192.0.2.1"}), frozenset({"192.0.2.2"})}

            first.fail()
            for name in ("@", "any", "any.thing"):
                await served.follows(name, {second.host})
            await served.follows("x.apps", set())
            assert (await served.ask("x.apps")).is_nodata
            await has(served, "@", "MX", set())
            first.heal()
            for name in ("@", "any", "any.thing"):
                await served.follows(name, {*hosts})
            await served.follows("x.apps", {first.host})
