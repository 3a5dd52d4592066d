"""Runs probes: the limit of what may start at once, the check, and stalls of this process."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from dnslb_backend import metrics
from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint, run_probe
from dnslb_backend.checkers.resources.classify import classify_exception
from dnslb_backend.checkers.resources.connector import ConnectionAttempt, Connector
from dnslb_backend.checkers.resources.deadlines import StallDetector
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.limiter import ProbeLimiter, probe_limit
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import CONNECTED, Code, Result, check_error
from dnslb_backend.tasks import BackgroundTasks


class ProbeRun(Protocol):
    """A probe under way, like a task: once it is done it has a result, or was cancelled."""

    def cancel(self) -> object: ...

    def cancelled(self) -> bool: ...

    def result(self) -> Result: ...


class Prober:
    """Made on the event loop that it is used on."""

    def __init__(self, resources: CheckResources) -> None:
        self._resources = resources
        self.limiter = ProbeLimiter(probe_limit())
        self._stall_detector = StallDetector(time.monotonic)
        self._tasks = BackgroundTasks("check")
        self.connector = Connector()

    async def run(self) -> None:
        """Notice stalls of this process until cancelled."""
        await self._stall_detector.run()

    async def close(self) -> None:
        """Cancel every probe that is a task, and wait for its end; others must be over."""
        await self._tasks.close()
        self.connector.close()

    def start(
        self,
        check: Check,
        target: TargetKey,
        limit: float,
        due: float,
        done: Callable[[ProbeRun], None],
    ) -> ProbeRun:
        """Begin a probe that was to start at `due`, or have it wait for its start; `done` is called
        later, also after `cancel`."""
        port = check.connect_port(target.port)
        if port is not None and self.limiter.try_acquire(target.address):
            return _Connecting(self, target.address, port, limit, due, done)
        endpoint = ProbeEndpoint(target.address, target.port)
        task = self._tasks.share(self.probe(check, endpoint, limit, due))
        task.add_done_callback(done)
        return task

    async def probe(
        self, check: Check, endpoint: ProbeEndpoint, limit: float, due: float | None = None
    ) -> Result:
        """The result, however long the probe waits for its start; `due` is when it was to start."""
        if check.asks_nobody:
            return await self._begin(check, endpoint, limit, due)
        async with self.limiter.permit(endpoint.address):
            return await self._begin(check, endpoint, limit, due)

    async def _begin(
        self, check: Check, endpoint: ProbeEndpoint, limit: float, due: float | None
    ) -> Result:
        began = time.monotonic()
        if due is not None:
            metrics.count_start(began - due)
        return self.without_stall(await run_probe(check, endpoint, limit, self._resources), began)

    def without_stall(self, result: Result, began: float) -> Result:
        """The result of a probe that began then; a timeout during a stall is none."""
        if result.code == Code.TIMEOUT and self._stall_detector.stalled_since(began):
            stalled = check_error("this daemon stalled during the probe", is_stall=True)
            return stalled.lasting(result.duration)
        return result


class _Connecting:
    """A probe that only connects, without a task."""

    __slots__ = ("_address", "_began", "_connection", "_done", "_limit", "_prober", "_result")

    def __init__(
        self,
        prober: Prober,
        address: str,
        port: int,
        limit: float,
        due: float,
        done: Callable[[ProbeRun], None],
    ) -> None:
        self._prober = prober
        self._address = address
        self._limit = limit
        self._done: Callable[[ProbeRun], None] | None = done
        self._result: Result | None = None
        self._began = began = time.monotonic()
        metrics.count_start(began - due)
        self._connection: ConnectionAttempt | None = None
        try:
            self._connection = prober.connector.start(address, port, began, limit, self._ended)
        except Exception as error:  # noqa: BLE001 - classify_exception logs what is unexpected
            asyncio.get_running_loop().call_soon(self._ended, error, began)

    def cancel(self) -> None:
        if (done := self._done) is not None:
            self._done = None
            if self._connection is not None:
                self._prober.connector.cancel(self._connection)
            self._prober.limiter.release(self._address)
            asyncio.get_running_loop().call_soon(done, self)

    def cancelled(self) -> bool:
        return self._result is None

    def result(self) -> Result:
        assert self._result is not None
        return self._result

    def _ended(self, error: Exception | None, at: float) -> None:
        if (done := self._done) is None:
            return
        self._done = self._connection = None
        self._prober.limiter.release(self._address)
        if error is None:
            self._result = CONNECTED.lasting(at - self._began)
        else:
            result = classify_exception(error, self._limit, self._address)
            result = result.lasting(at - self._began)
            self._result = self._prober.without_stall(result, self._began)
        done(self)
