"""What goes wrong with one record costs no other one anything, and no lookup."""

import time
from pathlib import Path

from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.processes import living, peak_memory
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import until
from tests.system.scripts import Scripts
from tests.system.writing import config, http, record

INTERVAL = 0.5

DEAF = "trap '' TERM; sleep 300 & echo $! >> {pids}; while :; do wait; done"
"""A check that ignores SIGTERM, and has a child that outlives it if nobody sees to it."""


async def longest_lookup(pdns: PowerDNS, name: str, times: int = 200) -> float:
    """Seconds that the slowest of so many questions, one after another, took."""
    longest = 0.0
    for _ in range(times):
        began = time.monotonic()
        assert (await pdns.ask(name)).addresses
        longest = max(longest, time.monotonic() - began)
    return longest


async def test_checks_that_hang_delay_no_other_record_and_no_lookup(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path / "checks")
    pids = tmp_path / "pids"
    deaf = [f"192.0.2.{number}" for number in range(1, 9)]
    for address in deaf:
        scripts.do(address, DEAF.format(pids=pids))
    slow = {"interval": 1, "timeout": 0.8}
    async with HttpTarget() as hanging, farm(2) as (first, second):
        hanging.hang()
        records = [
            record("deaf", dest=deaf, check=scripts.argv, **slow),
            record("hanging", dest=[hanging.host], check=http(hanging.port), **slow),
            record("www", dest=[first.host, second.host], check=http(first.port)),
        ]
        async with Daemon(config(*records)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", {first.host, second.host})
            for _ in range(2):
                await second.stop()
                stopped = time.monotonic()
                await follows(pdns, "www.lb.example", {first.host})
                assert time.monotonic() - stopped <= INTERVAL + 1
                await second.start()
                await follows(pdns, "www.lb.example", {first.host, second.host})
            assert await longest_lookup(pdns, "www.lb.example") < 0.5
            assert (await pdns.ask("deaf.lb.example")).is_nodata
            assert (await pdns.ask("hanging.lb.example")).is_nodata
            _, status = await daemon.get("/api/v1/status")
            codes = {row["name"]: row["result_code"] for row in status["members"]}
            assert codes == {"deaf.lb.example": -2, "hanging.lb.example": -2, "www.lb.example": 0}
            assert await daemon.stop() == 0
    started = pids.read_text().split()
    assert len(started) >= 2 * len(deaf)
    assert living(started) == []


async def test_a_check_that_floods_its_output_costs_only_itself(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path / "checks")
    flood, well = "192.0.2.1", "192.0.2.2"
    scripts.do(flood, "exec yes all work and no play")
    scripts.say(well, "fine")
    records = [
        record("flood", dest=[flood], check=scripts.argv),
        record("www", dest=[well], check=scripts.argv),
    ]
    async with Daemon(config(*records)) as daemon, daemon.powerdns() as pdns:

        async def is_down() -> bool:
            return (await pdns.ask("flood.lb.example")).is_nodata

        # Not at once: where the machine itself stands still, that is not held against a target.
        await until(is_down, what="the one that floods is down")
        assert await longest_lookup(pdns, "www.lb.example") < 0.5
        scripts.say(well, "ill", code=7)
        await follows(pdns, "www.lb.example", set())
        assert peak_memory(daemon.pid) < 300


async def test_a_target_that_hangs_hides_no_failure_of_its_siblings() -> None:
    timing = {"interval": 0.5, "timeout": 0.4, "dns_timeout": 0.05, "down_interval": 0.1}
    async with farm(3) as (first, second, third):
        hosts = [first.host, second.host, third.host]
        www = record("www", dest=hosts, check=http(first.port), **timing)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", set(hosts))
            first.hang()
            await follows(pdns, "www.lb.example", {second.host, third.host})
            await first.probed(2)
            second.fail()
            await follows(pdns, "www.lb.example", {third.host})
            second.heal()
            await follows(pdns, "www.lb.example", {second.host, third.host})
