"""The check scheduler, with real targets and a real name server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import dns.rcode
import pytest

from dnslb_backend import metrics
from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.clock import now
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import Record, RecordKey, Timing
from tests.checkers.nameserver import NanoNameServer
from tests.core.building import ZONE, plan, record
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until

NAMES = "www", "other"
WWW, OTHER = (RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in NAMES)
TIMING = Timing(interval=0.1, timeout=0.4, dns_timeout=0.3, stale_after=60)
FINE = {"fine": parse_check({"type": "static"})}


class SchedulerRig:
    """The scheduler of some records at work, and the health map that it keeps current."""

    def __init__(self, resolver: Resolver, tools: CheckResources) -> None:
        self.tools = tools
        self.map = HealthMap()
        self.scheduler = Scheduler(self.map, resolver, tools, slots=100, changed=lambda: None)

    def configure(
        self, *records: Record, checks: Mapping[str, Check] = FINE, slots: int = 100
    ) -> None:
        changed = self.map.apply_plan(plan(*records), now())
        self.scheduler.apply_plan(checks, changed, slots)

    def served(self, key: RecordKey = WWW) -> set[str]:
        self.map.decide_marked()
        return set(self.map.records[key].decision.contents)

    def health(self, target: TargetKey) -> Health:
        return self.map.target(target).health


@asynccontextmanager
async def scheduler(
    *records: Record,
    checks: Mapping[str, Check] = FINE,
    servers: Iterable[str] = (),
    slots: int = 100,
) -> AsyncIterator[SchedulerRig]:
    async with CheckResources() as tools, Resolver(list(servers)) as resolver:
        made = SchedulerRig(resolver, tools)
        made.configure(*records, checks=checks, slots=slots)
        work = asyncio.create_task(made.scheduler.run())
        try:
            yield made
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def www(
    *dests: str, key: RecordKey = WWW, check: str = "fine", timing: Timing = TIMING, fall: int = 1
) -> Record:
    return record(*dests, key=key, checks=(check,), timing=timing, fall=fall)


def at_port(base: Record, port: int) -> Record:
    """The same record, its targets asked at this port."""
    return replace(base, dests=tuple(replace(dest, check_port=port) for dest in base.dests))


HANGS: dict[str, dict[str, Any]] = {
    "down_interval below the timeout": {"down_interval": 0.1},
    "down_interval as long as the timeout": {"down_interval": 0.4},
    "fast_interval below the timeout": {"fast_interval": 0.1},
    "interval below the timeout": {},
}


@pytest.mark.parametrize("pace", HANGS.values(), ids=HANGS.keys())
async def test_a_target_that_hangs_keeps_no_other_one_from_being_probed(
    pace: dict[str, Any],
) -> None:
    timing = replace(TIMING, **pace)
    fall = 10**6 if "fast_interval" in pace else 1
    check = {"web": parse_check({"type": "http", "url": "http://%(address)s/", "host": "x"})}
    async with (
        HttpTarget("127.0.9.1") as sick,
        HttpTarget("127.0.9.2", sick.port) as well,
        HttpTarget("127.0.9.3", sick.port) as moved,
        NanoNameServer() as server,
    ):
        server.put("web.example", "A", well.host)
        both = www(sick.host, "web.example", check="web", timing=timing, fall=fall)
        both = at_port(both, sick.port)
        async with scheduler(both, checks=check, servers=[server.address]) as made:
            await until(lambda: made.served() == {sick.host, well.host})
            sick.hang()
            await sick.probed(2)
            # The sibling is probed, and the name is followed, as if nothing had happened.
            await well.probed(4)
            server.put("web.example", "A", moved.host)
            await moved.probed(4)
            if fall == 1:
                await until(lambda: made.served() == {moved.host})
                moved.fail()
                await until(lambda: made.served() == set())
            sick.heal()
            await until(lambda: sick.host in made.served())


async def test_an_address_that_a_name_resolves_to_is_probed_in_the_same_cycle() -> None:
    timing = replace(TIMING, interval=600.0)
    async with NanoNameServer() as server:
        server.put("web.example", "A", "127.0.9.4")
        named = www("web.example", timing=timing)
        async with scheduler(named, servers=[server.address]) as made:
            await until(lambda: not made.map.pending())
            assert made.served() == {"127.0.9.4"}


async def test_a_resolver_that_hangs_keeps_no_target_from_being_probed() -> None:
    check = {"web": parse_check({"type": "http", "url": "http://%(address)s/"})}
    timing = replace(TIMING, dns_timeout=30)
    async with HttpTarget() as target, NanoNameServer() as server:
        server.silent.add("web.example")
        both = at_port(www(target.host, "web.example", check="web", timing=timing), target.port)
        async with scheduler(both, checks=check, servers=[server.address]) as made:
            await target.probed(5)
            # Its first cycle waits for the resolver all the same.
            assert made.map.pending() == [WWW]


async def test_records_beyond_the_slots_have_their_turn_though_one_always_hangs() -> None:
    timing = replace(TIMING, down_interval=0.05)
    check = {"web": parse_check({"type": "http", "url": "http://%(address)s/"})}
    async with HttpTarget("127.0.9.1") as sick, HttpTarget("127.0.9.2") as well:
        sick.hang()
        hanging = at_port(www(sick.host, check="web", timing=timing), sick.port)
        fine = at_port(www(well.host, key=OTHER, check="web"), well.port)
        async with scheduler(hanging, fine, checks=check, slots=1) as made:
            await until(lambda: made.served(OTHER) == {well.host})
            await well.probed(3)
            # Nor is the one that hangs left out.
            await sick.probed(2)


async def test_what_is_taken_away_and_brought_back_in_one_moment_is_probed_again() -> None:
    check = {"web": parse_check({"type": "http", "url": "http://%(address)s/"})}
    async with HttpTarget() as target:
        one = at_port(www(target.host, check="web"), target.port)
        async with scheduler(checks=check) as made:
            # The probe is called off before it has done anything.
            made.configure(one, checks=check)
            await until(lambda: made.scheduler._probes)
            made.configure(checks=check)
            made.configure(one, checks=check)
            await until(lambda: made.served() == {target.host})
            await target.probed(3)


async def test_a_tick_during_a_cycle_is_counted_as_skipped() -> None:
    check = {"web": parse_check({"type": "http", "url": "http://%(address)s/"})}

    def skipped() -> float:
        return metrics.REGISTRY.get_sample_value("dnslb_check_cycles_skipped_total") or 0.0

    async with HttpTarget() as target:
        one = at_port(www(target.host, check="web"), target.port)
        async with scheduler(one, checks=check) as made:
            await until(lambda: made.served() == {target.host})
            before = skipped()
            target.hang()
            await until(lambda: skipped() >= before + 2)


class BrokenCheck(Check):
    """A kind of check with a bug in it."""

    type: str = "static"

    async def probe(self, endpoint: ProbeEndpoint, limit: float, tools: CheckResources) -> Result:
        return None  # type: ignore[return-value]

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return "nothing"


async def test_a_bug_in_one_check_costs_only_its_own_target(
    caplog: pytest.LogCaptureFixture,
) -> None:
    checks = {"broken": BrokenCheck(), **FINE}
    broken = www("192.0.2.1", check="broken")
    with caplog.at_level(logging.ERROR):
        async with scheduler(broken, www("192.0.2.2", key=OTHER), checks=checks) as made:
            await until(lambda: made.served(OTHER) == {"192.0.2.2"})
            await until(lambda: "unhandled exception in its check" in caplog.text)
            # Its first cycle has ended: nothing is known of it.
            await until(lambda: not made.map.pending())
            assert made.health(TargetKey("192.0.2.1", None, "broken")) is Health.UNKNOWN
            assert "Traceback" in caplog.text
            await until(lambda: caplog.text.count("Traceback") == 2)


async def test_a_name_server_that_fails_in_several_ways_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with NanoNameServer() as server:
        server.silent.add("web.example")
        async with scheduler(www("web.example"), servers=[server.address]) as made:
            state = made.map.records[WWW].hosts
            await until(lambda: "web.example" in state)
            first = state["web.example"].last
            server.silent.clear()
            server.garbage["web.example"] = b"\xff" * 30
            await until(lambda: server.times("web.example") > 6)
            server.garbage.clear()
            server.codes["web.example"] = dns.rcode.REFUSED
            await until(lambda: state["web.example"].last != first)
            assert caplog.text.count("cannot be resolved") == 1


# -- targets that report themselves -----------------------------------------------------------

PUSH = {"push": parse_check({"type": "push", "token": "t0ken", "max_silence": 60})}
TARGET = TargetKey("192.0.2.1", None, "push")


def serves(made: SchedulerRig, served: set[str]) -> bool:
    return made.served() == served


async def test_a_report_counts_when_it_arrives(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    slow = www(TARGET.address, check="push", timing=replace(TIMING, interval=3600))
    async with scheduler(slow, checks=PUSH) as made:
        await until(lambda: not made.map.pending())
        board = made.tools.push_reports
        for up, served in ((True, {TARGET.address}), (False, set()), (True, {TARGET.address})):
            board.report("t0ken", TARGET.address, up)
            await until(partial(serves, made, served))
    assert "has not reported yet" in caplog.text
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_report_counts_once() -> None:
    timing = replace(TIMING, stale_after=0.5)
    async with scheduler(
        www(TARGET.address, check="push", timing=timing, fall=2), checks=PUSH
    ) as made:
        await until(lambda: not made.map.pending())
        board = made.tools.push_reports
        board.report("t0ken", TARGET.address, True)
        await until(lambda: made.served() == {TARGET.address})
        board.report("t0ken", TARGET.address, False)
        await until(lambda: made.map.target(TARGET).streak == 1)
        # It is looked at again and again, and neither counts again nor becomes stale.
        heard = made.map.target(TARGET).last_seen
        await until(lambda: made.map.target(TARGET).last_seen > heard + 1)
        assert (made.map.target(TARGET).streak, made.health(TARGET)) == (1, Health.UP)
        board.report("t0ken", TARGET.address, False)
        await until(lambda: made.served() == set())
