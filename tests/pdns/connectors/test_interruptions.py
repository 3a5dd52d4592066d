"""The daemon is away or stalls for a while: SERVFAIL meanwhile, and right answers after it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.pdns.served import Connectors
from tests.pdns.transports import (
    COPROCESS,
    Settings,
    abi_settings,
    http_settings,
    pipe_settings,
    unix_settings,
)
from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import passes, until

QUEUE = {"max-queue-length": 1_000_000, "queue-limit": 10_000}

NAMES = 20

THREADS = 2

Interruption = Callable[[Connectors, float], Awaitable[None]]


def reached_over(kind: str, served: Connectors, seconds: float) -> Settings:
    """What PowerDNS is told to reach `served`, waiting `seconds` for an answer."""
    settings: Settings = {
        "unix": unix_settings(served.path),
        "http": http_settings(served.port),
        "pipe": pipe_settings(served.path),
        "abi5": abi_settings(COPROCESS + served.path, 5),
    }[kind]
    timeout = round(seconds * 1000)
    key = "remote-connection-string"
    if key in settings:
        return {**settings, key: f"{settings[key]},timeout={timeout}"}
    return {**settings, "pipe-timeout": timeout}


async def restart(served: Connectors, seconds: float) -> None:
    await served.stop()
    await passes(seconds)
    await served.start()


async def crash(served: Connectors, seconds: float) -> None:
    await served.kill()
    await passes(seconds)
    await served.start()


async def stall(served: Connectors, seconds: float) -> None:
    served.pause()
    await passes(seconds)
    served.resume()


@asynccontextmanager
async def asked_all_the_time(pdns: PowerDNS) -> AsyncIterator[set[str]]:
    """Some names are asked for again and again; what is not right is collected."""
    troubles: set[str] = set()
    is_over = asyncio.Event()

    async def ask(number: int) -> None:
        while not is_over.is_set():
            try:
                answer = await pdns.ask(f"n{number}.lb.example")
            except TimeoutError:
                troubles.add("no answer")
            else:
                if answer.rcode != "NOERROR" or answer.addresses != addresses(number):
                    troubles.add(f"{answer.rcode} {sorted(answer.addresses)}")

    async with asyncio.TaskGroup() as clients:
        for number in range(THREADS * 2):
            clients.create_task(ask(number))
        try:
            yield troubles
        finally:
            is_over.set()


def addresses(number: int) -> set[str]:
    return {f"10.1.{number}.{last}" for last in (1, 2, 3)}


async def all_is_right(pdns: PowerDNS) -> bool:
    answers = [await pdns.ask(f"n{number}.lb.example") for number in range(NAMES)]
    return all(a.addresses == addresses(number) for number, a in enumerate(answers))


@pytest.mark.parametrize("kind", ["pipe", "abi5"])
async def test_answers_are_right_again_within_a_timeout_of_powerdns(kind: str) -> None:
    await interrupted(kind, 0.5, [(crash, 0.3), (stall, 0.7), (stall, 1.2)])


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["pipe", "unix", "abi5", "http"])
@pytest.mark.parametrize("interrupt", [restart, crash, stall])
async def test_the_same_with_the_timeout_that_is_shipped(
    kind: str, interrupt: Interruption
) -> None:
    await interrupted(kind, 2, [(interrupt, seconds) for seconds in (0.5, 2, 2.8, 3.5, 5, 9)])


async def interrupted(
    kind: str, wait: float, interruptions: Sequence[tuple[Interruption, float]]
) -> None:
    """No wrong answer is given meanwhile, and afterwards all are given."""
    async with Connectors() as served:
        settings = {**reached_over(kind, served, wait), **QUEUE, "distributor-threads": THREADS}
        async with PowerDNS(settings) as pdns:
            for interrupt, seconds in interruptions:
                async with asked_all_the_time(pdns) as troubles:
                    await interrupt(served, seconds)
                    await until(lambda: all_is_right(pdns), within=10.0)
                assert await all_is_right(pdns)
                # The pipe backend drops some questions instead.
                assert troubles <= {"SERVFAIL []", "no answer"}
