"""The two clocks of the system, read together."""

import time

from dnslb_backend.core.health.clock import Instant


def now() -> Instant:
    """This moment; `mono` is the clock that asyncio's event loops run on."""
    return Instant(time.time(), time.monotonic())
