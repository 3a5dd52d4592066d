"""Points in time, which callers pass in."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One moment on both clocks, in seconds.

    `wall` is Unix time, for display and storage; it may jump. `mono` never jumps and measures
    every duration.
    """

    wall: float
    mono: float
