"""The two clocks of the system, read together or the monotonic one alone."""

import time

from dnslb_backend.core.health.clock import Instant

mono = time.monotonic
"""Seconds on the clock that asyncio's event loops run on."""


def now() -> Instant:
    """This moment on both."""
    return Instant(time.time(), mono())
