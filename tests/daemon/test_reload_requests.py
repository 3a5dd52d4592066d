"""Requests for a reload: each is served by one that begins after it, and answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dnslb_backend.admin.control import ReloadReport
from dnslb_backend.daemon.reload_requests import ReloadRequests
from dnslb_backend.errors import ConfigError, ConfigProblem, ConflictError, UnavailableError
from tests.rigs.waiting import passes, until


class Reload:
    """Reloads that take until they may end; each reports its number as the count of records."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> ReloadReport:
        self.begun += 1
        number = self.begun
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return ReloadReport(number, 0, 0)


@asynccontextmanager
async def serving(reload: Reload) -> AsyncIterator[ReloadRequests[ReloadReport]]:
    requests = ReloadRequests[ReloadReport]()
    work = asyncio.create_task(requests.serve(reload))
    try:
        yield requests
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_requests_that_come_during_a_reload_share_the_next_one() -> None:
    reload = Reload()
    async with serving(reload) as requests:
        first = asyncio.create_task(requests.request())
        await until(lambda: reload.begun)
        others = [asyncio.create_task(requests.request()) for _ in range(3)]
        await passes(0)
        requests.submit()
        reload.may_end.set()
        assert (await first).records == 1
        assert {(await other).records for other in others} == {2}
        assert reload.begun == 2


async def test_a_reload_that_fails_is_answered_and_the_next_one_runs() -> None:
    reload = Reload()
    reload.may_end.set()
    async with serving(reload) as requests:
        for error in (ConfigError([]), RuntimeError("out of order")):
            reload.error = error
            with pytest.raises(type(error)):
                await requests.request()
        reload.error = None
        assert (await requests.request()).records == 3


async def test_a_refused_reload_is_shown_until_one_succeeds() -> None:
    reload = Reload()
    reload.may_end.set()
    async with serving(reload) as requests:
        assert requests.detail() is None
        problems = [ConfigProblem("dnslb.toml", "zones", text) for text in ("first", "second")]
        for error, problem, count in (
            (ConfigError(problems), "dnslb.toml: zones: first", 2),
            (UnavailableError("too slow"), "too slow", 1),
            (RuntimeError(), "RuntimeError", 1),
        ):
            reload.error = error
            with pytest.raises(type(error)):
                await requests.request()
            shown = requests.detail()
            assert isinstance(shown, dict)
            assert 0 <= shown.pop("refused_for") < 60
            assert shown == {"problem": problem, "problems": count}
        reload.error = None
        await requests.request()
        assert requests.detail() is None


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    reload = Reload()
    async with serving(reload) as requests:
        leaving, staying = (asyncio.create_task(requests.request()) for _ in range(2))
        await until(lambda: reload.begun)
        leaving.cancel()
        reload.may_end.set()
        assert (await staying).records == 1


async def test_requests_end_when_the_daemon_stops() -> None:
    reload = Reload()
    async with serving(reload) as requests:
        running = asyncio.create_task(requests.request())
        await until(lambda: reload.begun)
        queued = asyncio.create_task(requests.request())
        await passes(0)
    for request in (running, queued, requests.request()):
        with pytest.raises(ConflictError, match="stopping"):
            await request
