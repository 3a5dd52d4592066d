"""Changes of what clients of a balanced record are given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.service import Service, ServiceStatus, counts_text, service_status
from dnslb_backend.core.model.records import RecordKey


@dataclass(frozen=True, slots=True)
class DecisionChange:
    """Another decision of a record, or its last healthy member is all that is left, or no longer.

    `at` is Unix time.
    """

    at: float
    key: RecordKey
    before: ServiceStatus
    after: ServiceStatus
    reason: str

    @property
    def is_start(self) -> bool:
        """Whether this is the first answer of a record."""
        return self.before.service is Service.PENDING


def report_decisions(
    records: Mapping[RecordKey, RecordState], moved: Iterable[tuple[RecordKey, float]]
) -> list[DecisionChange]:
    """The changes since the last report of the records that `moved`, with the Unix time of each."""
    found = []
    for key, wall in moved:
        state = records.get(key)
        if state is None:
            continue
        before, after = state.reported, report(state)
        if (before.kind, before.is_last_healthy) != (after.kind, after.is_last_healthy):
            found.append(
                DecisionChange(wall, key, before, after, counts_text(after, state.candidates))
            )
    return found


def report(state: RecordState) -> ServiceStatus:
    """Take what the record serves now as reported."""
    state.reported = service_status(state.decision, state.rows, state.candidates)
    return state.reported
