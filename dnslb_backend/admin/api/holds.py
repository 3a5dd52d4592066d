"""Until when a member is held out by damping or by failback, and that in words."""

import math
from dataclasses import dataclass

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.target import Health


@dataclass(frozen=True, slots=True)
class Hold:
    """Held out `until` a Unix time, inf until an operator readmits it; `why` says so."""

    until: float
    why: str


def hold_of(status: MemberStatus, record: RecordState, at: Instant) -> Hold | None:
    """What holds a member out now; None where nothing does, or an override decides."""
    state = status.state
    if status.override is not None or status.is_fallback or state.stale:
        return None
    if state.suppressed_until is not None and state.last_known is Health.DOWN:
        left = state.suppressed_until - at.mono
        why = f"flapping, held down for another {_remaining(left)}"
        if status.is_served:
            why += "; served as no other member can"
        return Hold(at.wall + left, why)
    back = record.waiting.get(status.member.content)
    if back is None or not status.is_waiting or status.is_served:
        return None
    left = back.since + record.record.failback - at.mono
    if math.isinf(left):
        return Hold(left, "recovered; failback is manual: `clear` readmits it")
    return Hold(at.wall + left, f"recovered, serves again in {_remaining(left)}")


def _remaining(seconds: float) -> str:
    """`43s`, `9m50s`, `2h05m`."""
    whole = max(math.ceil(seconds), 0)
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{whole % 60:02d}s" if minutes else f"{whole}s"
