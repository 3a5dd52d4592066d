"""Which records and members of a status are shown, the worst first, and the summary of all."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dnslb_backend.cli.terminal import counted

StatusRow = dict[str, Any]

WORST_FIRST = ("SERVFAIL", "pending", "no answer", "fallback", "serving DOWN members", "panic")
"""Services by severity; after them come degraded records, overridden ones, and the others."""

DEGRADED, OVERRIDDEN, FINE = (len(WORST_FIRST) + further for further in range(3))


class Group(NamedTuple):
    """A record with its members."""

    record: StatusRow
    members: list[StatusRow]

    @property
    def severity(self) -> int:
        """0 is the worst, FINE the best."""
        if self.record["service"] != "serving":
            service = self.record["service"]
            return WORST_FIRST.index(service) if service in WORST_FIRST else 0
        if self.record["held"] or any(map(is_unresolved, self.record["hosts"])):
            return DEGRADED
        if any(map(_is_degraded, self.members)):
            return DEGRADED
        return OVERRIDDEN if any(member["override"] for member in self.members) else FINE

    @property
    def rank(self) -> tuple[int, str, str, str]:
        record = self.record
        return self.severity, record["name"], record["type"], record["zone"]


@dataclass(frozen=True, slots=True)
class StatusFilter:
    """What of a status is wanted; `down` leaves only members that are DOWN. Nothing: all."""

    zone: str = ""
    problems: bool = False
    down: bool = False

    def of_zone(self, report: StatusRow) -> list[Group]:
        """The records of the zone that is wanted, all of them without one."""
        zone = self.zone.lower().rstrip(".")
        found = _groups(report)
        return [group for group in found if group.record["zone"] == zone] if zone else found

    def narrow(self, groups: Iterable[Group]) -> list[Group]:
        """Those that are wanted, the worst first."""
        found = list(groups)
        if self.problems:
            found = [group for group in found if group.severity < FINE]
        if self.down:
            kept = [Group(g.record, [m for m in g.members if _is_down(m)]) for g in found]
            found = [group for group in kept if group.members]
        return sorted(found, key=lambda group: group.rank)

    def apply(self, report: StatusRow) -> StatusRow:
        """The report with the records and members that are wanted, and no others."""
        groups = self.narrow(self.of_zone(report))
        return report | {
            "records": [group.record for group in groups],
            "members": [member for group in groups for member in group.members],
        }


def is_unresolved(host: StatusRow) -> bool:
    return host["overdue"] or host["resolution"] in ("failed", "nxdomain")


def summary(groups: Sequence[Group]) -> str:
    """`3 records: 1 no answer, 2 serving; 6 members: 4 UP, 2 DOWN`."""
    services = Counter(group.record["service"] for group in groups)
    order = (*WORST_FIRST, "serving")
    by_service = [f"{services[word]} {word}" for word in order if services[word]]
    members = [m for group in groups for m in group.members if not m["fallback"]]
    states = Counter(member["state"] for member in members)
    by_state = [f"{number} {state}" for state, number in states.most_common()]
    return f"{_counted(groups, 'record', by_service)}; {_counted(members, 'member', by_state)}"


def _counted(found: Sequence[object], noun: str, parts: Sequence[str]) -> str:
    count = counted(len(found), noun)
    return f"{count}: {', '.join(parts)}" if parts else count


def _groups(report: StatusRow) -> list[Group]:
    members: dict[tuple[str, str, str], list[StatusRow]] = defaultdict(list)
    for member in report["members"]:
        members[_key(member)].append(member)
    return [Group(record, members[_key(record)]) for record in report["records"]]


def _key(row: StatusRow) -> tuple[str, str, str]:
    return row["zone"], row["name"], row["type"]


def _is_degraded(member: StatusRow) -> bool:
    return member["override"] is None and member["state"] != "UP"


def _is_down(member: StatusRow) -> bool:
    return "DOWN" in (member["health"], member["effective"])
