"""A real secondary follows what the health checks find out, told by PowerDNS's NOTIFY."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import dns.exception
import dns.message
import dns.xfr
import pytest

from tests.pdns.shipped import text as shipped
from tests.rigs.daemon import Daemon
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS, name_here
from tests.rigs.secondary import Secondary
from tests.rigs.targets import farm
from tests.rigs.transfer import transfer, transfer_text
from tests.rigs.waiting import passes, until
from tests.system.serving import CACHES
from tests.system.writing import FINE, config, http, record, table

LB = "lb.example"
WWW = f"www.{LB}"
SOA = {"mname": "ns1", "rname": "hostmaster"}
NS1 = {"name": "ns1", "type": "A", "content": "192.0.2.53"}

AFTER_VERDICT = 2.0
"""Seconds in which a secondary shows what was decided."""


def zone(name: str = LB, **keys: object) -> str:
    return table(f'zones."{name}"', **{"ns": ["ns1"], "soa": SOA, "static": [NS1], **keys})


@dataclass(frozen=True, slots=True)
class Pair:
    daemon: Daemon
    primary: PowerDNS
    secondary: Secondary

    async def alike(self) -> bool:
        """Whether both hand out the same zone."""
        if not await self.secondary.has(LB):
            return False
        return await transfer(self.primary.address, LB) == await transfer(
            (self.secondary.host, self.secondary.port), LB
        )

    async def serves(self, addresses: set[str]) -> bool:
        return (await self.secondary.ask(WWW)).addresses == addresses


def with_secondaries(conf: str) -> str:
    """A shipped file after somebody took the # away, as it says."""
    start, rest = conf.split("# -- secondaries ", 1)
    section, end = rest.split("# -- caches ", 1)
    section = re.sub("^#([a-z-]+=)", r"\1", section, flags=re.MULTILINE)
    assert section.count("\nprimary=yes\n") == 1
    return f"{start}# {section}# {end}"


def by_socket(pdns: PowerDNS) -> dict[str, object]:
    return {"control_socket": str(pdns.control_socket)}


def by_api(pdns: PowerDNS) -> dict[str, object]:
    key = pdns.directory / "key"
    key.write_text("secret")
    return {"api": f"http://127.0.0.1:{pdns.settings['webserver-port']}", "api_key_file": str(key)}


@asynccontextmanager
async def pair(
    text: Callable[[str], str],
    caches: str = "on",
    settings: Mapping[str, object] | None = None,
    channel: Callable[[PowerDNS], Mapping[str, object]] = by_socket,
) -> AsyncIterator[Pair]:
    """A daemon, PowerDNS as its shipped file sets it up for secondaries, and one of these.

    `text` is told whom to notify.
    """
    secondary = Secondary([LB])
    daemon = Daemon(text(secondary.address))
    conf = with_secondaries(shipped("pdns-http.conf", port=int(daemon.http.rpartition(":")[2])))
    ttl = 60 if caches == "on" else 0
    named = dict.fromkeys(("cache-ttl", "query-cache-ttl", "negquery-cache-ttl"), ttl)
    primary = PowerDNS(named | dict(settings or {}), conf=conf)
    keys = channel(primary)
    daemon.configure(f"{text(secondary.address)}\n{table('pdns', **keys)}")
    secondary.primary = primary.address
    async with daemon, primary, secondary:
        yield Pair(daemon, primary, secondary)


@pytest.mark.parametrize("caches", CACHES)
async def test_a_secondary_follows_within_two_seconds(caches: str) -> None:
    async with farm(2) as (first, second):
        both = {first.host, second.host}
        www = record("www", dest=sorted(both), check=http(first.port))
        wild = record("*", dest=["192.0.2.66"], check=FINE)

        def text(secondary: str) -> str:
            return config(zone(also_notify=[secondary]), www, wild)

        async with pair(text, caches) as rig:
            await until(lambda: rig.serves(both))
            assert await rig.alike()
            for change, word, served in (
                (second.fail, "no longer served", {first.host}),
                (second.heal, "now served", both),
                (first.fail, "no longer served", {second.host}),
            ):
                known = len(rig.daemon.log)
                change()
                await rig.daemon.logged(word, after=known)
                await until(partial(rig.serves, served), within=AFTER_VERDICT)
            await until(rig.alike)
            # Nobody is left: the name exists all the same, here as there.
            second.fail()
            await until(lambda: rig.serves(set()))
            assert (await rig.secondary.ask(WWW)).is_nodata


async def test_the_api_notifies_as_well() -> None:
    async with farm(2) as (first, second):
        www = record("www", dest=[first.host, second.host], check=http(first.port))

        def text(secondary: str) -> str:
            return config(zone(also_notify=[secondary]), www)

        api = {"api": "yes", "webserver": "yes", "webserver-port": free_port(), "api-key": "secret"}
        async with pair(text, settings=api, channel=by_api) as rig:
            await until(lambda: rig.serves({first.host, second.host}))
            second.fail()
            await rig.daemon.logged("no longer served")
            await until(lambda: rig.serves({first.host}), within=AFTER_VERDICT)


async def test_powerdns_finds_out_by_itself_where_it_is_left_to() -> None:
    """Whom to tell stands in pdns.conf then, and nothing of it in dnslb.toml."""
    async with farm(2) as (first, second):
        www = record("www", dest=[first.host, second.host], check=http(first.port))
        secondary = Secondary([LB])
        async with Daemon(config(zone(), www)) as daemon:
            pdns = daemon.powerdns(
                primary="yes", xfr_cycle_interval=1, also_notify=secondary.address
            )
            secondary.primary = pdns.address
            async with pdns, secondary:
                rig = Pair(daemon, pdns, secondary)
                await until(lambda: rig.serves({first.host, second.host}))
                second.fail()
                await daemon.logged("no longer served")
                await until(lambda: rig.serves({first.host}), within=AFTER_VERDICT)


async def test_a_powerdns_that_may_not_notify_is_told_of() -> None:
    text = config(zone(also_notify=["127.0.0.1:1"]))
    daemon = Daemon(text)
    pdns = daemon.powerdns()
    daemon.configure(f"{text}\n{table('pdns', **by_socket(pdns))}")
    async with daemon, pdns:
        line = await daemon.logged("cannot notify the secondaries of lb.example")
        assert f"PowerDNS not configured as {name_here('primary')}" in line


async def test_a_restart_and_a_reload_reach_the_secondary() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    new = {"name": "new", "type": "TXT", "content": "x"}

    def text(secondary: str, *static: dict[str, str]) -> str:
        return config(zone(also_notify=[secondary], static=[NS1, *static]), www)

    async with pair(text) as rig:
        await until(lambda: rig.serves({"192.0.2.1"}))
        # The part of PowerDNS that tells secondaries takes it with it if it finds nobody.
        await rig.daemon.stop()
        await passes(2)
        assert rig.primary.alive
        await rig.daemon.start()
        keys = table("pdns", **by_socket(rig.primary))
        rig.daemon.configure(f"{text(rig.secondary.address, new)}\n{keys}")
        rig.daemon.reload()

        async def has_new() -> bool:
            return (await rig.secondary.ask(f"new.{LB}", "TXT")).contents == ('"x"',)

        await until(has_new)
        await until(rig.alike)


async def test_who_may_transfer_is_for_the_zone_to_say() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    text = config(zone(allow_axfr=["127.0.0.2/32"]), www)
    async with Daemon(text) as daemon, daemon.powerdns(allow_axfr_ips="192.0.2.0/24") as pdns:
        assert await transfer(pdns.address, LB, source="127.0.0.2")
        with pytest.raises(dns.xfr.TransferError, match="NOTAUTH"):
            await transfer(pdns.address, LB)


NAMES = 10_000
ALIKE = 50


@pytest.mark.soak  # PowerDNS gives ten thousand rows 2 s, which a busy machine may take
async def test_ten_thousand_names_are_transferred_while_members_flip() -> None:
    """Each transfer is of one moment, and nobody who asks meanwhile notices."""
    static = [{"name": f"n{n}", "type": "A", "content": "192.0.2.7"} for n in range(NAMES)]
    async with farm(2) as (first, second):
        records = [record(f"b{n}", dest=[first.host, second.host]) for n in range(ALIKE)]
        big = config(zone(static=[NS1, *static]), *records, default={"check": http(first.port)})
        async with Daemon(big) as daemon, daemon.powerdns() as pdns:

            async def flips() -> None:
                while True:
                    for change, word in ((second.fail, "no longer"), (second.heal, "now served")):
                        known = len(daemon.log)
                        change()
                        await daemon.logged(word, after=known)

            async def asks() -> None:
                while True:
                    began = time.monotonic()
                    answer = await pdns.ask(f"n{len(waits) % NAMES}.{LB}")
                    waits.append(time.monotonic() - began)
                    assert answer.addresses == {"192.0.2.7"}

            waits: list[float] = []
            seen: set[int] = set()
            jobs = [asyncio.create_task(job()) for job in (flips, asks)]
            try:

                async def both_seen() -> bool:
                    rows = await transfer_text(pdns.address, LB)
                    of_balanced = [row for row in rows if row.startswith("b")]
                    # With the SOA at the end once more.
                    assert len(rows) - len(of_balanced) == NAMES + 4
                    # One moment: all of them have the second, or none has.
                    assert len(of_balanced) in (ALIKE, 2 * ALIKE)
                    seen.add(len(of_balanced))
                    return len(seen) == 2

                await until(both_seen)
                assert not any(job.done() for job in jobs)
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
            assert max(waits) < 1.0
