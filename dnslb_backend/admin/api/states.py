"""The state of a member and the service of a record, in words for API, commands and page."""

from collections.abc import Sequence
from enum import StrEnum

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.record_state import RecordState


class MemberState(StrEnum):
    """A member in a word or two; where several are true, the one that matters most."""

    UP = "UP"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"
    STALE = "STALE"
    WAITING = "WAITING"
    FLAPPING = "FLAPPING"
    DRAINED = "DRAINED"
    FORCED_UP = "FORCED UP"
    FORCED_DOWN = "FORCED DOWN"
    FALLBACK = "FALLBACK"


class Service(StrEnum):
    """What clients of a record are given."""

    SERVING = "serving"
    FALLBACK = "fallback"
    ALL_DOWN = "serving DOWN members"
    NO_ANSWER = "no answer"
    SERVFAIL = "SERVFAIL"
    PENDING = "pending"


_OVERRIDDEN = {
    Action.DRAIN: MemberState.DRAINED,
    Action.UP: MemberState.FORCED_UP,
    Action.DOWN: MemberState.FORCED_DOWN,
}

_SERVICES = {
    DecisionKind.SERVE: Service.SERVING,
    DecisionKind.FALLBACK: Service.FALLBACK,
    DecisionKind.PANIC: Service.ALL_DOWN,
    DecisionKind.ALL: Service.ALL_DOWN,
    DecisionKind.LAST: Service.ALL_DOWN,
    DecisionKind.NODATA: Service.NO_ANSWER,
    DecisionKind.SERVFAIL: Service.SERVFAIL,
    DecisionKind.PENDING: Service.PENDING,
}


def member_state(status: MemberStatus) -> MemberState:
    if status.is_fallback:
        return MemberState.FALLBACK
    if status.override is not None:
        return _OVERRIDDEN[status.override.action]
    if status.state.suppressed_until is not None:
        return MemberState.FLAPPING
    if status.state.stale:
        return MemberState.STALE
    return MemberState.WAITING if status.is_waiting else MemberState(status.effective)


def service_of(kind: DecisionKind) -> Service:
    return _SERVICES[kind]


def served_count(rows: Sequence[MemberStatus]) -> tuple[int, int]:
    """How many members are served, and how many there are; fallback addresses are none."""
    members = [row for row in rows if not row.is_fallback]
    return sum(row.is_served for row in members), len(members)


def summary_of(state: RecordState) -> str:
    """How many members are served; and the service, where not all clients have a member."""
    served, total = served_count(state.rows)
    counts = f"{served} of {total} served"
    service = service_of(state.decision.kind)
    if service is Service.SERVING:
        return counts
    if views := [pool.view for pool in state.decision.serving_pools()]:
        return f"views {', '.join(views)}: {Service.SERVING}, others: {service}, {counts}"
    return f"{service}, {counts}"
