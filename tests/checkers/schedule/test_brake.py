"""The brake, with canaries that are real listeners."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest

from dnslb_backend.checkers.schedule.brake import (
    Brake,
    BrakeStatus,
    Verdict,
)
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result, failed
from dnslb_backend.network import AddressPort
from tests.rigs.waiting import until

TARGET = TargetKey("192.0.2.1", None, "check")
FALL = failed(1, "no")


class Bench:
    """A brake at work, and what it has released."""

    def __init__(self, canaries: list[AddressPort], hold: float) -> None:
        self.applied: asyncio.Queue[tuple[TargetKey, Result]] = asyncio.Queue()
        self.asked: asyncio.Queue[TargetKey] = asyncio.Queue()
        self.brake = Brake(asyncio.get_running_loop().time)
        self.brake.configure(canaries, hold)

    async def run(self) -> None:
        while True:
            released = await self.brake.released()
            for counted in released.counted:
                self.applied.put_nowait(counted)
            for target in released.discarded:
                self.asked.put_nowait(target)

    async def is_engaged(self) -> bool:
        return self.brake.status().since is not None


@asynccontextmanager
async def bench(*canaries: AddressPort, hold: float = 60) -> AsyncIterator[Bench]:
    found = Bench(list(canaries), hold)
    work = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        work.cancel()


@contextmanager
def silent() -> Iterator[tuple[socket.socket, AddressPort]]:
    """A canary that accepts nobody: its backlog is full, so that connecting to it hangs."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        canary = AddressPort(*listener.getsockname())
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(canary)
        yield listener, canary


async def test_without_canaries_everything_counts_at_once() -> None:
    async with bench() as it:
        assert it.brake.judge(TARGET, FALL) is Verdict.COUNT


async def test_a_fall_counts_once_a_canary_has_answered() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server, bench(AddressPort(*server.sockets[0].getsockname())) as it:
        assert it.brake.judge(TARGET, FALL) is Verdict.HOLD
        assert await it.applied.get() == (TARGET, FALL)
        assert it.brake.status().held == 0


async def test_a_refusal_is_an_answer_too() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        canary = AddressPort(*closed.getsockname())
        async with bench(canary) as it:
            it.brake.judge(TARGET, FALL)
            assert await it.applied.get() == (TARGET, FALL)


async def test_falls_are_held_while_no_canary_answers_and_probed_again_when_one_does() -> None:
    with silent() as (listener, canary):
        async with bench(canary) as it:
            it.brake.judge(TARGET, FALL)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await it.applied.get()
            assert it.brake.status().since is not None
            listener.close()
            assert await it.asked.get() == TARGET
            assert it.brake.status() == BrakeStatus(0, None, is_spent=False, canaries=1)
            assert it.applied.empty()


async def test_a_probe_of_the_silence_that_fails_after_it_says_nothing_of_its_target() -> None:
    with silent() as (listener, canary):
        async with bench(canary) as it:
            it.brake.judge(TARGET, FALL)
            await until(it.is_engaged, what="engaged")
            listener.close()
            assert await it.asked.get() == TARGET
            begun_before = FALL._replace(duration=60.0)
            assert it.brake.judge(TARGET, begun_before) is Verdict.DISCARD
            it.brake.judge(TARGET, FALL)
            assert await it.applied.get() == (TARGET, FALL)
            assert it.asked.empty()


async def test_it_is_released_also_when_all_that_was_held_has_answered_by_itself() -> None:
    with silent() as (listener, canary):
        async with bench(canary) as it:
            it.brake.judge(TARGET, FALL)

            async def is_released() -> bool:
                return not await it.is_engaged()

            await until(it.is_engaged, what="engaged")
            it.brake.drop(TARGET)
            listener.close()
            await until(is_released, what="released")
            assert it.applied.empty()


async def test_after_hold_they_are_applied_and_nothing_more_is_held() -> None:
    with silent() as (_, canary):
        async with bench(canary, hold=0.1) as it:
            it.brake.judge(TARGET, FALL)
            assert await it.applied.get() == (TARGET, FALL)
            assert it.brake.status().is_spent
            assert it.brake.judge(TARGET, FALL) is Verdict.COUNT


async def test_what_is_dropped_is_never_applied() -> None:
    other = TARGET._replace(address="192.0.2.2")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server, bench(AddressPort(*server.sockets[0].getsockname())) as it:
        it.brake.judge(TARGET, FALL)
        it.brake.drop(TARGET)
        it.brake.judge(other, FALL)
        assert await it.applied.get() == (other, FALL)


async def test_without_canaries_any_more_what_is_held_is_let_through() -> None:
    with silent() as (_, canary):
        async with bench(canary) as it:
            it.brake.judge(TARGET, FALL)
            assert it.brake.configure([], 60).counted == [(TARGET, FALL)]
