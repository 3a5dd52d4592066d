"""When check cycles begin: at a fixed phase of the interval, on the monotonic clock."""

import math
import zlib

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.records import Timing


def phase_start(seed: str, interval: float, shift: float | None, now: Instant) -> float:
    """A monotonic time at which a check cycle of this phase begins; add intervals for others.

    With `shift`, cycles begin at wall-clock times congruent to it modulo `interval`, by the wall
    clock at `now`; later steps of that clock change nothing. Without, `seed` determines the phase,
    the same one on every node and after every restart.
    """
    phase = _spread(seed) * interval if shift is None else shift
    return now.mono + (phase - now.wall) % interval


def next_tick(phase: float, interval: float, now: float) -> float:
    """The first tick strictly after monotonic `now`; ticks that were missed are skipped."""
    tick = phase + (math.floor((now - phase) / interval) + 1) * interval
    return tick if tick > now else tick + interval


def probe_interval(timing: Timing, state: TargetState) -> float:
    """Seconds from one probe of a target to the next: faster while a change is being confirmed,
    slower while it is down, where the record says so (as HAProxy's fastinter and downinter)."""
    if state.streak and timing.fast_interval is not None:
        return timing.fast_interval
    if state.last_known is Health.DOWN and timing.down_interval is not None:
        return timing.down_interval
    return timing.interval


def is_silent(timing: Timing, state: TargetState, mono: float) -> bool:
    """Whether a target has had no result for too long, by its own pace."""
    asked_later = max(probe_interval(timing, state) - timing.interval, 0.0)
    return mono - state.last_seen > timing.stale_after + asked_later


def _spread(seed: str) -> float:
    return zlib.crc32(seed.encode()) / 2**32
