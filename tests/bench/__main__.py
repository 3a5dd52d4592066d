"""`python -m tests.bench`: everything side by side, in one run; prints tables and writes JSON."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.bench.alone import alone
from tests.bench.checking import checking
from tests.bench.contestants import CONTESTANTS
from tests.bench.cores import measure_cores
from tests.bench.fleet import measure_fleet
from tests.bench.flips import Flips, flips
from tests.bench.followers import measure_followers
from tests.bench.load import write_queries
from tests.bench.mirror import measure_mirror
from tests.bench.page import measure_page
from tests.bench.probing import measure_probes
from tests.bench.report import Report
from tests.bench.sizes import measure_size
from tests.bench.stalls import measure_stalls, measure_starts, measure_zone_list
from tests.bench.storms import measure_stops, measure_storm, measure_zones
from tests.bench.uncached import Uncached, measure_floods, measure_policies
from tests.bench.versus import compare
from tests.rigs.daemon import Daemon

SECTIONS = (
    "versus",
    "policies",
    "floods",
    "cores",
    "flips",
    "alone",
    "sizes",
    "storms",
    "mirror",
    "probes",
    "checking",
    "page",
    "stalls",
    "fleet",
)

FLEETS = ((3, 10_000), (9, 10_000))
"""Nodes, and votes of each."""

ZONES = (1000, 8000)

STALL_RECORDS = 10_000
"""The status of more is shown in pages only."""

FOLLOWERS = (5, 200, 100_000)
"""Nodes that probe, nodes that only follow, and targets."""


async def measure_scale(given: argparse.Namespace, report: Report) -> None:
    if "sizes" in given.only:
        report.sizes = [await measure_size(records) for records in given.records]
    if "storms" in given.only:
        report.zones = [measure_zones(zones) for zones in ZONES]
        for records in given.records[1:]:
            report.stops += await measure_stops(records)
            report.storms.append(await measure_storm(records, given.storm))
    if "mirror" in given.only:
        report.mirrors = [
            await measure_mirror(given.mirrored, given.watch, votes=votes)
            for votes in (False, True)
        ]


async def measure_flips(changes: int, queries: Path) -> list[Flips]:
    return [
        await flips("over unix", changes=changes, queries=queries),
        await flips("over unix, 2,000/s", changes=changes, queries=queries, rate=2000),
        await flips(
            "purged by the API, 2,000/s",
            changes=changes,
            queries=queries,
            by_api=True,
            rate=2000,
        ),
        await flips("30 ms slow, over http", changes=changes // 5, queries=queries, delay=0.03),
    ]


async def measure_uncached(given: argparse.Namespace) -> list[Uncached]:
    turns = {"rounds": given.rounds, "seconds": given.seconds}
    found = await measure_policies(given.who, **turns) if "policies" in given.only else []
    return found + (await measure_floods(given.who, **turns) if "floods" in given.only else [])


async def measure(given: argparse.Namespace) -> Report:
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    queries, report = write_queries(directory), Report()
    if "versus" in given.only:
        wanted = [one for one in CONTESTANTS if any(part in one.name for part in given.who)]
        report.standings = await compare(
            wanted, queries, rounds=given.rounds, seconds=given.seconds
        )
    report.uncached = await measure_uncached(given)
    if "cores" in given.only:
        report.cores = await measure_cores(rounds=given.rounds, seconds=given.seconds)
    if "flips" in given.only:
        report.flips = await measure_flips(given.changes, queries)
    if "alone" in given.only:
        report.alone = await alone(directory, given.seconds)
    await measure_scale(given, report)
    if "probes" in given.only:
        report.probes = await measure_probes(given.rounds, 3 * given.seconds, given.kinds)
    if "checking" in given.only:
        report.checking = await checking(given.watch, given.scenes)
    if "page" in given.only:
        report.pages = [await measure_page(members) for members in given.members]
    if "stalls" in given.only:
        report.stalls = await measure_stalls(STALL_RECORDS, 2 * given.seconds)
        report.zone_lists = [measure_zone_list(zones) for zones in (4000, 8000)]
        report.starts = await measure_starts()
    if "fleet" in given.only:
        report.fleets = [await measure_fleet(*size, given.watch, given.votes) for size in FLEETS]
        report.followers = [await measure_followers(*FOLLOWERS, given.watch, given.votes // 5)]
    return report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections")
    parser.add_argument("--who", nargs="+", default=[""], help="parts of names of contestants")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--changes", type=int, default=1000, help="of health")
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--storm", type=float, default=60.0, help="seconds of reloads")
    parser.add_argument("--mirrored", type=int, default=100_000, help="members in MariaDB")
    parser.add_argument("--watch", type=float, default=20.0, help="seconds of checking a scene")
    parser.add_argument("--kinds", nargs="+", default=[""], help="parts of kinds of probes")
    parser.add_argument("--scenes", nargs="+", default=[""], help="parts of names of scenes")
    parser.add_argument("--members", type=int, nargs="+", default=[10_000], help="on the page")
    parser.add_argument("--votes", type=int, default=50, help="that change in a fleet")
    parser.add_argument(
        "--checkout", type=Path, help="measure the daemon of another checkout, with this bench"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.checkout is not None:
        Daemon.packages = Path(tempfile.mkdtemp(prefix="bench-"))
        package = given.checkout.resolve() / "dnslb_backend"
        (Daemon.packages / package.name).symlink_to(package)
    report = asyncio.run(measure(given))
    print(report.text())
    report.write(given.json)


main()
