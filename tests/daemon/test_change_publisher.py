"""Changes of health reach answers, stores, log and operators: at once, and none is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from dnslb_backend.core.health.changes import NO_CHANGES, Changes
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.daemon.change_publisher import ChangePublisher
from tests.core.building import KEY, Driver, record
from tests.rigs.waiting import passes, until
from tests.test_metrics import value

A, B = "192.0.2.1", "192.0.2.2"
PASS, FAIL = passed(), failed(1, "no")


class Stage:
    """A stage that keeps what it was given, except while it is broken."""

    def __init__(self) -> None:
        self.published = NO_CHANGES
        self.is_broken = False
        self.attempts = 0

    def __call__(self, changes: Changes) -> None:
        self.attempts += 1
        if self.is_broken:
            raise RuntimeError("out of order")
        self.published = self.published.followed_by(changes)

    def moves(self) -> list[tuple[str, str]]:
        return [(each.address, each.to_health) for each in self.published.transitions]


@asynccontextmanager
async def at_work(
    driver: Driver, *stages: Callable[[Changes], None]
) -> AsyncIterator[ChangePublisher]:
    driver.health_map.take_changes()
    publisher = ChangePublisher(driver.health_map.take_changes, stages)
    work = asyncio.create_task(publisher.run())
    await passes(0)
    try:
        yield publisher
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def known() -> Driver:
    driver = Driver(record(A, B))
    driver.round({A: PASS, B: PASS})
    return driver


def errors() -> float:
    return value("dnslb_errors_total", component="publisher")


async def test_a_change_is_published_in_the_next_turn_of_the_event_loop() -> None:
    driver, answers, log = known(), Stage(), Stage()
    async with at_work(driver, answers, log) as publisher:
        driver.hear(A, FAIL)
        publisher.notify()
        # One turn wakes the task, the next one runs it.
        for _ in range(2):
            await passes(0)
        assert answers.published.answers == {KEY}
        assert log.moves() == [(A, "DOWN")]


async def test_changes_of_one_turn_are_published_together() -> None:
    driver, answers = known(), Stage()
    async with at_work(driver, answers) as publisher:
        for address in (A, B):
            driver.hear(address, FAIL)
            publisher.notify()
        await until(lambda: answers.moves() == [(A, "DOWN"), (B, "DOWN")])
        assert answers.attempts == 1


async def test_changes_that_cannot_be_published_come_with_the_next_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver, answers, store, log = known(), Stage(), Stage(), Stage()
    before = errors()
    async with at_work(driver, answers, store, log) as publisher:
        store.is_broken = True
        driver.hear(A, FAIL)
        publisher.notify()
        await until(lambda: store.attempts)
        # What comes before the fault has it, what comes after it does not.
        assert answers.moves() == [(A, "DOWN")]
        assert log.moves() == []
        assert errors() == before + 1
        assert "out of order" in caplog.text
        store.is_broken = False
        driver.hear(B, FAIL)
        publisher.notify()
        await until(lambda: len(log.moves()) == 2)
    assert answers.moves() == store.moves() == log.moves() == [(A, "DOWN"), (B, "DOWN")]
    assert store.published.answers == {KEY}


async def test_changes_that_cannot_be_published_are_retried_without_further_ones() -> None:
    driver, answers, log = known(), Stage(), Stage()
    async with at_work(driver, answers, log) as publisher:
        answers.is_broken = True
        driver.hear(A, FAIL)
        publisher.notify()
        await until(lambda: answers.attempts == 2)
        answers.is_broken = False
        await until(lambda: log.moves() == [(A, "DOWN")])
        assert answers.published.answers == {KEY}


async def test_without_changes_nothing_is_published_again() -> None:
    driver, answers = known(), Stage()
    async with at_work(driver, answers) as publisher:
        publisher.notify()
        await until(lambda: answers.attempts == 1)
        driver.hear(A, FAIL)
        publisher.notify()
        await until(lambda: answers.attempts == 2)
        assert answers.moves() == [(A, "DOWN")]
