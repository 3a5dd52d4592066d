"""Changes of members, and the texts that explain them to operators."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from types import MappingProxyType

from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.health.members import MemberStatus, TargetKey
from dnslb_backend.core.health.results import Outcome
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.records import RecordKey

Moved = Mapping[TargetKey, float]
"""Targets whose health changed, and when (Unix time)."""


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
    labels: tuple[str, ...] = ()
    code: int | None = field(default=None, compare=False)
    """Of the last result; it is not stored."""
    is_first: bool = field(default=False, compare=False)
    """Its record has had no answer before."""

    @property
    def is_flip(self) -> bool:
        """Whether the member went from UP to DOWN or back."""
        return {self.from_health, self.to_health} == {Health.UP, Health.DOWN}


def diff(
    key: RecordKey,
    before: Sequence[MemberStatus],
    after: Sequence[MemberStatus],
    decision: Decision,
    wall: float,
    moved: Moved,
    is_first: bool = False,
    ended: Mapping[str, str] = MappingProxyType({}),
) -> list[Transition]:
    """The transitions between two lists of rows of one record; members may come and go.

    A member changed when one of its targets `moved`, else at `wall`; Unix times. `ended` says, by
    id, how overrides ended that are no longer in force.
    """
    found: list[Transition] = []
    for was, now in _differing(before, after):
        if _figures(was) == _figures(now):
            continue
        known = now or was
        assert known is not None
        why = reason(now, decision) if now else _reason_gone(known, decision)
        if was and was.override and was.override.id in ended:
            why = ": ".join(filter(None, (ended[was.override.id], why)))
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
                known.member.labels,
                _code(known),
                is_first,
            )
        )
    return found


def _differing(
    before: Sequence[MemberStatus], after: Sequence[MemberStatus]
) -> Iterator[tuple[MemberStatus | None, MemberStatus | None]]:
    """Both rows of each member whose row was replaced; most of a long list is not."""
    moved = [(was, now) for was, now in zip_longest(before, after) if was is not now]
    old = {was.member.content: was for was, _ in moved if was is not None}
    for _, now in moved:
        if now is not None:
            yield old.pop(now.member.content, None), now
    for gone in old.values():
        yield gone, None


def reason(status: MemberStatus, decision: Decision) -> str:
    """Why a member is served or not, and why with another weight, in words for operators."""
    text = _reason(status, decision)
    note = _weight_note(status) if status.is_served else ""
    return f"{text} ({note})" if text and note else text or note


def _weight_note(status: MemberStatus) -> str:
    if (weighting := status.weighting) is None:
        return f"slow start: {status.share} % of its weight" if status.is_ramping else ""
    author = f" by {weighting.author}" if weighting.author else ""
    return f"override weight {weighting.weight}{author}"


def _reason(status: MemberStatus, decision: Decision) -> str:
    override = status.override
    if override is not None:
        words = [f"override {override.action}"]
        if override.author:
            words.append(f"by {override.author}")
        return " ".join(words) + (f": {override.reason}" if override.reason else "")
    if status.is_fallback:
        return "fallback, served unchecked"
    text = _with_votes(_result_text(status.state), status.state)
    if status.state.stale:
        served = "still served" if status.is_served else "still not served"
        return f"stale: no recent result, {served} as before{f' ({text})' if text else ''}"
    if status.state.last_known is Health.UP:
        return _reason_up(status, decision) or text
    if status.state.last_known is Health.DOWN:
        return _reason_down(status, decision, text)
    return text or "not checked yet"


def _result_text(state: TargetState) -> str:
    """The text of the last result; an error changes no health that is known."""
    if state.result is None:
        return ""
    if state.result.outcome is Outcome.ERROR and state.health is not Health.UNKNOWN:
        return f"check error, health unchanged: {state.result.text}"
    return state.result.text


def _with_votes(text: str, state: TargetState) -> str:
    """The text, and how many sites say so where they differ, or where too few vote."""
    if state.votes is None:
        return text
    up, down, is_held = state.votes
    said = up if state.last_known is Health.UP else down
    if is_held:
        why = "held: too few nodes vote"
    elif up and down:
        why = f"{said} of {up + down} sites say {state.last_known}"
    else:
        return text
    return f"{text} ({why})" if text else why


def _reason_gone(status: MemberStatus, decision: Decision) -> str:
    """Why a row was removed."""
    if not status.is_fallback:
        return "no longer an address of its destination"
    if decision.kind is DecisionKind.FALLBACK:
        return "no longer an address of the fallback"
    return "members serve again" if decision.is_serving else "the fallback is no longer served"


def _reason_up(status: MemberStatus, decision: Decision) -> str:
    """Why a healthy member is not served; "" where it is, or where only the view decides."""
    if status.is_served:
        return ""
    if status.is_waiting:
        return "recovered, held out by failback"
    if status.priority is not None and status.priority <= 0:
        return f"up, but not served at priority {status.priority}"
    lowest = decision.threshold_of(status.member.views)
    if lowest is not None:
        return f"standby (priority {lowest} is serving)"
    return ""


def _reason_down(status: MemberStatus, decision: Decision, text: str) -> str:
    if status.state.suppressed_until is not None:
        held = f"flapping, held down for {status.state.suppress_for:g} s"
        return f"{held}; served as no other member can" if status.is_served else held
    if status.is_served and decision.is_last_resort(status.member.content):
        return f"served because all are down: {text}"
    if status.is_served and decision.is_panic(status.member.content):
        return f"served because too few are healthy: {text}"
    return text


def _code(row: MemberStatus) -> int | None:
    return None if row.state.result is None else row.state.result.code


def _figures(row: MemberStatus | None) -> tuple[Health, bool, int | None]:
    return (_health(row), _is_served(row), _priority(row))


def _health(row: MemberStatus | None) -> Health:
    return row.effective if row else Health.UNKNOWN


def _is_served(row: MemberStatus | None) -> bool:
    return row is not None and row.is_served


def _priority(row: MemberStatus | None) -> int | None:
    return row.priority if row else None
