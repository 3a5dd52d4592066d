"""Policies: which of the serving members are picked for an answer.

Randomness is an argument: a `seed` is an integer of 64 bits, the same for all lookups of one
query. A member of weight 0 is not picked while any other has more; if all have 0, all are equal.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate

_MASK = 2**64 - 1


class Weighted:
    """Picks at random without replacement, in proportion to the weights."""

    def __init__(self, weights: Sequence[int], count: int) -> None:
        self._weights = effective_weights(weights)
        self._count = min(count, sum(weight > 0 for weight in self._weights))
        self._sums = list(accumulate(self._weights))

    @property
    def is_open(self) -> bool:
        """Whether another seed may pick other members."""
        return sum(weight > 0 for weight in self._weights) > self._count

    def pick(self, seed: int) -> tuple[int, ...]:
        """The indexes picked, ascending."""
        if self._count == 1:
            return (bisect_right(self._sums, seed * self._sums[-1] >> 64),)
        # Exponential races: the smallest arrival times of rates `weight` (Efraimidis, Spirakis).
        arrivals: list[tuple[float, int]] = []
        for index, weight in enumerate(self._weights):
            if weight > 0:
                seed = scramble(seed)
                arrivals.append((-math.log((seed + 1) / 2**64) / weight, index))
        arrivals.sort()
        return tuple(sorted(index for _, index in arrivals[: self._count]))


class Sticky:
    """Rendezvous hashing: a client network keeps its members for as long as they serve.

    When a member leaves, only its clients move, spread over the others by weight; when one joins,
    it takes its share of clients and no other client moves.
    """

    def __init__(self, contents: Sequence[str], weights: Sequence[int], count: int) -> None:
        effective = effective_weights(weights)
        self._members = [
            (index, _number(content.encode()), weight)
            for index, (content, weight) in enumerate(zip(contents, effective, strict=True))
            if weight > 0
        ]
        self._count = min(count, len(self._members))

    def pick(self, network: tuple[int, int]) -> tuple[int, ...]:
        """The indexes picked for a client network, ascending."""
        seed = _number(b"%d/%d" % network)
        scores = [
            (-math.log((scramble(seed ^ number) + 1) / 2**64) / weight, index)
            for index, number, weight in self._members
        ]
        if self._count < 2:
            return (min(scores)[1],)
        scores.sort()
        return tuple(sorted(index for _, index in scores[: self._count]))


def effective_weights(weights: Sequence[int]) -> list[int]:
    """The weights that count: negative ones are 0, and if all are 0, all are 1."""
    found = [max(weight, 0) for weight in weights]
    return found if any(found) else [1] * len(found)


def _number(text: bytes) -> int:
    """A hash of 64 bits that is the same on every node and after every restart."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def scramble(number: int) -> int:
    """A well mixed number of 64 bits from another (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
