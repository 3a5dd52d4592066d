"""The figures as a table for people, and as JSON for comparing."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.alone import Alone
from tests.bench.checking import Checking
from tests.bench.cores import Cores
from tests.bench.fleet import FleetFigures
from tests.bench.flips import Flips
from tests.bench.followers import FollowerFigures
from tests.bench.mirror import Mirrored, mirror_table
from tests.bench.page import PageFigures
from tests.bench.probing import ProbeCost
from tests.bench.sizes import Size, sizes_table
from tests.bench.stalls import CommandStart, Stall, ZoneList
from tests.bench.storms import (
    Stopped,
    Storm,
    Zones,
    stops_table,
    storms_table,
    zones_table,
)
from tests.bench.table import table
from tests.bench.uncached import COMPARED, Uncached
from tests.bench.versus import Standing

FLOORS = (
    ("http, coherent", "bind, caches on", 0.95),
    ("unix, coherent", "bind, caches on", 0.95),
    ("unix, caches off", "gmysql, 3 threads", 2.0),
    ("unix, caches off", "unix, does nothing", 0.9),
    ("http, caches off", "gmysql, 3 threads", 0.9),
    ("http, caches off", "http, does nothing", 0.85),
)
"""What each may not fall below, as a share of another in the same run."""


@dataclass(slots=True)
class Report:
    """All that was measured in one run; what was left out is empty."""

    standings: list[Standing] = field(default_factory=list)
    uncached: list[Uncached] = field(default_factory=list)
    cores: list[Cores] = field(default_factory=list)
    flips: list[Flips] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    stops: list[Stopped] = field(default_factory=list)
    storms: list[Storm] = field(default_factory=list)
    zones: list[Zones] = field(default_factory=list)
    mirrors: list[Mirrored] = field(default_factory=list)
    pages: list[PageFigures] = field(default_factory=list)
    probes: list[ProbeCost] = field(default_factory=list)
    checking: list[Checking] = field(default_factory=list)
    fleets: list[FleetFigures] = field(default_factory=list)
    followers: list[FollowerFigures] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    zone_lists: list[ZoneList] = field(default_factory=list)
    starts: list[CommandStart] = field(default_factory=list)

    def text(self) -> str:
        scale = self.sizes or self.stops or self.storms or self.zones or self.mirrors
        tables = [
            (self.standings, [self._standings, self._ratios]),
            (self.uncached, [self._uncached, self._compared]),
            (self.cores, [self._cores]),
            (self.flips, [self._flips]),
            (self.alone, [self._alone]),
            (scale, [self._scale]),
            (self.probes, [self._probes]),
            (self.checking, [self._checking]),
            (self.pages, [self._pages]),
            (self.fleets, [self._fleets, self._followers]),
            (self.stalls, [self._stalls, self._zone_lists, self._starts]),
        ]
        parts = [write() for measured, writers in tables if measured for write in writers]
        return "\n\n".join(parts)

    def write(self, path: Path) -> None:
        found = {
            "machine": platform.platform(),
            "python": platform.python_version(),
            "standings": [
                {**standing._asdict(), "latency": standing.latency._asdict()}
                for standing in self.standings
            ],
            "ratios": self.ratios(),
            "uncached": [side._asdict() for side in self.uncached],
            "cores": [cores._asdict() for cores in self.cores],
            "flips": [flips._asdict() for flips in self.flips],
            "alone": [alone._asdict() for alone in self.alone],
            "sizes": [size._asdict() for size in self.sizes],
            "stops": [stop._asdict() for stop in self.stops],
            "storms": [storm._asdict() for storm in self.storms],
            "zones": [zones._asdict() for zones in self.zones],
            "mirrors": [mirror._asdict() for mirror in self.mirrors],
            "pages": [page._asdict() for page in self.pages],
            "probes": [cost._asdict() for cost in self.probes],
            "checking": [scene._asdict() for scene in self.checking],
            "fleets": [fleet._asdict() for fleet in self.fleets],
            "followers": [fleet._asdict() for fleet in self.followers],
            "stalls": [stall._asdict() for stall in self.stalls],
            "zone_lists": [found._asdict() for found in self.zone_lists],
            "starts": [start._asdict() for start in self.starts],
        }
        path.write_text(json.dumps(found, indent=1) + "\n")

    def ratios(self) -> list[dict[str, object]]:
        """Medians of the ratios of each round: what disturbs a round disturbs both sides."""
        rates = {standing.name: standing.rates for standing in self.standings}
        return [
            {"of": name, "to": other, "ratio": _ratio(rates[name], rates[other]), "floor": floor}
            for name, other, floor in FLOORS
            if name in rates and other in rates
        ]

    def _scale(self) -> str:
        tables = (
            self.sizes and sizes_table(self.sizes),
            self.stops and stops_table(self.stops),
            self.storms and storms_table(self.storms),
            self.zones and zones_table(self.zones),
            self.mirrors and mirror_table(self.mirrors),
        )
        return "\n\n".join(text for text in tables if text)

    def _standings(self) -> str:
        rates = {standing.name: standing.rate for standing in self.standings}
        ceiling, instead = rates.get("bind, caches on"), rates.get("gmysql, 3 threads")
        head = ("", "q/s", "of bind", "of gmysql", "lost", "failed", "p50 ms", "p99 ms", "at q/s")
        return table(
            head,
            [
                (
                    standing.name,
                    f"{standing.rate:,.0f}",
                    f"{standing.rate / ceiling:.3f}" if ceiling else "",
                    f"{standing.rate / instead:.2f}" if instead else "",
                    f"{standing.lost}",
                    f"{standing.failed}",
                    f"{1e3 * standing.latency.p50:.2f}",
                    f"{1e3 * standing.latency.p99:.2f}",
                    f"{standing.latency.rate:,}",
                )
                for standing in self.standings
            ],
        )

    def _ratios(self) -> str:
        return table(
            ("", "to", "ratio", "floor"),
            [
                (str(r["of"]), str(r["to"]), f"{r['ratio']:.2f}", f"{r['floor']}")
                for r in self.ratios()
            ],
        )

    def _uncached(self) -> str:
        head = ("", "", "q/s", "lookups/q", "server us/q", "backend us/q", "grown MB")
        return table(
            head,
            [
                (
                    side.scene,
                    side.name,
                    f"{side.rate:,.0f}",
                    f"{side.lookups:.2f}",
                    f"{side.server:.1f}",
                    f"{side.backend:.1f}",
                    f"{side.megabytes:.0f}",
                )
                for side in self.uncached
            ],
        )

    def _compared(self) -> str:
        sides = {side.name: side for side in self.uncached}
        return table(
            ("", "to", "q/s, ratio", "server us, ratio"),
            [
                (
                    name,
                    other,
                    f"{sides[name].ratio(sides[other]):.2f}",
                    f"{sides[name].server / sides[other].server:.2f}",
                )
                for name, other in COMPARED
                if name in sides and other in sides
            ],
        )

    def _cores(self) -> str:
        return table(
            ("pairs", "cores", "q/s", "server us/q", "backend us/q"),
            [
                (
                    f"{cores.pairs}",
                    f"{cores.cores}",
                    f"{cores.rate:,.0f}",
                    f"{cores.server:.1f}",
                    f"{cores.backend:.1f}",
                )
                for cores in self.cores
            ],
        )

    def _flips(self) -> str:
        return table(
            ("a change is seen", "changes", "median ms", "worst ms", "stale", "load q/s"),
            [
                (
                    flips.name,
                    f"{flips.changes}",
                    f"{1e3 * flips.median:.2f}",
                    f"{1e3 * flips.worst:.2f}",
                    f"{flips.stale}",
                    f"{flips.load:,.0f}",
                )
                for flips in self.flips
            ],
        )

    def _alone(self) -> str:
        return table(
            ("the daemon alone", "lookups/s", "us of CPU each"),
            [(one.name, f"{one.rate:,.0f}", f"{one.microseconds:.1f}") for one in self.alone],
        )

    def _pages(self) -> str:
        head = ("members", "first paint ms", "members ms", "all ms", "change ms", "slowest ms")
        return table(
            (*head, "longest task ms", "shift", "elements"),
            [
                (
                    f"{page.members:,}",
                    f"{page.first_paint:.0f}",
                    f"{page.first_rows:.0f}",
                    f"{page.whole:.0f}",
                    f"{page.change:.0f}",
                    f"{page.slowest_change:.0f}",
                    f"{page.longest_task:.0f}",
                    f"{page.shift:.4f}",
                    f"{page.nodes:,}",
                )
                for page in self.pages
            ],
        )

    def _fleets(self) -> str:
        head = ("nodes", "votes each", "published s", "database idle", "node idle", "a change s")
        return table(
            (*head, "slowest s", "all of a node s", "beat B", "change B"),
            [
                (
                    str(fleet.nodes),
                    f"{fleet.votes:,}",
                    f"{fleet.published:.1f}",
                    f"{fleet.database:.2%}",
                    f"{fleet.node:.2%}",
                    f"{fleet.visible:.2f}",
                    f"{fleet.slowest:.2f}",
                    f"{fleet.turned:.2f}",
                    f"{fleet.beat:.0f}",
                    f"{fleet.changed_vote:.0f}",
                )
                for fleet in self.fleets
            ],
        )

    def _followers(self) -> str:
        head = ("probers", "followers", "targets", "rows", "MB", "join s", "join CPU s", "join MB")
        return table(
            (*head, "count s", "database", "node", "kB/s", "change s", "slowest s", "change kB"),
            [
                (
                    str(fleet.probers),
                    str(fleet.followers),
                    f"{fleet.targets:,}",
                    f"{fleet.rows:,}",
                    f"{fleet.megabytes:.0f}",
                    f"{fleet.joined:.0f}",
                    f"{fleet.join_cpu:.1f}",
                    f"{fleet.join_megabytes:.0f}",
                    f"{fleet.counted:.2f}",
                    f"{fleet.database:.2%}",
                    f"{fleet.node:.2%}",
                    f"{fleet.sent / 1000:.0f}",
                    f"{fleet.visible:.2f}",
                    f"{fleet.slowest:.2f}",
                    f"{fleet.change_sent / 1000:.0f}",
                )
                for fleet in self.followers
            ],
        )

    def _stalls(self) -> str:
        head = ("asked for", "records", "times", "CPU ms", "MB", "lookup p50 ms", "p99 ms")
        return table(
            (*head, "longest ms", "resident MB"),
            [
                (
                    stall.scene,
                    f"{stall.records:,}",
                    f"{stall.asked:,}",
                    f"{1e3 * stall.cpu:.0f}",
                    f"{stall.size / 1e6:.2f}",
                    f"{1e3 * stall.lookup_p50:.2f}",
                    f"{1e3 * stall.lookup_p99:.2f}",
                    f"{1e3 * stall.lookup_max:.1f}",
                    f"{stall.megabytes:.0f}",
                )
                for stall in self.stalls
            ],
        )

    def _zone_lists(self) -> str:
        return table(
            ("zones", "list ms of CPU", "again ms", "after a change ms"),
            [
                (f"{found.zones:,}", *(f"{1e3 * cost:.2f}" for cost in found[1:]))
                for found in self.zone_lists
            ],
        )

    def _starts(self) -> str:
        return table(
            ("command", "s of CPU"), [(start.command, f"{start.cpu:.2f}") for start in self.starts]
        )

    def _probes(self) -> str:
        peers = {cost.kind: cost for cost in self.probes if cost.who == "HAProxy"}
        return table(
            ("probe", "", "us of CPU", "of HAProxy"),
            [
                (
                    cost.kind,
                    cost.who,
                    f"{1e6 * cost.cost:.0f}",
                    f"{cost.ratio(peers[cost.kind]):.2f}" if cost.kind in peers else "",
                )
                for cost in self.probes
            ],
        )

    def _checking(self) -> str:
        head = ("targets", "decided s", "worst lookup ms", "probes/s", "lag p50 ms", "p99 ms")
        return table(
            (*head, "lookup p50 ms", "p99 ms", "worst ms", "MB", "cores"),
            [
                (
                    scene.scene,
                    f"{scene.settled:.1f}",
                    f"{1e3 * scene.first_max:.1f}",
                    f"{scene.probes:,.0f}",
                    f"{1e3 * scene.lag_p50:.1f}",
                    f"{1e3 * scene.lag_p99:.1f}",
                    f"{1e3 * scene.lookup_p50:.2f}",
                    f"{1e3 * scene.lookup_p99:.2f}",
                    f"{1e3 * scene.lookup_max:.2f}",
                    f"{scene.megabytes:.0f}",
                    f"{scene.cpu:.2f}",
                )
                for scene in self.checking
            ],
        )


def _ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    return median(rate / other for rate, other in zip(rates, others, strict=True))
