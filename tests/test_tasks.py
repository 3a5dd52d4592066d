"""Tasks that nothing awaits still have an owner: it logs, counts, and ends them."""

import asyncio

import pytest

from dnslb_backend.tasks import BackgroundTasks
from tests.rigs.waiting import passes, until
from tests.test_metrics import value


def errors() -> float:
    return value("dnslb_errors_total", component="resolver")


async def fail(error: Exception) -> None:
    raise error


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def test_an_exception_that_no_one_awaits_is_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks, before = BackgroundTasks("resolver"), errors()
    tasks.start(fail(RuntimeError("out of order")), "drain")
    await until(lambda: not len(tasks))
    assert errors() == before + 1
    [record] = caplog.records
    assert "drain" in record.getMessage()
    assert "out of order" in caplog.text


async def test_an_exception_of_shared_work_belongs_to_its_callers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks, before = BackgroundTasks("resolver"), errors()
    task = tasks.share(fail(RuntimeError("out of order")))
    with pytest.raises(RuntimeError):
        await task
    assert errors() == before
    assert not caplog.records


async def test_close_cancels_what_runs_and_waits_for_its_end() -> None:
    tasks, ended = BackgroundTasks("resolver"), list[str]()
    for _ in range(3):
        tasks.start(forever(ended), "waits")
    await passes(0)
    # One of them has not had its first turn yet.
    tasks.share(forever(ended))
    await tasks.close()
    assert len(ended) == 3
    assert not len(tasks)


async def test_wait_lets_what_runs_end_by_itself() -> None:
    tasks, may_end = BackgroundTasks("resolver"), asyncio.Event()
    task = tasks.start(may_end.wait(), "waits")
    may_end.set()
    await tasks.wait()
    assert task.result() is True
