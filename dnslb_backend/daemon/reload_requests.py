"""Requests for a reload, by operators and by signals, that one task serves one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dnslb_backend.clock import now
from dnslb_backend.errors import ConfigError, ConflictError

Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class RefusedReload:
    """A reload that failed: its first problem, and how many there are; `at` is monotonic time."""

    problem: str
    count: int
    at: float


class ReloadRequests(Generic[Report]):
    """Every request is served by a reload that begins after it; several may share one.

    A report is what a reload, or the preview of one, returns.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[Report]] = []
        self._wanted = asyncio.Event()
        self._is_stopped = False
        self._refused: RefusedReload | None = None

    def detail(self) -> object:
        """What /readyz shows of the last reload; None unless it was refused."""
        if self._refused is None:
            return None
        return {
            "problem": self._refused.problem,
            "problems": self._refused.count,
            "refused_for": round(now().mono - self._refused.at, 1),
        }

    def submit(self) -> None:
        """Reload, and report the outcome in the log alone."""
        self._wanted.set()

    async def request(self) -> Report:
        """Reload; raises what the reload raises, and ConflictError where the daemon stops."""
        if self._is_stopped:
            raise _stopping()
        waiting: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._wanted.set()
        return await waiting

    async def serve(self, reload: Callable[[], Awaitable[Report]]) -> None:
        """Run `reload`, which logs its own failures, for every request until cancelled."""
        waiting: list[asyncio.Future[Report]] = []
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                waiting, self._waiting = self._waiting, []
                await self._reload_for(waiting, reload)
        finally:
            self._is_stopped = True
            _fail([*waiting, *self._waiting], _stopping())

    async def _reload_for(
        self, waiting: Iterable[asyncio.Future[Report]], reload: Callable[[], Awaitable[Report]]
    ) -> None:
        try:
            report = await reload()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked for it get it
            self._refused = _refusal(error)
            _fail(waiting, error)
        else:
            self._refused = None
            for each in waiting:
                if not each.done():
                    each.set_result(report)


def _refusal(error: Exception) -> RefusedReload:
    problems = error.problems if isinstance(error, ConfigError) else [error]
    first = next((str(problem) for problem in problems), "") or type(error).__name__
    return RefusedReload(first, len(problems), now().mono)


def _fail(waiting: Iterable[asyncio.Future[Report]], error: Exception) -> None:
    for each in waiting:
        if not each.done():
            each.set_exception(error)


def _stopping() -> ConflictError:
    return ConflictError("the daemon is stopping")
