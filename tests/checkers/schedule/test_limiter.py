"""The limiter of probes that begin."""

import asyncio
import time

from dnslb_backend.checkers.schedule.limiter import (
    CATCH_UP,
    PER_ADDRESS,
    STARTS_PER_SLICE,
    WITHOUT_A_TASK,
    ProbeLimiter,
)
from tests.rigs.waiting import passes, until

HERE = "192.0.2.1"


async def test_a_turn_that_comes_late_makes_up_for_what_it_missed() -> None:
    gate, begun = ProbeLimiter(10_000), 0

    async def probe(number: int) -> None:
        nonlocal begun
        async with gate.permit(f"192.0.2.{number}"):
            begun += 1

    probes = [asyncio.create_task(probe(number)) for number in range(400)]
    await passes(0)
    await passes(0)
    assert begun == STARTS_PER_SLICE
    time.sleep(0.1)  # noqa: ASYNC251, TID251 - the event loop is busy with something else
    before = begun
    await until(lambda: begun > before)
    assert STARTS_PER_SLICE < begun - before <= CATCH_UP + STARTS_PER_SLICE
    await asyncio.gather(*probes)


async def test_probes_that_are_called_off_take_no_turn_from_those_that_wait() -> None:
    gate = ProbeLimiter(1000)
    leave = asyncio.Event()

    async def probe() -> None:
        async with gate.permit(HERE):
            await leave.wait()

    under_way = [asyncio.create_task(probe()) for _ in range(PER_ADDRESS)]
    waiting = [asyncio.create_task(probe()) for _ in range(PER_ADDRESS)]
    last = asyncio.create_task(probe())
    await until(lambda: gate._by_address.get(HERE) == PER_ADDRESS and len(gate._freed[HERE]) > 16)
    for task in under_way:
        task.cancel()
    # All of them give their room away, to those that are called off before they can take it.
    await passes(0)
    for task in waiting:
        task.cancel()
    leave.set()
    await asyncio.wait_for(last, 5)


async def test_what_needs_no_task_starts_although_others_wait_for_their_turn() -> None:
    gate, leave = ProbeLimiter(10_000), asyncio.Event()

    async def probe(number: int) -> None:
        async with gate.permit(f"192.0.2.{number}"):
            await leave.wait()

    probes = [asyncio.create_task(probe(number)) for number in range(2 * STARTS_PER_SLICE)]
    await passes(0)
    taken = [gate.try_acquire(f"198.51.100.{number}") for number in range(2 * WITHOUT_A_TASK)]
    assert sum(taken) >= WITHOUT_A_TASK
    leave.set()
    await asyncio.gather(*probes)


async def test_what_needs_no_task_leaves_room_for_those_that_wait() -> None:
    gate, leave = ProbeLimiter(2 * STARTS_PER_SLICE), asyncio.Event()

    async def probe(number: int) -> None:
        async with gate.permit(f"192.0.2.{number}"):
            await leave.wait()

    probes = [asyncio.create_task(probe(number)) for number in range(2 * STARTS_PER_SLICE)]
    await passes(0)
    assert not gate.try_acquire("198.51.100.1")
    leave.set()
    await asyncio.gather(*probes)
    assert gate.try_acquire("198.51.100.1")
