"""Points in time, handed to the core by its callers."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One moment on both clocks, in seconds.

    `wall` is Unix time and is shown to people; it may jump. `mono` never jumps and is what
    every duration is measured with.
    """

    wall: float
    mono: float
