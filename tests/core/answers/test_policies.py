from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.policies import Sticky, Weighted, effective_weights, scramble

PICKS = 100_000
NETWORKS = [(4, number) for number in range(20_000)]


def shares(weights: list[int], count: int) -> list[float]:
    chance = Random(7)
    policy = Weighted(weights, count)
    picked = Counter(i for _ in range(PICKS) for i in policy.pick(chance.getrandbits(64)))
    return [picked[index] / PICKS for index in range(len(weights))]


def test_one_is_picked_in_proportion_to_the_weights() -> None:
    assert shares([1, 2, 7], 1) == pytest.approx([0.1, 0.2, 0.7], abs=0.02)


def test_without_replacement_the_second_is_picked_among_the_rest() -> None:
    # P(out) of index i: both others were picked, in either order.
    out = [
        (b / 10) * (c / (10 - b)) + (c / 10) * (b / (10 - c)) for b, c in ((2, 7), (1, 7), (1, 2))
    ]
    assert shares([1, 2, 7], 2) == pytest.approx([1 - share for share in out], abs=0.02)


def test_weight_zero_is_out_unless_all_are_zero() -> None:
    assert shares([0, 1, 1], 3) == pytest.approx([0, 1, 1])
    assert shares([0, 0], 1) == pytest.approx([0.5, 0.5], abs=0.02)
    assert effective_weights([-3, 2]) == [0, 2]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=20),
    st.integers(1, 25),
    st.integers(0, 2**64 - 1),
)
def test_a_pick_has_as_many_as_it_can_each_once(weights: list[int], count: int, draw: int) -> None:
    picked = Weighted(weights, count).pick(draw)
    usable = sum(weight > 0 for weight in effective_weights(weights))
    assert len(picked) == len(set(picked)) == min(count, usable)
    assert picked == Weighted(weights, count).pick(draw)


def owners(contents: list[str], weights: list[int]) -> dict[tuple[int, int], str]:
    policy = Sticky(contents, weights, 1)
    return {network: contents[policy.pick(network)[0]] for network in NETWORKS}


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_when_a_member_goes_only_its_clients_move(count: int) -> None:
    contents = [f"192.0.2.{i}" for i in range(count)]
    before = owners(contents, [1] * count)
    after = owners(contents[1:], [1] * (count - 1))
    moved = [network for network in NETWORKS if before[network] != after[network]]
    assert all(before[network] == contents[0] for network in moved)
    assert len(moved) / len(NETWORKS) <= 1 / count + 0.01


def test_clients_are_shared_by_weight() -> None:
    found = Counter(owners(["a", "b", "c"], [1, 1, 2]).values())
    assert found["c"] / len(NETWORKS) == pytest.approx(0.5, abs=0.02)
    assert found["a"] / len(NETWORKS) == pytest.approx(0.25, abs=0.02)


def test_a_heavier_member_only_gains_clients() -> None:
    before = owners(["a", "b", "c"], [1, 1, 1])
    after = owners(["a", "b", "c"], [1, 1, 3])
    assert {after[n] for n in NETWORKS if before[n] != after[n]} == {"c"}


def test_scrambled_numbers_are_spread() -> None:
    buckets = Counter(scramble(number) >> 60 for number in range(16_000))
    assert len(buckets) == 16
    assert max(buckets.values()) < 1200
