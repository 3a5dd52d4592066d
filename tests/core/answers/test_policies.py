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
def test_a_pick_has_as_many_as_it_can_each_once(weights: list[int], count: int, seed: int) -> None:
    picked = Weighted(weights, count).pick(seed)
    usable = sum(weight > 0 for weight in effective_weights(weights))
    assert len(picked) == len(set(picked)) == min(count, usable)
    assert picked == Weighted(weights, count).pick(seed)


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


def test_scrambling_is_that_of_splitmix64() -> None:
    """All nodes give a client the same members, whatever version each runs."""
    step = 0x9E3779B97F4A7C15
    assert [scramble(step * number % 2**64) for number in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_clients_keep_their_members_over_an_upgrade() -> None:
    policy = Sticky(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], [1, 1, 2, 0], 2)
    assert [policy.pick((4, 0xC00002 + number)) for number in range(8)] == [
        (0, 1),
        (1, 2),
        (1, 2),
        (0, 1),
        (1, 2),
        (0, 2),
        (1, 2),
        (1, 2),
    ]
    assert [policy.pick((6, number)) for number in range(4)] == [(0, 2), (0, 1), (1, 2), (0, 2)]


@pytest.mark.parametrize("weights", [[1, 2, 1], [0, 3, 1], [4], [0, 0, 0, 0], [-3, 1, 0, 3]])
def test_each_member_has_exactly_its_share_of_seeds(weights: list[int]) -> None:
    shares = effective_weights(weights)
    owners = [index for index, weight in enumerate(shares) for _ in range(weight)]
    assert len(owners) == 4
    for quarter, owner in enumerate(owners):
        for seed in (quarter << 62, (quarter << 62) + 1, ((quarter + 1) << 62) - 1):
            assert Weighted(weights, 1).pick(seed) == (owner,)


@pytest.mark.parametrize(
    ("weights", "effective"),
    [([1, 2], [1, 2]), ([0, 2], [0, 2]), ([-1, 2], [0, 2]), ([0, 0], [1, 1]), ([-1, 0], [1, 1])],
)
def test_weights_below_zero_are_zero_and_all_zero_is_equal(
    weights: list[int], effective: list[int]
) -> None:
    assert effective_weights(weights) == effective


@pytest.mark.parametrize(
    ("weights", "count", "is_open"),
    [([1, 1], 1, True), ([1, 1], 2, False), ([1, 0], 1, False), ([0, 0], 1, True), ([1], 5, False)],
)
def test_a_pick_is_open_if_another_seed_may_pick_others(
    weights: list[int], count: int, is_open: bool
) -> None:
    policy = Weighted(weights, count)
    assert policy.is_open is is_open
    assert (len({policy.pick(scramble(seed)) for seed in range(100)}) > 1) is is_open


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.integers(1, 9),
    st.integers(0, 2**24),
)
def test_a_client_gets_as_many_as_it_can_each_once_and_no_weight_zero(
    weights: list[int], count: int, network: int
) -> None:
    picked = Sticky([f"192.0.2.{index}" for index in range(len(weights))], weights, count).pick(
        (4, network)
    )
    usable = {index for index, weight in enumerate(effective_weights(weights)) if weight > 0}
    assert list(picked) == sorted(set(picked))
    assert set(picked) <= usable
    assert len(picked) == min(count, len(usable))


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**24))
def test_of_more_members_a_client_keeps_those_it_would_have_of_fewer(
    members: int, count: int, network: int
) -> None:
    contents = [f"192.0.2.{index}" for index in range(members)]
    fewer = Sticky(contents, [1] * members, count).pick((4, network))
    more = Sticky(contents, [1] * members, count + 1).pick((4, network))
    assert set(fewer) <= set(more)


def test_of_several_random_members_the_heavier_come_more_often() -> None:
    policy = Weighted([1, 1, 8], 2)
    picked = Counter(policy.pick(scramble(seed)) for seed in range(4000))
    # Out is the one that both leave: 8/10 x 1/2 + 1/10 x 8/9, once for each of the light ones.
    for light in (0, 1):
        share = picked[(light, 2)] / 4000
        assert share == pytest.approx(8 / 10 * 1 / 2 + 1 / 10 * 8 / 9, abs=0.03)
