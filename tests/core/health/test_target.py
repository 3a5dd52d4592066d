from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnslb_backend.core.health.observation import is_move
from dnslb_backend.core.health.results import Outcome, Result, check_error, failed, passed
from dnslb_backend.core.health.target import (
    NEVER_PROBED,
    Health,
    TargetState,
    combine,
    mark_stale,
    observe,
    repeated,
    reset_damping,
)
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.core.building import at

PASS, FAIL, ERROR = passed(), failed(1, "no"), check_error("ours")


def after(*results: Result, rise: int = 1, fall: int = 1) -> TargetState:
    state = NEVER_PROBED
    for second, result in enumerate(results):
        state = observe(state, result, at(second), Thresholds(rise, fall))
    return state


@pytest.mark.parametrize(
    ("results", "health"),
    [
        ([], Health.UNKNOWN),
        ([PASS], Health.UP),
        ([FAIL], Health.DOWN),
        ([ERROR], Health.UNKNOWN),
        ([PASS, FAIL], Health.UP),
        ([PASS, FAIL, FAIL], Health.UP),
        ([PASS, FAIL, FAIL, FAIL], Health.DOWN),
        ([PASS, FAIL, FAIL, PASS, FAIL, FAIL], Health.UP),
        ([PASS, FAIL, FAIL, ERROR, FAIL], Health.DOWN),
        ([FAIL, PASS], Health.DOWN),
        ([FAIL, PASS, PASS], Health.UP),
        ([FAIL, PASS, ERROR, PASS], Health.UP),
        ([FAIL, PASS, FAIL, PASS], Health.DOWN),
    ],
)
def test_two_to_rise_three_to_fall(results: list[Result], health: Health) -> None:
    assert after(*results, rise=2, fall=3).health is health


@given(
    st.lists(st.sampled_from([PASS, FAIL, ERROR]), max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_health_turns_only_after_enough_in_a_row(
    results: list[Result], rise: int, fall: int
) -> None:
    says = [result is PASS for result in results if result is not ERROR]

    def step(up: tuple[bool, int], passes: bool) -> tuple[bool, int]:
        streak = 0 if passes is up[0] else up[1] + 1
        return (passes, 0) if streak >= (rise if passes else fall) else (up[0], streak)

    expected = Health.UNKNOWN
    if says:
        *_, (is_up, _) = accumulate(says[1:], step, initial=(says[0], 0))
        expected = Health.UP if is_up else Health.DOWN
    assert after(*results, rise=rise, fall=fall).health is expected


def test_a_fault_of_ours_is_shown_and_changes_nothing_else() -> None:
    before = after(PASS, FAIL, fall=3)
    state = observe(before, ERROR, at(9), Thresholds(1, 3))
    assert state.result is ERROR
    assert (state.last_known, state.streak, state.last_seen) == (Health.UP, 1, before.last_seen)


def test_a_stale_target_is_unknown_and_keeps_its_standing() -> None:
    state = mark_stale(after(PASS), at(50))
    assert (state.health, state.last_known) == (Health.UNKNOWN, Health.UP)


@pytest.mark.parametrize(("result", "health"), [(PASS, Health.UP), (FAIL, Health.DOWN)])
def test_the_first_word_after_silence_decides_at_once(result: Result, health: Health) -> None:
    stale = mark_stale(after(PASS), at(50))
    assert observe(stale, result, at(51), Thresholds(5, 5)).health is health


def test_an_error_does_not_end_staleness() -> None:
    assert (
        observe(mark_stale(after(PASS), at(50)), ERROR, at(51), Thresholds()).health
        is Health.UNKNOWN
    )


def test_times_tell_when_it_changed_and_was_last_up() -> None:
    state = after(PASS, PASS, FAIL, FAIL)
    assert state.last_change == at(2).wall
    assert state.last_up == at(1).wall
    assert state.last_check == at(3).wall


def test_priority_and_weight_come_from_the_last_pass() -> None:
    state = after(passed(priority=7, weight=3), FAIL, fall=2)
    assert (state.priority, state.weight) == (7, 3)


UP, DOWN = after(PASS), after(FAIL)


@pytest.mark.parametrize(
    ("states", "require", "health"),
    [
        ([UP, UP], 2, Health.UP),
        ([UP, DOWN], 2, Health.DOWN),
        ([UP, DOWN], 1, Health.UP),
        ([DOWN, DOWN], 1, Health.DOWN),
        ([UP, NEVER_PROBED], 2, Health.UNKNOWN),
        ([UP, NEVER_PROBED], 1, Health.UP),
        ([DOWN, NEVER_PROBED], 2, Health.DOWN),
        ([DOWN, NEVER_PROBED], 1, Health.UNKNOWN),
        ([UP, UP, DOWN], 2, Health.UP),
    ],
)
def test_several_checks_give_one_health(
    states: list[TargetState], require: int, health: Health
) -> None:
    assert combine(states, require).health is health


# -- flapping ---------------------------------------------------------------------------------


def test_who_never_stops_flapping_is_held_ever_longer() -> None:
    rules = Thresholds(damping=Damping(flips=2, window=100, hold=60, max_hold=500))
    state, now, result = NEVER_PROBED, 0.0, PASS
    holds: list[float] = []
    while len(holds) < 6:
        now += 1
        before = state.suppressed_until
        state = observe(state, result, at(now), rules)
        if state.suppressed_until is not None and state.suppressed_until != before:
            holds.append(state.suppress_for)
            now = state.suppressed_until
        result = FAIL if result is PASS else PASS
    assert holds == [60, 120, 240, 480, 500, 500]


DAMPED = Thresholds(damping=Damping(flips=3, window=100, hold=10, max_hold=30))


def flap(state: TargetState, start: float, times: int) -> TargetState:
    """Let a target turn `times` times, one a second."""
    for turn in range(times):
        says = FAIL if state.last_known is Health.UP else PASS
        state = observe(state, says, at(start + turn), DAMPED)
    return state


def test_a_target_that_turns_too_often_is_held_down() -> None:
    calm = flap(after(PASS), 10, 2)
    assert calm.suppressed_until is None
    held = flap(calm, 12, 1)
    assert (held.last_known, held.suppressed_until, held.suppress_for) == (Health.DOWN, 22, 10)
    assert observe(held, PASS, at(21.9), DAMPED).health is Health.DOWN
    assert observe(held, PASS, at(22), DAMPED).health is Health.UP


@pytest.mark.parametrize("flips", [1, 2, 3, 6])
def test_the_change_that_is_one_too_many_is_the_one_that_is_configured(flips: int) -> None:
    rules = Thresholds(damping=Damping(flips=flips))
    state = after(PASS)
    for turn in range(1, flips + 1):
        state = observe(state, FAIL if turn % 2 else PASS, at(10 + turn), rules)
        assert (state.suppressed_until is not None) == (turn == flips)


def test_rise_and_fall_go_on_while_a_target_is_held() -> None:
    rules = Thresholds(rise=2, fall=2, damping=Damping(flips=1, hold=60))
    state, found = after(PASS), []
    for second, result in enumerate([FAIL, FAIL, PASS, PASS, FAIL, PASS, FAIL, FAIL]):
        state = observe(state, result, at(10 + second), rules)
        found.append((state.last_known, state.undamped))
    up, down = Health.UP, Health.DOWN
    assert found == [
        *[(up, None), (down, down), (down, down)],
        *[(down, up), (down, up), (down, up), (down, up), (down, down)],
    ]


def test_what_is_up_when_its_hold_ends_has_not_changed_once_more() -> None:
    rules = Thresholds(damping=Damping(flips=2, hold=60))
    state = after(PASS)
    for second, result in ((1, FAIL), (2, PASS), (62, PASS)):
        state = observe(state, result, at(second), rules)
    assert (state.last_known, state.suppressed_until) == (Health.UP, None)


def test_the_hold_doubles_up_to_its_limit_and_ends_when_calm() -> None:
    state, now, holds = after(PASS), 10.0, []
    for _ in range(4):
        while state.suppressed_until is None:
            state = flap(state, now, 1)
            now += 1
        holds.append(state.suppress_for)
        now = state.suppressed_until
        state = observe(state, PASS, at(now), DAMPED)
    assert holds == [10, 20, 30, 30]
    assert flap(state, now + 1000, 1).suppress_for == 0


@pytest.mark.parametrize(("seconds", "is_held"), [(99.9, True), (100.0, False), (100.1, False)])
def test_a_change_counts_until_the_window_has_passed(seconds: float, is_held: bool) -> None:
    rules = Thresholds(damping=Damping(flips=2, window=100))
    down = observe(after(PASS), FAIL, at(10), rules)
    again = observe(down, PASS, at(10 + seconds), rules)
    assert (again.suppressed_until is not None) is is_held


def test_turns_far_apart_are_no_flapping() -> None:
    state = after(PASS)
    for turn in range(20):
        state = flap(state, 10 + 60 * turn, 1)
    assert state.suppressed_until is None


def test_an_operator_may_forgive_a_flapping_target() -> None:
    held = flap(after(PASS), 10, 4)
    free = reset_damping(held)
    assert observe(free, PASS, at(15), DAMPED).health is Health.UP
    assert (free.flips, free.suppress_for, free.suppressed_until, free.undamped) == (
        (),
        0,
        None,
        None,
    )


# -- several checks -------------------------------------------------------------------------

SOME_HEALTH = st.sampled_from(list(Health))
CHECKS = st.builds(
    lambda health, undamped, stale, number, until: TargetState(
        last_known=Health.DOWN if undamped else health,
        undamped=undamped,
        stale=stale,
        priority=number,
        weight=number,
        last_check=number,
        suppressed_until=until if undamped else None,
    ),
    SOME_HEALTH,
    st.sampled_from([None, None, Health.UP, Health.DOWN]),
    st.booleans(),
    st.none() | st.integers(1, 5),
    st.floats(1, 99),
)


def verdict(healths: list[Health], require: int) -> Health:
    """UP or DOWN if that holds whatever those that are unknown turn out to be."""
    unknown = healths.count(Health.UNKNOWN)
    possible = {healths.count(Health.UP) + more >= require for more in range(unknown + 1)}
    return (
        {True: Health.UP, False: Health.DOWN}[possible.pop()]
        if len(possible) == 1
        else (Health.UNKNOWN)
    )


@given(st.lists(CHECKS, min_size=2, max_size=4), st.integers(1, 4))
def test_several_checks_are_one_state(states: list[TargetState], require: int) -> None:
    require = min(require, len(states))
    found = combine(states, require)
    health = verdict([state.last_known for state in states], require)
    assert found.last_known is health
    alike = [state for state in states if state.last_known is health] or states
    assert found.stale is all(state.stale for state in alike)
    known = [state.priority for state in alike if state.priority is not None]
    assert (found.priority, found.weight) == ((known[0], known[0]) if known else (None, None))
    assert found.last_check == max((state.last_check for state in alike), key=lambda at: at or 0)
    ends = [state.suppressed_until for state in alike if state.suppressed_until is not None]
    assert found.suppressed_until == (max(ends) if ends else None)
    is_held = health is Health.DOWN and any(state.undamped for state in states)
    free = [state.undamped or state.last_known for state in states]
    would_be = Health.UP if free.count(Health.UP) >= require else Health.DOWN
    assert found.undamped is (would_be if is_held else None)


SOME_RESULT = st.builds(
    Result,
    st.sampled_from(list(Outcome)),
    st.integers(-1, 1),
    st.sampled_from(["", "ok"]),
    st.sampled_from([None, 3]),
    st.sampled_from([None, 0]),
)
STATES = st.builds(
    TargetState,
    last_known=SOME_HEALTH,
    stale=st.sampled_from([False, False, True]),
    streak=st.sampled_from([0, 0, 1]),
    priority=st.sampled_from([None, 3]),
    weight=st.sampled_from([None, 0]),
    result=st.none() | SOME_RESULT,
    last_up=st.sampled_from([None, 4.0]),
    flips=st.sampled_from([(), (3.0,)]),
    suppress_for=st.sampled_from([0.0, 5.0]),
    suppressed_until=st.sampled_from([None, None, 6.0, 60.0]),
    undamped=st.sampled_from([None, None, Health.UP, Health.DOWN]),
)


@settings(max_examples=500)
@given(STATES, SOME_RESULT, st.booleans(), st.integers(1, 3))
def test_what_only_repeats_the_last_result_is_observed_alike(
    state: TargetState, result: Result, is_repeated: bool, needed: int
) -> None:
    if is_repeated:
        state = state._replace(
            result=result.lasting(9), priority=result.priority, weight=result.weight
        )
    rules = Thresholds(needed, needed, Damping(2, 60, 60, 120))
    found = repeated(state, result, at(10))
    if found is not None:
        assert found == observe(state, result, at(10), rules)
        assert not is_move(state, found)


@pytest.mark.parametrize("result", [PASS, FAIL])
def test_a_second_result_like_the_first_only_repeats_it(result: Result) -> None:
    assert repeated(after(result), result.lasting(0.5), at(10)) is not None


@pytest.mark.parametrize(
    ("state", "result"),
    [
        (after(failed(1, "no")), failed(2, "no")),
        (after(passed("fast")), passed("slow")),
        (after(PASS), FAIL),
        (after(FAIL, ERROR), ERROR),
        (after(FAIL, ERROR), FAIL),
    ],
)
def test_a_result_that_reads_differently_or_does_not_count_repeats_nothing(
    state: TargetState, result: Result
) -> None:
    assert repeated(state, result, at(10)) is None


def test_one_check_is_its_own_state() -> None:
    state = after(PASS)
    assert combine([state], 1) is state
