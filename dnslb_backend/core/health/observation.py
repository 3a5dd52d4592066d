"""One result of a target, taken through rise and fall once: what it changes if it counts."""

from operator import attrgetter
from typing import NamedTuple

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.target import Health, TargetState


class Observation(NamedTuple):
    """A result at a moment, with the state of its target before it and after it."""

    target: TargetKey
    result: Result
    at: Instant
    before: TargetState
    after: TargetState

    @property
    def is_repeated(self) -> bool:
        """Whether the result says what the one before it said, at another time."""
        last, result = self.before.result, self.result
        return last is not None and last.code == result.code and last.text == result.text

    @property
    def is_fall(self) -> bool:
        """Whether the target is UP, and the result takes it down."""
        return self.before.last_known is Health.UP and self.after.last_known is Health.DOWN


_decisive = attrgetter("streak", "last_known", "stale", "priority", "weight", "undamped")


def is_move(before: TargetState, after: TargetState) -> bool:
    """Whether the second state differs in what records are decided by, or what they show."""
    return bool(_decisive(before) != _decisive(after))
