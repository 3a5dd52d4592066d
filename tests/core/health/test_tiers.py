import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.tiers import threshold
from tests.core.restatement import enabled

PRIORITIES = [4, 3, 2, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("min_count", "lowest"), [(1, 4), (2, 3), (3, 2), (5, 2), (6, 1), (7, 1), (99, 1), (0, 4)]
)
def test_tiers_open_from_the_top_until_enough_are_in(min_count: int, lowest: int) -> None:
    assert threshold(PRIORITIES, min_count) == lowest


@pytest.mark.parametrize("priorities", [[], [0], [-1, 0]])
def test_priorities_of_zero_and_below_never_serve(priorities: list[int]) -> None:
    assert threshold(priorities, 1) is None


@given(st.lists(st.integers(-3, 9), max_size=12), st.integers(-2, 15))
def test_agrees_with_the_plain_rule(priorities: list[int], min_count: int) -> None:
    lowest = threshold(priorities, min_count)
    by_name: dict[str, int | None] = {str(i): p for i, p in enumerate(priorities)}
    chosen = {name for name, p in by_name.items() if lowest is not None and p and p >= lowest}
    assert chosen == enabled(by_name, min_count)
