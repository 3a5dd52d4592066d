"""What clients of a balanced record are given, in words and numbers, and how serious it is."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from dnslb_backend.core.health.decision import Candidate, Decision, DecisionKind
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.target import Health


class Service(StrEnum):
    """What clients of a record are given."""

    SERVING = "serving"
    FALLBACK = "fallback"
    PANIC = "panic"
    """All members serve, as fewer are healthy than min_healthy."""
    ALL_DOWN = "serving DOWN members"
    NO_ANSWER = "no answer"
    SERVFAIL = "SERVFAIL"
    PENDING = "pending"


class Severity(StrEnum):
    """How serious a service is for operators."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_SERVICES = {
    DecisionKind.SERVE: Service.SERVING,
    DecisionKind.PANIC: Service.PANIC,
    DecisionKind.FALLBACK: Service.FALLBACK,
    DecisionKind.ALL: Service.ALL_DOWN,
    DecisionKind.LAST: Service.ALL_DOWN,
    DecisionKind.NODATA: Service.NO_ANSWER,
    DecisionKind.SERVFAIL: Service.SERVFAIL,
    DecisionKind.PENDING: Service.PENDING,
}

_SEVERITIES = {
    Service.SERVING: Severity.INFO,
    Service.PANIC: Severity.WARNING,
    Service.FALLBACK: Severity.WARNING,
    Service.ALL_DOWN: Severity.WARNING,
    Service.NO_ANSWER: Severity.ERROR,
    Service.SERVFAIL: Severity.ERROR,
    Service.PENDING: Severity.INFO,
}


class ServiceStatus(NamedTuple):
    """A decision in numbers: of `total` members `served` are served, and `up` are healthy."""

    kind: DecisionKind = DecisionKind.PENDING
    served: int = 0
    total: int = 0
    up: int = 0

    @property
    def service(self) -> Service:
        return service_of(self.kind)

    @property
    def is_last_healthy(self) -> bool:
        """Whether at most one healthy member of several is left, and members still serve."""
        return self.service is Service.SERVING and self.up <= 1 < self.total

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.is_last_healthy else _SEVERITIES[self.service]


def service_of(kind: DecisionKind) -> Service:
    return _SERVICES[kind]


def served_count(rows: Sequence[MemberStatus]) -> tuple[int, int]:
    """How many members are served, and how many there are; fallback addresses are none."""
    members = [row for row in rows if not row.is_fallback]
    return sum(row.is_served for row in members), len(members)


def service_status(
    decision: Decision, rows: Sequence[MemberStatus], candidates: Sequence[Candidate]
) -> ServiceStatus:
    """What this decision is for the members of these rows and candidates."""
    kind = overall_kind(decision, candidates)
    return ServiceStatus(kind, *served_count(rows), up_count(candidates))


def overall_kind(decision: Decision, candidates: Sequence[Candidate]) -> DecisionKind:
    """The decision for clients in no view. Where every member is for a view, no answer for those
    is as configured: then it is SERVE while each of the views has serving members, or PANIC."""
    if decision.kind is DecisionKind.PENDING or not decision.pools:
        return decision.kind
    views = {view for candidate in candidates for view in candidate.views}
    has_common = any(not candidate.views for candidate in candidates)
    serving = decision.serving_pools()
    if not has_common and views == {pool.view for pool in serving}:
        is_panic = any(pool.is_panic for pool in serving)
        return DecisionKind.PANIC if is_panic else DecisionKind.SERVE
    return decision.kind


def up_count(candidates: Sequence[Candidate]) -> int:
    """How many members are healthy: UP, not held for flapping and not drained."""
    return sum(_is_healthy(candidate) for candidate in candidates)


def counts_text(status: ServiceStatus, candidates: Sequence[Candidate]) -> str:
    """The numbers behind a service, such as "2 of 3 members DOWN, 1 drained"."""
    if status.service is Service.SERVING:
        text = f"{status.up} of {status.total} members UP"
        is_last = status.is_last_healthy and status.up == 1
        return f"last healthy member: {text}" if is_last else text
    if not candidates:
        return "no members"
    words = Counter(_trouble(candidate) for candidate in candidates)
    ordered = [word for word in ("DOWN", "UNKNOWN", "drained", "UP") if words[word]]
    first, *others = ordered
    parts = [f"{words[first]} of {status.total} members {first}"]
    return ", ".join([*parts, *(f"{words[word]} {word}" for word in others)])


def _is_healthy(candidate: Candidate) -> bool:
    return candidate.health is Health.UP and not candidate.is_drained


def _trouble(candidate: Candidate) -> str:
    return "drained" if candidate.is_drained else candidate.health.value
