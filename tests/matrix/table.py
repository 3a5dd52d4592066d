"""The table of docs/compatibility.md: one row a system that was run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix.variants import SUITES

PAGE = Path(__file__).parents[2] / "docs/compatibility.md"
BEGIN, END = "<!-- make matrix: begin -->", "<!-- make matrix: end -->"
NOT_RUN = "not run"
VERSIONS = ("PowerDNS", "Python", "MariaDB", "date")
HEADS = ("system", *VERSIONS, *SUITES)


@dataclass(frozen=True, slots=True)
class Result:
    """How a suite ended. `failed` are the tests that failed, without their folders."""

    passed: int
    failed: tuple[str, ...] = ()
    is_whole: bool = True

    def __str__(self) -> str:
        parts = [f"{self.passed} passed"]
        if self.failed:
            parts.append(f"**{len(self.failed)} failed**")
        if not self.is_whole:
            parts.append("stopped")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """What was run in one system, and with which `versions`, by VERSIONS."""

    system: str
    versions: Mapping[str, str]
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def is_green(self) -> bool:
        return all(result.is_whole and not result.failed for result in self.results.values())


def replace_rows(page: str, rows: Iterable[Row]) -> str:
    """The page with these rows in its table; suites that were not run keep their cells."""
    head, _, rest = page.partition(BEGIN)
    table, _, tail = rest.partition(END)
    known = {cells[0]: cells for cells in map(_cells, table.strip().splitlines()[2:])}
    for row in rows:
        before = dict(zip(HEADS, known.get(row.system, ()), strict=False))
        found = {suite: str(result) for suite, result in row.results.items()}
        cells = {**dict.fromkeys(HEADS, NOT_RUN), **before, **row.versions, **found}
        known[row.system] = [row.system, *(cells[name] for name in HEADS[1:])]
    lines = [HEADS, ["---"] * len(HEADS), *(known[name] for name in sorted(known))]
    written = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{head}{BEGIN}\n\n{written}\n\n{END}{tail}"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
