"""Probes that only connect have no task; they say what one with a task says, and leave nothing."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tcp import TcpCheck
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.prober import Prober, ProbeRun
from dnslb_backend.clock import mono
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import CONNECTED, Code, Outcome, Result
from tests.rigs.ports import free_port
from tests.rigs.processes import descriptors
from tests.rigs.waiting import passes, until

LIMIT = 0.4


@pytest.fixture
async def prober(tools: CheckResources) -> AsyncIterator[Prober]:
    prober = Prober(tools)
    yield prober
    await prober.close()


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", backlog: int = 16) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=backlog) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port whose queue is full: whoever connects hears nothing."""
    with listening(backlog=0) as port, contextlib.ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def begin(prober: Prober, address: str, port: int) -> tuple[ProbeRun, asyncio.Future[ProbeRun]]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ProbeRun] = loop.create_future()
    check, target = TcpCheck(port=port), TargetKey(address, None, "tcp")
    return prober.start(check, target, LIMIT, loop.time(), ended.set_result), ended


async def connect(prober: Prober, address: str, port: int) -> Result:
    _, ended = begin(prober, address, port)
    return (await asyncio.wait_for(ended, 10)).result()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_connection_that_is_accepted_passes(prober: Prober, host: str) -> None:
    with listening(host) as port:
        result = await connect(prober, host, port)
    assert (result.outcome, result.text) == (Outcome.PASS, CONNECTED.text)
    assert 0 < result.duration < LIMIT


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "255.255.255.255"])
async def test_what_cannot_be_connected_is_the_same_with_a_task(
    prober: Prober, address: str
) -> None:
    port = free_port()
    result = await connect(prober, address, port)
    other = await prober.probe(TcpCheck(port=port), ProbeEndpoint(address), LIMIT)
    assert result.outcome is not Outcome.PASS
    assert result.lasting(0) == other.lasting(0)


async def test_silence_is_a_failure_when_time_is_up(prober: Prober) -> None:
    with silent() as port:
        result = await connect(prober, "127.0.0.1", port)
    assert (result.code, result.text) == (Code.TIMEOUT, f"no answer within {LIMIT} s")
    assert LIMIT * 0.9 < result.duration < LIMIT + 5


async def test_where_no_socket_can_be_opened_it_is_our_own_error(prober: Prober) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as port:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            _, ended = begin(prober, "127.0.0.1", port)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        result = (await asyncio.wait_for(ended, 10)).result()
        assert (result.outcome, result.text) == (Outcome.ERROR, "Too many open files")
        assert (await connect(prober, "127.0.0.1", port)).outcome is Outcome.PASS


async def test_one_that_is_cancelled_says_so_and_leaves_nothing(prober: Prober) -> None:
    with silent() as port:
        before = len(descriptors())
        run, ended = begin(prober, "127.0.0.1", port)
        assert len(descriptors()) == before + 1
        run.cancel()
        assert (await asyncio.wait_for(ended, 10)).cancelled()
        assert len(descriptors()) == before


async def test_one_that_gets_the_descriptor_of_a_cancelled_one_is_no_answer(
    prober: Prober,
) -> None:
    connector, found = prober.connector, list[str]()
    with contextlib.ExitStack() as stack:
        port, hung = stack.enter_context(listening()), stack.enter_context(silent())
        other = stack.enter_context(socket.socket())

        began = mono()

        def replace(_: Exception | None, at: float) -> None:
            found.append("first")
            # Takes the descriptor that the first one has left.
            stack.enter_context(other.dup())
            connector.cancel(second)
            third = connector.start("127.0.0.1", hung, at, LIMIT, lambda *_: found.append("third"))
            assert third.socket.fileno() == descriptor

        connector.start("127.0.0.1", port, began, LIMIT, replace)
        second = connector.start("127.0.0.1", port, began, LIMIT, lambda *_: found.append("second"))
        descriptor = second.socket.fileno()
        await until(lambda: found)
        await passes(0.2)
    assert found == ["first"]


async def test_each_ends_when_its_own_time_is_up(prober: Prober) -> None:
    found, began = list[tuple[float, str, float]](), mono()
    with silent() as port:
        for limit in (0.3, 0.1, 0.5, 0.1, 0.2):

            def ended(error: Exception | None, at: float, limit: float = limit) -> None:
                found.append((limit, type(error).__name__, at - began))

            prober.connector.start("127.0.0.1", port, began, limit, ended)
        await until(lambda: len(found) == 5)
    assert [limit for limit, _, _ in found] == [0.1, 0.1, 0.2, 0.3, 0.5]
    assert {name for _, name, _ in found} == {"TimeoutError"}
    assert all(took >= limit for limit, _, took in found)


async def test_what_one_of_them_breaks_ends_no_other(prober: Prober) -> None:
    found = list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append("broken"))

    def broken(*_: object) -> None:
        raise RuntimeError

    with silent() as hung, listening() as port:
        for where in (hung, port):
            prober.connector.start("127.0.0.1", where, mono(), 0.1, broken)
            prober.connector.start(
                "127.0.0.1", where, mono(), 0.1, lambda *_: found.append("ended")
            )
        await until(lambda: len(found) == 4)
    assert sorted(found) == ["broken", "broken", "ended", "ended"]


async def test_one_after_the_other_leaves_nothing(prober: Prober) -> None:
    with listening(backlog=500) as port:
        before = len(descriptors())
        found = await asyncio.gather(*(connect(prober, "127.0.0.1", port) for _ in range(200)))
        assert {result.text for result in found} == {CONNECTED.text}
        await until(lambda: len(descriptors()) == before)
