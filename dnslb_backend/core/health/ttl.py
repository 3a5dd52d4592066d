"""How long an answer may be kept: as configured, or until it could next change."""

from collections.abc import Sequence

from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import Record


def answer_ttl(record: Record, rows: Sequence[MemberStatus]) -> int:
    """The TTL of a record's answer, in seconds.

    With `ttl = "auto"` it is the shortest allowed while anything is on the move: a member down,
    draining, being confirmed, held or waiting to return. While all is calm, it is the time that
    a failure would take to be believed, since the answer cannot change sooner.
    """
    if record.ttl_range is None:
        return record.ttl
    shortest, longest = record.ttl_range
    if not rows or any(map(_is_restless, rows)):
        return shortest
    timing = record.timing
    confirming = timing.fast_interval or timing.interval
    calm = timing.interval + (record.thresholds.fall - 1) * confirming
    return min(max(int(calm), shortest), longest)


def _is_restless(row: MemberStatus) -> bool:
    state = row.state
    return (
        state.last_known is not Health.UP
        or state.stale
        or bool(state.streak)
        or row.is_waiting
        or row.override is not None
    )
