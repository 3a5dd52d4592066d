"""Changes of health reach answers, stores, log and operators: at once, and none is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from dnslb_backend.core.health.changes import NO_CHANGES, Changes
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.daemon.change_publisher import RECORDS_AT_ONCE, ChangePublisher
from tests.core.building import KEY, Driver, at, record
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
    publisher = ChangePublisher(driver.health_map.take_in_parts, stages)
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


async def test_many_changes_are_published_in_parts_with_turns_for_others() -> None:
    keys = [KEY._replace(name=f"n{number}.{KEY.zone}") for number in range(300)]
    driver = Driver(*(record(A, key=key) for key in keys))
    seen: list[Changes] = []
    turns: list[int] = []
    async with at_work(driver, seen.append) as publisher:
        for key in keys:
            driver.health_map.close_cycle(key, at(1))

        async def count_turns() -> None:
            while True:
                turns.append(len(seen))
                await passes(0)

        counting = asyncio.create_task(count_turns())
        publisher.notify()
        await until(lambda: sum(len(changes.answers) for changes in seen) == len(keys))
        counting.cancel()
    assert len(seen) == 300 / RECORDS_AT_ONCE
    assert set(turns) >= set(range(1, len(seen)))
    assert all(len(changes.answers) == RECORDS_AT_ONCE for changes in seen)
    assert frozenset[RecordKey]().union(*(changes.answers for changes in seen)) == set(keys)


async def test_results_of_many_records_are_decided_in_parts() -> None:
    keys = [KEY._replace(name=f"n{number}.{KEY.zone}") for number in range(300)]
    driver = Driver(*(record(f"10.0.{n >> 8}.{n & 255}", key=key) for n, key in enumerate(keys)))
    for key in keys:
        driver.health_map.close_cycle(key, at(1))
    driver.health_map.take_changes()
    known: list[int] = []

    def count_known(_: Changes) -> None:
        records = driver.health_map.records.values()
        known.append(sum(state.rows[0].state.health is Health.UP for state in records))

    async with at_work(driver, count_known) as publisher:
        for key in keys:
            (target,) = driver.health_map.targets_of(key)
            driver.health_map.record(driver.health_map.observe(target, PASS, at(2)))
        publisher.notify()
        await until(lambda: known and known[-1] == len(keys))
    steps = [after - before for before, after in pairwise([0, *known])]
    assert 0 < max(steps) <= RECORDS_AT_ONCE


async def test_parts_after_one_that_failed_are_published_later() -> None:
    keys = [KEY._replace(name=f"n{number}.{KEY.zone}") for number in range(300)]
    driver = Driver(*(record(A, key=key) for key in keys))
    stage = Stage()
    stage.is_broken = True
    async with at_work(driver, stage) as publisher:
        for key in keys:
            driver.health_map.close_cycle(key, at(1))
        publisher.notify()
        await until(lambda: stage.attempts > 0)
        stage.is_broken = False
        publisher.notify()
        await until(lambda: stage.published.answers == set(keys))


async def test_a_change_after_very_many_waits_for_no_more_than_a_part_of_them_took() -> None:
    began: list[float] = []

    def take(limit: int) -> Iterator[Changes]:
        began.append(time.monotonic())
        return iter([NO_CHANGES] * 200)

    async def be_busy() -> None:
        while True:
            time.sleep(0.005)  # noqa: ASYNC251, TID251 - others on the event loop have work, too
            await passes(0)

    publisher = ChangePublisher(take, ())
    tasks = [asyncio.create_task(each) for each in (publisher.run(), be_busy())]
    publisher.notify()
    await until(lambda: began)
    publisher.notify()
    await until(lambda: len(began) == 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The first ones took a second, all of it in others.
    assert began[1] - began[0] < 3
