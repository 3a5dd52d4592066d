"""Slow start: a member that came back is given its weight again in steps of equal length.

    step       0    1    2   …    9    after the last one
    percent    5   15   25   …   95    100

The weights of a record with a slow start are counted in percent, so that a weight of 1 has parts.
"""

from dnslb_backend.core.health.members import FULL_SHARE
from dnslb_backend.core.health.record_state import Ramp, RecordState

STEPS = 10


def begin_ramp(state: RecordState, content: str, mono: float) -> None:
    """A member came back to serve, if its record has a slow start."""
    if state.record.slow_start:
        state.ramps[content] = Ramp(mono)


def advance_ramps(state: RecordState, mono: float) -> None:
    """Take the steps that are due; ramps that have ended and members that are gone are dropped."""
    here = {member.content for member in state.members} if state.ramps else set()
    state.ramps = {
        content: Ramp(ramp.since, step)
        for content, ramp in state.ramps.items()
        if content in here and (step := _step_at(state, ramp, mono)) < STEPS
    }


def is_step_due(state: RecordState, mono: float) -> bool:
    return any(_step_at(state, ramp, mono) != ramp.step for ramp in state.ramps.values())


def share_of(state: RecordState, content: str) -> int:
    """The parts of its weight that a member has: percent, and 1 in a record without slow start."""
    ramp = state.ramps.get(content)
    if ramp is None or not state.record.slow_start:
        return full_share(state)
    return (2 * ramp.step + 1) * FULL_SHARE // (2 * STEPS)


def full_share(state: RecordState) -> int:
    return FULL_SHARE if state.record.slow_start else 1


def _step_at(state: RecordState, ramp: Ramp, mono: float) -> int:
    """STEPS where the ramp has ended, as it has where the record has no slow start any more."""
    length = state.record.slow_start
    return min(int(STEPS * max(mono - ramp.since, 0.0) / length), STEPS) if length else STEPS
