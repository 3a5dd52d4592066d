"""What a fleet should answer at every moment, and where an answer was wrong.

An answer is right while it says what was true within `slack` seconds before: so long a change may
take until it is noticed. Wrong is what was never true in that time: a target missing that was
well, one served that was long dead, or no answer at all.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.load import Change

Expected = Mapping[str, Callable[[frozenset[str]], frozenset[str]]]
"""By name: the addresses of an answer, where these targets are well."""

Span = tuple[float, float]

NOERROR = 0


@dataclass(slots=True)
class Truth:
    """Which targets have been well since when."""

    expected: Expected
    _times: list[tuple[float, frozenset[str]]] = field(default_factory=list)

    def now(self, well: Iterable[str]) -> float:
        """From this moment on, which is returned, these targets are well, and no others."""
        self._times.append((time.monotonic(), frozenset(well)))
        return self._times[-1][0]

    @property
    def well(self) -> frozenset[str]:
        return self._times[-1][1]

    def answer(self, name: str) -> frozenset[str]:
        """What is right at this moment."""
        return self.expected[name](self.well)

    def right(self, name: str, began: float, ended: float) -> set[frozenset[str]]:
        """All answers that were right at some moment of this time."""
        ends = [at for at, _ in self._times[1:]] + [ended]
        return {
            self.expected[name](well)
            for (at, well), end in zip(self._times, ends, strict=True)
            if at <= ended and end > began
        }

    def wrong(
        self, changes: Sequence[Change], began: float, slack: float, excused: Sequence[Span] = ()
    ) -> list[str]:
        """Each answer since `began` that was wrong, in words; errors may be excused."""
        found = []
        for number, change in enumerate(changes):
            later = (each.at for each in changes[number + 1 :] if each.name == change.name)
            until = next(later, time.monotonic())
            # What stays is looked at again whenever another answer is due.
            looks = [change.at, *(due + slack for due, _ in self._times), until]
            for look in looks:
                if max(change.at, began) <= look <= until and not (
                    self._is_right(change, look - slack, look + change.took)
                    or (change.rcode != NOERROR and overlaps(look, look + change.took, excused))
                ):
                    answer = f"{change.rcode} {sorted(change.addresses)}"
                    found.append(f"{look - began:.2f} {change.name}: {answer}")
                    break
        return found

    def _is_right(self, change: Change, began: float, ended: float) -> bool:
        right = self.right(change.name, began, ended)
        return change.rcode == NOERROR and change.addresses in right


def seen(
    changes: Sequence[Change], name: str, wanted: frozenset[str], since: float
) -> float | None:
    """When it was answered so since then, for the first time; None if it was not yet."""
    return next(
        (
            change.at + change.took
            for change in changes
            if change.at + change.took >= since
            and change.name == name
            and change.addresses == wanted
        ),
        None,
    )


def overlaps(began: float, ended: float, spans: Sequence[Span]) -> bool:
    return any(since <= ended and began <= until for since, until in spans)
