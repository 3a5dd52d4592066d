"""The wall clock jumps by days, and nothing is skipped, doubled, or forgotten."""

import statistics
import time
from datetime import datetime
from pathlib import Path

from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget, farm
from tests.system.wall_clock import WallClock
from tests.system.writing import config, http, record

INTERVAL = 0.6
DAY = 86400.0


async def rhythm(target: HttpTarget, times: int = 3) -> list[float]:
    """When it was probed, in monotonic seconds."""
    seen = []
    for _ in range(times):
        await target.probed()
        seen.append(time.monotonic())
    return seen


def shift(seen: list[float], origin: float) -> float:
    """How far off the ticks that began at `origin` it was probed, in parts of an interval."""
    phases = [(moment - origin) / INTERVAL for moment in seen]
    return statistics.median(phase - round(phase) for phase in phases)


async def wall(daemon: Daemon) -> float:
    """What the daemon holds for the time."""
    _, status = await daemon.get("/api/v1/status")
    return datetime.fromisoformat(status["time"]).timestamp()


async def serial(pdns: PowerDNS) -> int:
    return int((await pdns.ask("lb.example", "SOA")).contents[0].split()[2])


async def test_a_step_of_the_clock_does_no_harm(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    async with farm(2) as (first, second):
        dest = [first.host, second.host]
        www = record("www", dest=dest, check=http(first.port), shift=0, interval=INTERVAL)
        daemon = Daemon(config(www), environment=clock.environment)
        async with daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", set(dest))
            # The first probe comes at the start, and all that follow by the clock.
            origin, *_ = await rhythm(first, 2)
            last = await serial(pdns)
            # Half an interval off, so that a round by the wall clock would be seen to move.
            for step in (DAY + INTERVAL / 2, -2 * DAY):
                clock.step(step)
                assert abs(await wall(daemon) - time.time() - step) < 5
                seen = await rhythm(first)
                assert abs(shift(seen, origin)) < 0.3

                # What changes is seen, and the serial never goes back.
                for change, served in ((second.fail, {first.host}), (second.heal, set(dest))):
                    change()
                    await follows(pdns, "www.lb.example", served)
                    assert await serial(pdns) > last
                    last = await serial(pdns)
            _, status = await daemon.get("/api/v1/status")
            assert not any(row["stale"] for row in status["members"])
            assert f"{first.host}: UP -> " not in daemon.log
            assert await daemon.stop() == 0
