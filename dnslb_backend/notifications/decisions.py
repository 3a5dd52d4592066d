"""Changes of a record's decision, derived from the health map."""

from dataclasses import dataclass
from enum import StrEnum

from dnslb_backend.core.health.changes import Changes
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class DecisionChange:
    """The decision of a record changed at Unix time `at`; `served` of its `total` members serve."""

    at: float
    key: RecordKey
    before: DecisionKind
    after: DecisionKind
    served: int
    total: int
    reason: str

    @property
    def severity(self) -> Severity:
        if self.after is DecisionKind.SERVE:
            return Severity.INFO
        has_answer = self.after not in (DecisionKind.NODATA, DecisionKind.SERVFAIL)
        return Severity.WARNING if has_answer else Severity.ERROR


class DecisionTracker:
    """Remembers the last decision of every record; the first ones are those at its construction."""

    def __init__(self, health: HealthMap) -> None:
        self._health = health
        self._last = {key: state.decision for key, state in health.records.items()}

    def observe(self, changes: Changes, wall: float) -> list[DecisionChange]:
        """What changed since the last call, in the order of the names."""
        causes = {transition.key: transition for transition in changes.transitions}
        found = (self._observe(key, causes.get(key), wall) for key in sorted(changes.answers))
        return [change for change in found if change is not None]

    def _observe(
        self, key: RecordKey, cause: Transition | None, wall: float
    ) -> DecisionChange | None:
        state = self._health.records.get(key)
        before = self._last.pop(key, PENDING)
        if state is None:
            return None
        self._last[key] = state.decision
        return decision_change(key, before, state, cause, wall)


def decision_change(
    key: RecordKey, before: Decision, state: RecordState, cause: Transition | None, wall: float
) -> DecisionChange | None:
    """The change from `before` to the decision of `state`; None where no one needs to know.

    That is where both are of one kind, before a record was first checked, and when it serves after
    its first check. `cause` is the last transition of the record.
    """
    after = state.decision.kind
    is_first = before.kind is DecisionKind.PENDING
    if after in (before.kind, DecisionKind.PENDING) or (is_first and after is DecisionKind.SERVE):
        return None
    rows = [row for row in state.rows if not row.is_fallback]
    return DecisionChange(
        at=cause.at if cause else wall,
        key=key,
        before=before.kind,
        after=after,
        served=sum(row.is_served for row in rows),
        total=len(rows),
        reason=f"{cause.content}: {cause.reason}" if cause else "",
    )
