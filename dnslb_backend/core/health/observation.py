"""One result of a target, taken through rise and fall once: what it changes if it counts."""

from dataclasses import dataclass

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import Health, TargetState


@dataclass(frozen=True, slots=True)
class Observation:
    """A result at a moment, with the state of its target before it and after it."""

    target: TargetKey
    result: Result
    at: Instant
    before: TargetState
    after: TargetState

    @property
    def is_fall(self) -> bool:
        """Whether the target is UP, and the result takes it down."""
        return self.before.last_known is Health.UP and self.after.last_known is Health.DOWN


def is_move(before: TargetState, after: TargetState) -> bool:
    """Whether the second state differs in what records are decided by, or what they show."""
    return after.streak != before.streak or _decisive(after) != _decisive(before)


def _decisive(state: TargetState) -> tuple[object, ...]:
    return (state.last_known, state.stale, state.priority, state.weight, state.undamped)
