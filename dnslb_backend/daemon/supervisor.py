"""Keeps the tasks of the daemon running: one that fails is logged, counted and restarted."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from dnslb_backend.component_log import ComponentLog
from dnslb_backend.metrics import Component

RESTART_PAUSE = 1.0
"""Seconds before a service that failed is restarted."""


class BackgroundService(NamedTuple):
    """What runs for as long as the daemon does; exceptions count for `component`."""

    name: str
    component: Component
    run: Callable[[], Coroutine[Any, Any, None]]


async def supervise(service: BackgroundService) -> None:
    """Run a service until it returns, and restart it after an unhandled exception."""
    log = ComponentLog(__name__, service.component)
    while True:
        try:
            await service.run()
            return
        except Exception:
            log.exception(
                "unhandled exception in %s; restarting in %g s", service.name, RESTART_PAUSE
            )
        await asyncio.sleep(RESTART_PAUSE)
