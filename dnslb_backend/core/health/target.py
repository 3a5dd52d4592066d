"""Rise and fall: how results become the health of a target.

result   health before      health after
error    any                unchanged: it says nothing about the target
pass     UNKNOWN or stale   UP, at once
fail     UNKNOWN or stale   DOWN, at once
pass     UP                 UP
fail     DOWN               DOWN
pass     DOWN               UP after `rise` in a row, else DOWN
fail     UP                 DOWN after `fall` in a row, else UP

With damping, a target whose health changed `flips` times within `window` is held DOWN for
`suppress_for` seconds, twice as long every time, until it has not changed for a window. The end of
a hold counts as the first of the next changes. Results count meanwhile: `undamped` is the health
without the hold.
"""

from enum import StrEnum
from typing import NamedTuple

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.results import Outcome, Result
from dnslb_backend.core.model.rules import Damping, Thresholds


class Votes(NamedTuple):
    """How many sites say UP and DOWN; `is_held`: too few to change what was agreed last."""

    up: int
    down: int
    is_held: bool


class Health(StrEnum):
    UP = "UP"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"


class TargetState(NamedTuple):
    """What is known of one target. Every probe makes one, as it does a Result.

    `last_known` is the health by its results; it outlives staleness, because a stale target keeps
    being served or not. `health` is what is shown: UNKNOWN when stale. `streak` counts results in
    a row against `last_known`. `last_seen` is the monotonic time of the last pass or fail. The
    wall times are None before the first.

    `flips` are the monotonic times of its recent changes of health. Until `suppressed_until` a
    flapping target is held DOWN, for `suppress_for` seconds; `undamped` is the health that it
    would have otherwise (None: it is not held).
    """

    last_known: Health = Health.UNKNOWN
    stale: bool = False
    streak: int = 0
    priority: int | None = None
    weight: int | None = None
    result: Result | None = None
    last_seen: float = 0.0
    last_check: float | None = None
    last_change: float | None = None
    last_up: float | None = None
    flips: tuple[float, ...] = ()
    suppress_for: float = 0.0
    suppressed_until: float | None = None
    undamped: Health | None = None
    votes: Votes | None = None
    """Where the votes of several nodes decide."""

    @property
    def health(self) -> Health:
        return Health.UNKNOWN if self.stale else self.last_known


NEVER_PROBED = TargetState()


def observe(state: TargetState, result: Result, at: Instant, rules: Thresholds) -> TargetState:
    """The state after one more result; the table above is the rule."""
    if result.outcome is Outcome.ERROR:
        return state._replace(result=result, last_check=at.wall)
    is_pass = result.outcome is Outcome.PASS
    says = Health.UP if is_pass else Health.DOWN
    before = state.undamped or state.last_known
    streak = 0 if says is before else state.streak + 1
    needed = 1 if state.health is Health.UNKNOWN else (rules.rise if is_pass else rules.fall)
    is_held = state.suppressed_until is not None and at.mono < state.suppressed_until
    decided = says if streak >= needed else before
    health = Health.DOWN if is_held else decided
    seen = TargetState(
        last_known=health,
        streak=0 if decided is says else streak,
        priority=result.priority if is_pass else state.priority,
        weight=result.weight if is_pass else state.weight,
        result=result,
        last_seen=at.mono,
        last_check=at.wall,
        last_change=at.wall if health is not state.health else state.last_change,
        last_up=at.wall if health is Health.UP else state.last_up,
        flips=state.flips,
        suppress_for=state.suppress_for,
        suppressed_until=state.suppressed_until if is_held else None,
        undamped=decided if is_held else None,
    )
    if health is state.last_known or state.last_known is Health.UNKNOWN:
        return seen
    if state.undamped is Health.UP:
        # It has been UP all along, and its hold is over.
        return seen
    return _turned(seen, at, rules.damping)


def repeated(state: TargetState, result: Result, at: Instant) -> TargetState | None:
    """What `observe` returns for a result that only repeats the last one, which changes nothing but
    times and figures; None where it may change more."""
    last, is_pass = state.result, result.outcome is Outcome.PASS
    if (
        last is None
        or result.text != last.text
        or result.code != last.code
        or state.last_known is not (Health.UP if is_pass else Health.DOWN)
        or state.streak
        or state.stale
        or (state.undamped, state.suppressed_until) != (None, None)
        or result.outcome is Outcome.ERROR
        or (is_pass and (result.priority != state.priority or result.weight != state.weight))
    ):
        return None
    return TargetState(
        state.last_known,
        False,
        0,
        state.priority,
        state.weight,
        result,
        at.mono,
        at.wall,
        state.last_change,
        at.wall if state.last_known is Health.UP else state.last_up,
        state.flips,
        state.suppress_for,
    )


def _turned(state: TargetState, at: Instant, damping: Damping | None) -> TargetState:
    """The state of a target that has just gone from UP to DOWN or back."""
    if damping is None:
        return state
    recent = (*(flip for flip in state.flips if at.mono - flip < damping.window), at.mono)
    hold = state.suppress_for if len(recent) > 1 else 0.0
    if len(recent) < damping.flips:
        return state._replace(flips=recent, suppress_for=hold)
    hold = min(max(2 * hold, damping.hold), damping.max_hold)
    return state._replace(
        last_known=Health.DOWN,
        last_change=at.wall,
        # Calm is counted from its end.
        flips=(at.mono + hold,),
        suppress_for=hold,
        suppressed_until=at.mono + hold,
        undamped=state.last_known,
    )


def reset_damping(state: TargetState) -> TargetState:
    """The state without its damping, as when an operator readmits it."""
    return state._replace(flips=(), suppress_for=0.0, suppressed_until=None, undamped=None)


def mark_stale(state: TargetState, at: Instant) -> TargetState:
    """The state once no result has come for too long: UNKNOWN, but served as before."""
    return state._replace(stale=True, last_change=at.wall)


def combine(states: list[TargetState], require: int) -> TargetState:
    """The state of a member that is probed by several checks, `require` of which must pass.

    UP when enough are up, DOWN when the rest can no longer suffice, else UNKNOWN. Result and
    times are those of the newest check that agrees with that.
    """
    if len(states) == 1:
        return states[0]
    up = sum(state.last_known is Health.UP for state in states)
    down = sum(state.last_known is Health.DOWN for state in states)
    if up >= require:
        health = Health.UP
    elif len(states) - down < require:
        health = Health.DOWN
    else:
        health = Health.UNKNOWN
    agreeing = [state for state in states if state.last_known is health] or states
    newest = max(agreeing, key=lambda state: state.last_check or 0.0)
    return newest._replace(
        last_known=health,
        stale=all(state.stale for state in agreeing),
        priority=next((s.priority for s in agreeing if s.priority is not None), None),
        weight=next((s.weight for s in agreeing if s.weight is not None), None),
        suppressed_until=max(
            (s.suppressed_until for s in agreeing if s.suppressed_until), default=None
        ),
        undamped=_undamped(states, require) if health is Health.DOWN else None,
    )


def _undamped(states: list[TargetState], require: int) -> Health | None:
    """The health of a member that is DOWN if none of its checks were held; None: none is."""
    if all(state.undamped is None for state in states):
        return None
    up = sum((state.undamped or state.last_known) is Health.UP for state in states)
    return Health.UP if up >= require else Health.DOWN
