from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.schedule import next_tick, phase_start, probe_interval
from dnslb_backend.core.health.target import Health, TargetState
from tests.core.building import TIMING

TIMES = st.floats(0, 4e9)
INTERVALS = st.floats(0.05, 3600)


@given(TIMES, st.floats(0, 1e6), INTERVALS, st.floats(0, 100))
def test_ticks_fall_on_wall_times_congruent_to_shift(
    wall: float, mono: float, interval: float, shift: float
) -> None:
    now = Instant(wall, mono)
    tick = next_tick(phase_start("www", interval, shift, now), interval, mono)
    off = (wall + (tick - mono) - shift) % interval
    assert min(off, interval - off) < 1e-5


@given(st.floats(0, 1e6), INTERVALS, st.floats(0, 1e5))
def test_the_next_tick_is_after_now_and_within_one_interval(
    anchored: float, interval: float, later: float
) -> None:
    now = anchored + later
    tick = next_tick(anchored, interval, now)
    assert now < tick <= now + interval * (1 + 1e-6)


def test_an_overrun_skips_ticks_and_keeps_the_phase() -> None:
    assert next_tick(10.0, 5.0, 10.0) == 15.0
    assert next_tick(10.0, 5.0, 21.7) == 25.0


def test_without_shift_records_are_spread_over_the_interval() -> None:
    now = Instant(1_700_000_000, 1000)
    phases = sorted(phase_start(f"www{i}/A", 10, None, now) - now.mono for i in range(1000))
    tenths = [sum(i <= phase < i + 1 for phase in phases) for i in range(10)]
    assert min(tenths) > 60


def test_the_spread_is_the_same_after_a_restart() -> None:
    before = phase_start("www/A", 10, None, Instant(1_700_000_000, 50))
    after = phase_start("www/A", 10, None, Instant(1_700_000_123, 7))
    assert (1_700_000_000 - 50 + before) % 10 == pytest.approx((1_700_000_123 - 7 + after) % 10)


@pytest.mark.parametrize(
    ("streak", "standing", "seconds"),
    [(0, Health.UP, 5), (1, Health.UP, 1), (0, Health.DOWN, 30), (1, Health.DOWN, 1)],
)
def test_a_target_is_asked_faster_while_it_turns_and_slower_while_down(
    streak: int, standing: Health, seconds: float
) -> None:
    state = TargetState(last_known=standing, streak=streak)
    timing = replace(TIMING, fast_interval=1, down_interval=30)
    assert probe_interval(timing, state) == seconds
    assert probe_interval(TIMING, state) == TIMING.interval


@given(st.integers(-1000, 1000), st.integers(1, 60), st.integers(-3000, 3000))
def test_ticks_are_whole_intervals_from_any_tick(phase: int, interval: int, now: int) -> None:
    tick = next_tick(phase, interval, now)
    assert (tick - phase) % interval == 0
    assert now < tick <= now + interval


def test_records_share_no_phase_and_it_lies_ahead() -> None:
    now = Instant(1_700_000_000, 1000)
    starts = [phase_start(f"www{number}/A", 10, None, now) for number in range(100)]
    assert len(set(starts)) == 100
    assert all(now.mono <= start < now.mono + 10 for start in starts)


@pytest.mark.parametrize(
    ("shift", "wall", "ahead"), [(0, 20, 0), (3, 20, 3), (3, 24, 9), (0, 21, 9)]
)
def test_a_shift_is_counted_from_whole_intervals(shift: float, wall: float, ahead: float) -> None:
    assert phase_start("www", 10, shift, Instant(wall, 500)) == 500 + ahead
