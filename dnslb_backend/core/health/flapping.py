"""Which members of a record flap, whether damping holds them or not."""

from collections import deque

WINDOW = 900.0
"""Seconds in which the changes of a member are counted."""

FLIPS = 6
"""A member flaps that has changed so often between UP and DOWN within the window."""


class Flips:
    """The latest changes of each member between UP and DOWN, by content; Unix times."""

    def __init__(self) -> None:
        self._flips: dict[str, deque[float]] = {}

    def add(self, content: str, wall: float) -> None:
        self._flips.setdefault(content, deque(maxlen=FLIPS)).append(wall)

    def flapping(self, wall: float) -> int:
        """How many members flap now."""
        for content, flips in list(self._flips.items()):
            if wall - flips[-1] > WINDOW:
                del self._flips[content]
        return sum(
            len(flips) == FLIPS and wall - flips[0] <= WINDOW for flips in self._flips.values()
        )
