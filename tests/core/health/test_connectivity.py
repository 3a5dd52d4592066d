"""What this node's own network is worth while too few others vote."""

import pytest

from dnslb_backend.core.health.connectivity import KEPT, Connectivity


def counted(*seconds: str) -> Connectivity:
    """Results of each second, which ends with a tick: a letter each, p is a pass."""
    connectivity = Connectivity()
    for number, results in enumerate(seconds):
        for letter in results:
            connectivity.count(is_pass=letter == "p")
        connectivity.tick(float(number))
    return connectivity


@pytest.mark.parametrize(
    ("results", "vouched"), [("p", True), ("pf", False), ("ppf", True), ("pff", False), ("", False)]
)
def test_more_than_half_must_pass(results: str, vouched: bool) -> None:
    assert counted("", results).is_connected(0) is vouched


def test_only_what_came_since_counts() -> None:
    connectivity = counted("ppp", "f")
    assert not connectivity.is_connected(0)
    # What came before the tick at 1 is before that moment.
    assert not counted("ff", "p").is_connected(1)
    assert counted("ff", "", "p").is_connected(0.5)


def test_nothing_vouches_before_a_tick_has_followed() -> None:
    connectivity = counted("")
    connectivity.count(is_pass=True)
    assert not connectivity.is_connected(1)
    assert connectivity.is_connected(0)


def test_canaries_decide_where_there_are_any() -> None:
    passing, failing = counted("", "pp"), counted("", "ff")
    passing.canaries, failing.canaries = False, True
    assert not passing.is_connected(0)
    assert failing.is_connected(0)


def test_the_last_ticks_are_kept_however_long_it_runs() -> None:
    connectivity = Connectivity()
    for number in range(3 * KEPT):
        connectivity.count(is_pass=number >= 2 * KEPT)
        connectivity.tick(float(number))
    assert connectivity.is_connected(2 * KEPT)
