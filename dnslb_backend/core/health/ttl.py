"""How long an answer may be cached: as configured, or until it could next change."""

from collections.abc import Sequence

from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import Record


def answer_ttl(record: Record, rows: Sequence[MemberStatus]) -> int:
    """The TTL of a record's answer, in seconds.

    With `ttl = "auto"` it is the shortest allowed while the answer may change soon: while a member
    is not UP, overridden, being confirmed, held for flapping, held out after recovery or
    started slowly. Otherwise
    it is the time that a failure takes to count, as the answer cannot change sooner.
    """
    if record.ttl_range is None:
        return record.ttl
    shortest, longest = record.ttl_range
    if not rows or any(map(_may_change_soon, rows)):
        return shortest
    timing = record.timing
    confirming = timing.fast_interval or timing.interval
    stable = timing.interval + (record.thresholds.fall - 1) * confirming
    return min(max(int(stable), shortest), longest)


def _may_change_soon(row: MemberStatus) -> bool:
    state = row.state
    return (
        state.last_known is not Health.UP
        or state.stale
        or bool(state.streak)
        or row.is_waiting
        or row.is_ramping
        or row.override is not None
    )
