"""DNS answers follow the health of the targets, in time."""

import json
import time
from pathlib import Path

import aiohttp
import pytest

from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget, farm
from tests.system.scripts import Scripts
from tests.system.writing import QUICK, config, http, record

INTERVAL = 0.5
SLACK = 1.0
"""Seconds beyond fall x interval that a change may take to be seen in DNS."""

SORRY = "192.0.2.99"


@pytest.mark.parametrize("fall", [1, 2])
async def test_a_stopped_target_leaves_the_answer_in_time_and_returns(fall: int) -> None:
    async with farm(3) as (first, second, third):
        everybody = {first.host, second.host, third.host}
        www = record("www", dest=[*everybody], check=http(first.port), fall=fall)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            assert (await follows(pdns, "www.lb.example", everybody)).ttl == QUICK["ttl"]

            await second.stop()
            stopped = time.monotonic()
            answer = await follows(pdns, "www.lb.example", {first.host, third.host})
            assert time.monotonic() - stopped <= fall * INTERVAL + SLACK
            assert answer.ttl == QUICK["ttl"]
            line = await daemon.logged(f"www.lb.example/A {second.host}: UP -> DOWN")
            assert "no longer served" in line

            await second.start()
            await follows(pdns, "www.lb.example", everybody)
            await daemon.logged(f"www.lb.example/A {second.host}: DOWN -> UP, now served")


async def test_rise_and_fall_count_results_in_a_row() -> None:
    async with farm(2) as (first, second):
        dest = [first.host, second.host]
        www = record("www", dest=dest, check=http(first.port), rise=3, fall=2)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", set(dest))
            for change, served, count in (
                (second.fail, {first.host}, 2),
                (second.heal, {first.host, second.host}, 3),
            ):
                asked = second.hits
                change()
                await follows(pdns, "www.lb.example", served)
                assert second.hits - asked >= count


async def test_an_outage_is_an_event_for_those_who_listen() -> None:
    async with HttpTarget() as target:
        www = record("www", dest=[target.host], check=http(target.port))
        async with (
            Daemon(config(www)) as daemon,
            aiohttp.ClientSession(f"http://{daemon.admin}") as session,
            session.get("/api/v1/events") as stream,
        ):
            await stream.content.readuntil(b"\n\n")
            await target.stop()
            while b"event: decision" not in (block := await stream.content.readuntil(b"\n\n")):
                assert b"event: transition" in block
            data = json.loads(block.partition(b"data: ")[2])
            assert (data["name"], data["from"], data["to"]) == (
                "www.lb.example",
                "serving",
                "no answer",
            )


@pytest.mark.parametrize("fall", [1, 2])
async def test_when_all_are_stopped_the_name_is_there_and_has_no_address(fall: int) -> None:
    async with farm(2) as targets:
        everybody = {target.host for target in targets}
        www = record("www", dest=[*everybody], check=http(targets[0].port), fall=fall)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", everybody)
            for target in targets:
                await target.stop()
            stopped = time.monotonic()
            answer = await follows(pdns, "www.lb.example", set())
            assert time.monotonic() - stopped <= fall * INTERVAL + SLACK
            assert answer.is_nodata
            for target in targets:
                await target.start()
            await follows(pdns, "www.lb.example", everybody)


async def test_the_fallback_is_served_while_nobody_is_well() -> None:
    async with farm(2) as targets:
        everybody = {target.host for target in targets}
        www = record("www", dest=[*everybody], check=http(targets[0].port), fallback=SORRY)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", everybody)
            targets[0].fail()
            await follows(pdns, "www.lb.example", {targets[1].host})
            targets[1].fail(404)
            answer = await follows(pdns, "www.lb.example", {SORRY})
            assert answer.ttl == QUICK["ttl"]
            await daemon.logged(f"www.lb.example/A {SORRY}: now served (fallback")
            targets[0].heal()
            await follows(pdns, "www.lb.example", {targets[0].host})


async def hears(pdns: PowerDNS, scripts: Scripts, said: dict[str, str], served: set[str]) -> None:
    """The checks print these priorities, and so DNS serves those addresses."""
    for address, output in said.items():
        scripts.say(address, output)
    await follows(pdns, "www.lb.example", served)


async def test_tiers_open_from_the_top_until_enough_serve(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path / "checks")
    a, b, c, d = (f"192.0.2.{number}" for number in (1, 2, 3, 4))
    for address in (a, b, c, d):
        scripts.say(address, "prio=@")
    www = record(
        "www",
        dest=[f"{a}@3", f"{b}@2", f"{c}@2", f"{d}@1"],
        check=scripts.argv,
        expect="^prio=",
        prio_regex="prio=(\\S*)",
        prio_min_cnt=2,
    )
    async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
        # 3, 2, 2, 1 as configured: the tier of 3 is one too few.
        await follows(pdns, "www.lb.example", {a, b, c})
        await hears(pdns, scripts, {d: "prio=3"}, {a, d})
        # Works, and is out on purpose.
        await hears(pdns, scripts, {a: "prio=0"}, {b, c, d})
        await hears(pdns, scripts, {b: "prio=-1", c: "prio=0"}, {d})
        # A text counts by its length and one more: 4 is above 3, and alone too few.
        await hears(pdns, scripts, {b: "prio=+++"}, {b, d})
        # Output that `expect` does not find is a failure.
        await hears(pdns, scripts, {b: "down", d: "down"}, set())
        await hears(pdns, scripts, {a: "prio=@"}, {a})
        _, status = await daemon.get("/api/v1/status")
        codes = {row["address"]: row["result_code"] for row in status["members"]}
        assert codes == {a: 0, b: -1, c: 0, d: -1}


async def test_every_member_of_a_shared_target_follows_it() -> None:
    async with farm(2) as (first, second):
        dest = [first.host, second.host]
        names = [f"n{number}" for number in range(40)]
        records = [record(name, dest=dest, check=http(first.port)) for name in names]
        async with Daemon(config(*records)) as daemon, daemon.powerdns() as pdns:
            second.fail()
            for name in names:
                await follows(pdns, f"{name}.lb.example", {first.host})
            began, hits = time.monotonic(), second.hits
            await second.probed(6)
            # Forty records, and still one probe an interval.
            assert (second.hits - hits) * INTERVAL <= time.monotonic() - began + 2 * INTERVAL
            second.heal()
            for name in names:
                await follows(pdns, f"{name}.lb.example", set(dest))
