"""What this node's own network is worth while too few others vote."""

import pytest

from dnslb_backend.core.health.vouching import KEPT, Vouching


def counted(*seconds: str) -> Vouching:
    """Results of each second, which ends with a tick: a letter each, p is a pass."""
    vouching = Vouching()
    for number, results in enumerate(seconds):
        for letter in results:
            vouching.heard(is_pass=letter == "p")
        vouching.tick(float(number))
    return vouching


@pytest.mark.parametrize(
    ("results", "vouched"), [("p", True), ("pf", False), ("ppf", True), ("pff", False), ("", False)]
)
def test_more_than_half_must_pass(results: str, vouched: bool) -> None:
    assert counted("", results).is_vouched(0) is vouched


def test_only_what_came_since_counts() -> None:
    vouching = counted("ppp", "f")
    assert not vouching.is_vouched(0)
    # What came before the tick at 1 is before that moment.
    assert not counted("ff", "p").is_vouched(1)
    assert counted("ff", "", "p").is_vouched(0.5)


def test_nothing_vouches_before_a_tick_has_followed() -> None:
    vouching = counted("")
    vouching.heard(is_pass=True)
    assert not vouching.is_vouched(1)
    assert vouching.is_vouched(0)


def test_canaries_decide_where_there_are_any() -> None:
    passing, failing = counted("", "pp"), counted("", "ff")
    passing.canaries, failing.canaries = False, True
    assert not passing.is_vouched(0)
    assert failing.is_vouched(0)


def test_the_last_ticks_are_kept_however_long_it_runs() -> None:
    vouching = Vouching()
    for number in range(3 * KEPT):
        vouching.heard(is_pass=number >= 2 * KEPT)
        vouching.tick(float(number))
    assert vouching.is_vouched(2 * KEPT)
