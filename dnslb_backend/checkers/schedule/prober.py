"""Runs one probe: the limit of what may start at once, the check, and stalls of this process."""

from collections.abc import Callable

from dnslb_backend import metrics
from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint, run_probe
from dnslb_backend.checkers.resources.deadlines import StallDetector
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.limiter import ProbeLimiter, probe_limit
from dnslb_backend.core.health.results import Code, Result, check_error


class Prober:
    """`mono` gives monotonic seconds. Made on the event loop that it is used on."""

    def __init__(self, resources: CheckResources, mono: Callable[[], float]) -> None:
        self._resources = resources
        self._mono = mono
        self._limiter = ProbeLimiter(probe_limit())
        self._stall_detector = StallDetector(mono)

    async def run(self) -> None:
        """Notice stalls of this process until cancelled."""
        await self._stall_detector.run()

    async def probe(
        self, check: Check, endpoint: ProbeEndpoint, limit: float, due: float | None = None
    ) -> Result:
        """The result, however long the probe waits for its start; `due` is when it was to start."""
        if check.asks_nobody:
            return await self._begin(check, endpoint, limit, due)
        async with self._limiter.permit(endpoint.address):
            return await self._begin(check, endpoint, limit, due)

    async def _begin(
        self, check: Check, endpoint: ProbeEndpoint, limit: float, due: float | None
    ) -> Result:
        began = self._mono()
        if due is not None:
            metrics.SCHEDULER_LAG.observe(max(began - due, 0.0))
        result = await run_probe(check, endpoint, limit, self._resources)
        if result.code == Code.TIMEOUT and self._stall_detector.stalled_since(began):
            stalled = check_error("this daemon stalled during the probe", is_stall=True)
            return stalled.lasting(result.duration)
        return result
