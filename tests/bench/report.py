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
from tests.bench.page import PageFigures
from tests.bench.sizes import Size
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
    pages: list[PageFigures] = field(default_factory=list)
    checking: list[Checking] = field(default_factory=list)
    fleets: list[FleetFigures] = field(default_factory=list)
    followers: list[FollowerFigures] = field(default_factory=list)

    def text(self) -> str:
        parts = []
        if self.standings:
            parts += [self._standings(), self._ratios()]
        if self.uncached:
            parts += [self._uncached(), self._compared()]
        if self.cores:
            parts.append(self._cores())
        if self.flips:
            parts.append(self._flips())
        if self.alone:
            parts.append(self._alone())
        if self.sizes:
            parts.append(self._sizes())
        if self.checking:
            parts.append(self._checking())
        if self.pages:
            parts.append(self._pages())
        if self.fleets:
            parts += [self._fleets(), self._followers()]
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
            "pages": [page._asdict() for page in self.pages],
            "checking": [scene._asdict() for scene in self.checking],
            "fleets": [fleet._asdict() for fleet in self.fleets],
            "followers": [fleet._asdict() for fleet in self.followers],
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

    def _sizes(self) -> str:
        return table(
            ("records", "listens after s", "ready after s", "MB", "ms of CPU a change"),
            [
                (
                    f"{size.records:,}",
                    f"{size.listening:.2f}",
                    f"{size.ready:.2f}",
                    f"{size.megabytes:.0f}",
                    f"{1e3 * size.change:.3f}",
                )
                for size in self.sizes
            ],
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

    def _checking(self) -> str:
        head = ("targets", "decided s", "probes/s", "lag p50 ms", "p99 ms", "lookup p50 ms")
        return table(
            (*head, "p99 ms", "MB", "cores"),
            [
                (
                    scene.scene,
                    f"{scene.settled:.1f}",
                    f"{scene.probes:,.0f}",
                    f"{1e3 * scene.lag_p50:.1f}",
                    f"{1e3 * scene.lag_p99:.1f}",
                    f"{1e3 * scene.lookup_p50:.2f}",
                    f"{1e3 * scene.lookup_p99:.2f}",
                    f"{scene.megabytes:.0f}",
                    f"{scene.cpu:.2f}",
                )
                for scene in self.checking
            ],
        )


def _ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    return median(rate / other for rate, other in zip(rates, others, strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )
