"""Very many connections that end in one moment leave turns of the event loop to lookups."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dnslb_backend.checkers.resources.connector import Connector
from tests.rigs.waiting import until

MANY = 100
WORK = 0.001
"""Seconds that the end of each connection takes."""


class Turns:
    """Counts the turns of the event loop, and how many connections ended in each."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self.ended = Counter[int]()
        self.errors: list[Exception | None] = []
        self._turn()

    def _turn(self) -> None:
        self._number += 1
        if self.ended.total() < MANY:
            self._loop.call_soon(self._turn)

    def end(self, error: Exception | None, at: float) -> None:
        self.ended[self._number] += 1
        self.errors.append(error)
        while time.monotonic() < at + WORK * self.ended[self._number]:
            pass


@contextmanager
def full_listener() -> Iterator[tuple[str, int]]:
    """A listener that takes no more connections: they wait until they are given up."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        address = listener.getsockname()
        with closing(socket.create_connection(address)):
            yield address


async def test_connections_that_time_out_at_once_end_over_several_turns() -> None:
    with full_listener() as (host, port), closing(Connector()) as connector:
        turns, began = Turns(), time.monotonic()
        for _ in range(MANY):
            connector.start(host, port, began, 0.05, turns.end)
        await until(lambda: turns.ended.total() == MANY)
        assert all(isinstance(error, TimeoutError) for error in turns.errors)
        assert max(turns.ended.values()) <= 3


async def test_connections_that_are_accepted_at_once_end_over_several_turns() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=MANY)
    with closing(listener), closing(Connector()) as connector:
        turns, began, (host, port) = Turns(), time.monotonic(), listener.getsockname()
        for _ in range(MANY):
            connector.start(host, port, began, 5.0, turns.end)
        await until(lambda: turns.ended.total() == MANY)
        assert turns.errors == [None] * MANY
        assert max(turns.ended.values()) <= MANY / 4


async def test_connections_that_were_accepted_are_no_timeouts_of_a_busy_daemon() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=MANY)
    with closing(listener), closing(Connector()) as connector:
        turns, began, (host, port) = Turns(), time.monotonic(), listener.getsockname()
        for _ in range(MANY):
            connector.start(host, port, began, 0.05, turns.end)
        time.sleep(0.1)  # noqa: ASYNC251, TID251 - the event loop is busy with something else
        await until(lambda: turns.ended.total() == MANY)
        assert turns.errors == [None] * MANY


async def test_the_deadline_of_one_outlives_the_end_of_another_limit() -> None:
    with full_listener() as (host, port), closing(Connector()) as connector:
        turns, began = Turns(), time.monotonic()
        for limit in (0.2, 0.05, 0.1):
            connector.start(host, port, began, limit, turns.end)
        await until(lambda: turns.ended.total() == 3)
        assert time.monotonic() - began >= 0.2
