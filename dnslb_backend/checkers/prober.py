"""Runs one probe: the limit of what may begin at once, the check, and our own standing still."""

from collections.abc import Callable
from dataclasses import replace

from dnslb_backend import metrics
from dnslb_backend.checkers.check import Check, Endpoint, run_probe
from dnslb_backend.checkers.gate import Gate, probe_limit
from dnslb_backend.checkers.stalls import StallWatch
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, fault


class Prober:
    """`mono` gives monotonic seconds. Made on the event loop that it is used on."""

    def __init__(self, tools: Tools, mono: Callable[[], float]) -> None:
        self._tools = tools
        self._mono = mono
        self._gate = Gate(probe_limit())
        self._stalls = StallWatch(mono)

    async def run(self) -> None:
        """Notice when this process stands still; live until cancelled."""
        await self._stalls.run()

    async def probe(
        self, check: Check, endpoint: Endpoint, limit: float, due: float | None = None
    ) -> Result:
        """The result, however long it takes to get a turn; `due` is when it was to begin."""
        if check.asks_nobody:
            return await self._begin(check, endpoint, limit, due)
        async with self._gate.entered(endpoint.address):
            return await self._begin(check, endpoint, limit, due)

    async def _begin(
        self, check: Check, endpoint: Endpoint, limit: float, due: float | None
    ) -> Result:
        began = self._mono()
        if due is not None:
            metrics.SCHEDULER_LAG.observe(max(began - due, 0.0))
        result = await run_probe(check, endpoint, limit, self._tools)
        if result.code == Code.TIMEOUT and self._stalls.stood_still_since(began):
            stalled = fault("this daemon stood still during the probe")
            return replace(stalled, duration=result.duration)
        return result
