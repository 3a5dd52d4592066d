"""Changes of members, and the words that explain them to operators."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.health.members import MemberStatus, TargetKey
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a member's effective health, priority or served state; `at` is Unix time."""

    at: float
    key: RecordKey
    content: str
    address: str
    from_health: Health
    to_health: Health
    from_served: bool
    to_served: bool
    from_priority: int | None
    to_priority: int | None
    reason: str


def diff(
    key: RecordKey,
    before: Sequence[MemberStatus],
    after: Sequence[MemberStatus],
    decision: Decision,
    wall: float,
    moved: Mapping[TargetKey, float],
) -> list[Transition]:
    """What changed between two tables of one record, a member that came or went included.

    It changed at `wall`, or when a target of the member `moved`; Unix times.
    """
    found: list[Transition] = []
    for was, now in _differing(before, after):
        if _figures(was) == _figures(now):
            continue
        known = now or was
        assert known is not None
        why = reason(now, decision) if now else _reason_gone(known, decision)
        found.append(
            Transition(
                max((moved[t] for t in known.member.targets if t in moved), default=wall),
                key,
                known.member.content,
                known.member.address,
                *(_health(was), _health(now)),
                *(_is_served(was), _is_served(now)),
                *(_priority(was), _priority(now)),
                why,
            )
        )
    return found


def _differing(
    before: Sequence[MemberStatus], after: Sequence[MemberStatus]
) -> Iterator[tuple[MemberStatus | None, MemberStatus | None]]:
    """Each member whose row is another one, with both rows; most of a long table stays as it is."""
    moved = [(was, now) for was, now in zip_longest(before, after) if was is not now]
    old = {was.member.content: was for was, _ in moved if was is not None}
    for _, now in moved:
        if now is not None:
            yield old.pop(now.member.content, None), now
    for gone in old.values():
        yield gone, None


def reason(status: MemberStatus, decision: Decision) -> str:
    """Why a member stands where it stands, in words for operators."""
    override = status.override
    if override is not None:
        words = [f"override {override.action}"]
        if override.author:
            words.append(f"by {override.author}")
        return " ".join(words) + (f": {override.reason}" if override.reason else "")
    said = status.state.result.text if status.state.result else ""
    if status.is_fallback:
        return "fallback, served unchecked"
    if status.state.stale:
        return f"nothing heard for too long, keeps its place{f' ({said})' if said else ''}"
    if status.state.last_known is Health.UP:
        return _reason_up(status, decision) or said
    if status.state.last_known is Health.DOWN:
        return _reason_down(status, decision, said)
    return said or "not checked yet"


def _reason_gone(status: MemberStatus, decision: Decision) -> str:
    """Why a row is there no more."""
    if not status.is_fallback:
        return "no longer an address of its destination"
    if decision.kind is DecisionKind.FALLBACK:
        return "no longer an address of the fallback"
    return (
        "members serve again"
        if decision.kind is DecisionKind.SERVE
        else "no fallback is served any more"
    )


def _reason_up(status: MemberStatus, decision: Decision) -> str:
    """Why a healthy member is out; "" when it serves."""
    if status.is_served:
        return ""
    if status.is_waiting:
        return "came back, and waits before it serves again (failback)"
    if status.priority is not None and status.priority <= 0:
        return f"works, but is out at priority {status.priority}"
    lowest = decision.threshold_of(status.member.views)
    if lowest is not None:
        return f"works, but priority {status.priority} is below {lowest}, which serves"
    return ""


def _reason_down(status: MemberStatus, decision: Decision, said: str) -> str:
    if status.state.suppressed_until is not None:
        held = f"flapping, held down for {status.state.suppress_for:g} s"
        return f"{held}, but serves since nobody else would" if status.is_served else held
    if status.is_served and decision.is_last_resort(status.member.content):
        return f"served because all are down: {said}"
    return said


def _figures(row: MemberStatus | None) -> tuple[Health, bool, int | None]:
    return (_health(row), _is_served(row), _priority(row))


def _health(row: MemberStatus | None) -> Health:
    return row.effective if row else Health.UNKNOWN


def _is_served(row: MemberStatus | None) -> bool:
    return row is not None and row.is_served


def _priority(row: MemberStatus | None) -> int | None:
    return row.priority if row else None
