"""The watchdog of the service manager, kept alive while the event loop and the scheduler run."""

import asyncio
import logging
from collections.abc import Callable

from dnslb_backend.systemd import Notifier

log = logging.getLogger(__name__)

LONGEST_SWEEP = 10.0
"""Seconds without a sweep of the check scheduler after which it counts as stuck."""


async def feed_watchdog(notifier: Notifier, idle: Callable[[], float]) -> None:
    """Send keep-alives as often as the service manager wants them, until cancelled.

    `idle` returns the seconds since the check scheduler made progress. While it is stuck, none is
    sent, as none is when the event loop is: the service manager then restarts the daemon.
    """
    interval = notifier.watchdog_interval
    while interval is not None:
        await asyncio.sleep(interval)
        if idle() < LONGEST_SWEEP:
            notifier.watchdog()
        else:
            log.error("check scheduler is stuck; withholding watchdog keep-alive")
