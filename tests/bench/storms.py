"""What a large daemon must bear: many reloads, a stop at any moment, and thousands of zones."""

import gc
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dnslb_backend.__main__ import MUCH
from dnslb_backend.config import ConfigPaths, load
from tests.bench.asker import lookups
from tests.bench.beating import LargeDaemon
from tests.bench.contestants import configuration
from tests.bench.sizes import PATIENCE, Stall, beating, changed, reload
from tests.bench.table import table
from tests.rigs.processes import resident
from tests.rigs.waiting import passes


class Stopped(NamedTuple):
    """SIGTERM at a moment, and the seconds until the process has ended."""

    moment: str
    records: int
    seconds: float


class Storm(NamedTuple):
    """Reloads one after the other for so many seconds; memory in MB after the first third and in
    the end, and the worst stall."""

    records: int
    seconds: float
    reloads: int
    early: float
    late: float
    stall: Stall


class Zones(NamedTuple):
    """CPU of loading so many zones with a record each, that of the process that parses included."""

    zones: int
    seconds: float


async def measure_storm(records: int, seconds: float) -> Storm:
    """A reload each second, or as soon as the last one has ended."""
    daemon = beating(records)
    number, early = 0, 0.0
    async with daemon:
        await daemon.ready(within=PATIENCE)
        written = daemon.config_file.read_text()
        began = time.monotonic()
        async with lookups(daemon.path) as taken:
            while (since := time.monotonic() - began) < seconds:
                daemon.config_file.write_text(changed(written, number))
                await reload(daemon)
                number += 1
                await passes(max(began + since + 1.0 - time.monotonic(), 0.0))
                if since < seconds / 3:
                    early = resident(daemon.pid)
        stall = Stall(daemon.longest(began), max(taken))
        return Storm(records, seconds, number, early, resident(daemon.pid), stall)


async def measure_stops(records: int) -> list[Stopped]:
    """SIGTERM while it loads, at its first rounds, when it is ready, and while it reloads."""
    found = []
    for moment in ("while it loads", "in the first rounds", "when it is ready", "in a reload"):
        daemon = LargeDaemon(configuration(records), ready=False)
        await daemon.launch()
        if moment == "while it loads":
            await passes(5.0)
        else:
            await daemon.up()
            if moment != "in the first rounds":
                await daemon.ready(within=PATIENCE)
            if moment == "in a reload":
                daemon.reload()
            await passes(0.5)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.process is not None
        await daemon.process.wait()
        found.append(Stopped(moment, records, time.monotonic() - began))
        await daemon.stop()
    return found


def measure_zones(zones: int) -> Zones:
    text = (
        f'[zones."z{n}.example"]\nns = ["ns.z{n}.example."]\n'
        f'static = [{{ name = "ns", type = "A", content = "192.0.2.1" }}]\n'
        f'[zones."z{n}.example".records.www.A]\ndest = ["192.0.2.2"]\n'
        for n in range(zones)
    )
    default = "[default]\nttl = 5\ninterval = 60\ntimeout = 2\ndns_timeout = 1\n"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dnslb.toml"
        path.write_text(default + 'check = { type = "static" }\n' + "".join(text))
        thresholds = gc.get_threshold()
        gc.set_threshold(MUCH)  # as in every command, and in the daemon until it runs
        try:
            began = sum(os.times()[:4])
            load(ConfigPaths(path))
            return Zones(zones, sum(os.times()[:4]) - began)
        finally:
            gc.set_threshold(*thresholds)


def stops_table(found: Sequence[Stopped]) -> str:
    rows = [(f"{each.moment}, {each.records:,}", f"{each.seconds:.1f}") for each in found]
    return table(("SIGTERM", "ended after s"), rows)


def storms_table(found: Sequence[Storm]) -> str:
    head = ("records", "reloads", "in s", "MB after a third", "in the end", "gap ms", "lookup ms")
    return table(
        head,
        [
            (
                f"{each.records:,}",
                f"{each.reloads}",
                f"{each.seconds:.0f}",
                f"{each.early:.0f}",
                f"{each.late:.0f}",
                f"{1e3 * each.stall.gap.seconds:.0f}",
                f"{1e3 * each.stall.lookup:.0f}",
            )
            for each in found
        ],
    )


def zones_table(found: Sequence[Zones]) -> str:
    return table(
        ("zones", "load s", "ms each"),
        [
            (f"{each.zones:,}", f"{each.seconds:.2f}", f"{1e3 * each.seconds / each.zones:.2f}")
            for each in found
        ],
    )
