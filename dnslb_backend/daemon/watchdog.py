"""The watchdog of the service manager, fed while the event loop and the rounds go on."""

import asyncio
import logging
from collections.abc import Callable

from dnslb_backend.systemd import Notifier

log = logging.getLogger(__name__)

LONGEST_SWEEP = 10.0
"""Seconds without a sweep of the rounds after which they count as stuck."""


async def feed_watchdog(notifier: Notifier, idle: Callable[[], float]) -> None:
    """Tell the service manager that we live, as often as it wants to hear it, until cancelled.

    `idle` are the seconds since the rounds made their last progress. While they are stuck it is
    told nothing, as it is when the event loop is; it ends us then, and starts us anew.
    """
    interval = notifier.watchdog_interval
    while interval is not None:
        await asyncio.sleep(interval)
        if idle() < LONGEST_SWEEP:
            notifier.watchdog()
        else:
            log.error("the rounds stand still: the watchdog is not fed")
