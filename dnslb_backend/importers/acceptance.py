"""A draft that our own loader accepts: what it refuses is left out, and noted."""

import re
import tempfile
from pathlib import Path

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.config.files import LARGEST
from dnslb_backend.config.validation import dotted
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.errors import ConfigError, ConfigProblem, NameFormatError, SourceError
from dnslb_backend.importers.draft import BalancedRecord, Draft, Note, StaticRow, ZoneDraft
from dnslb_backend.importers.toml import render

ROUNDS = 10
"""To leave out one thing may show another: a second row of a name, a record below a delegation."""

_ITEM = re.compile(r'static\[\d+\]|records\.(?:"[^"]*"|[\w-]+)\.[A-Z]+|soa|ns')


def accepted_text(draft: Draft) -> str:
    """The configuration as text. Raises SourceError for what no part of it can be blamed for."""
    problems: list[ConfigProblem] = []
    for _ in range(ROUNDS):
        text = render(draft)
        if len(text.encode()) > LARGEST:
            raise SourceError(f"{draft.source}: gives a configuration of over {LARGEST} bytes")
        problems = _problems(text)
        if not problems:
            return text
        moved = sum(_leave_out(zone, problems) for zone in draft.zones.values())
        if not moved:
            break
    raise SourceError("\n".join(f"{draft.source}: {p.path}: {p.message}" for p in problems))


def _problems(text: str) -> list[ConfigProblem]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "import.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load(ConfigPaths(path))
        except ConfigError as error:
            return error.problems
    return []


def _leave_out(zone: ZoneDraft, problems: list[ConfigProblem]) -> int:
    """Move what the problems name from the zone to its notes; how much that is."""
    reasons = _Reasons(zone.name, problems)
    before = len(zone.left_out)
    static = [
        row for index, row in enumerate(zone.static) if _fits(zone, row, reasons.of_row(index, row))
    ]
    zone.records = [each for each in zone.records if _fits(zone, each, reasons.of_record(each))]
    zone.static = static
    if why := reasons.places.get("soa"):
        zone.soa = {}
        zone.left_out.append(Note(zone.name, f"SOA: {why}"))
    if why := reasons.places.get("ns"):
        zone.ns = []
        zone.left_out.append(Note(zone.name, f"NS: {why}"))
    return len(zone.left_out) - before


def _fits(zone: ZoneDraft, item: StaticRow | BalancedRecord, why: str) -> bool:
    if why:
        zone.left_out.append(Note(item.place, f"{item.name} {item.type}: {why}", item.original))
    return not why


class _Reasons:
    """Why parts of one zone are refused: by their places in it, and by the names at fault."""

    def __init__(self, zone: str, problems: list[ConfigProblem]) -> None:
        self.zone = zone
        self.places: dict[str, str] = {}
        self.names: dict[str, str] = {}
        top = dotted("zones", zone)
        for problem in problems:
            # What does not fit its neighbours is named by where it was defined: FILE, PLACE.
            defined = problem.file.partition(", ")[2]
            if problem.path == top:
                self.names.setdefault(problem.message.split(" ", 1)[0], problem.message)
            elif defined.startswith(f"zones.{zone}."):
                self.places.setdefault(defined, problem.message)
            elif found := _ITEM.match(place := problem.path.removeprefix(f"{top}.")):
                key = place[found.end() :].lstrip(".")
                self.places.setdefault(found[0], f"{key}: {problem.message}".removeprefix(": "))

    def of_row(self, index: int, row: StaticRow) -> str:
        return self.places.get(f"static[{index}]", "") or self._of_name(row.name)

    def of_record(self, record: BalancedRecord) -> str:
        place = dotted("records", record.name, record.type)
        defined = f"zones.{self.zone}.records.{record.name}.{record.type}"
        found = self.places.get(place, "") or self.places.get(defined, "")
        return found or self._of_name(record.name)

    def _of_name(self, name: str) -> str:
        if not self.names:
            return ""
        try:
            apex = canonical_name(f"{self.zone}.")
            return self.names.get(apex if name == "@" else canonical_name(name, apex), "")
        except NameFormatError:
            return ""
