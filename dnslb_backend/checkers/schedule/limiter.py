"""The limiter: how many probes may start at once, and how many may be under way.

Starting thousands of probes in one moment, as the first check cycles of a large configuration
would, would stop the event loop, and with it the lookups. So a few start in every slice of time,
and the others queue. A probe that waits for an answer costs nothing, so that many more may be under
way; only the file descriptors limit those.
"""

import asyncio
from collections import deque

from dnslb_backend.sockets import LISTENERS, connection_limit, file_limit

STARTS_PER_SLICE = 32
START_SLICE = 0.002
"""At most STARTS_PER_SLICE probes start every START_SLICE seconds; a start takes time as well."""

CATCH_UP = 128
"""At most so many begin at once, to make up for slices that a busy event loop has missed."""

WITHOUT_A_TASK = 128
"""At most so many start in a slice besides: they cost a third. Were there none for them, they would
need a task as well, and a node that is late would become later."""

PER_ADDRESS = 16
"""Probes of one address that may be under way."""

RESERVED_FILES = 128
"""File descriptors of this process that are neither connections of listeners nor probes."""

FEWEST = 16


class ProbeLimiter:
    """Lets probes begin. Not thread-safe; made on the event loop that it is used on."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._by_address: dict[str, int] = {}
        self._freed: dict[str, deque[asyncio.Future[None]]] = {}
        self._under_way = 0
        self._begun = 0
        self._begun_at_once = 0
        self._slice_began = 0.0
        self._pump: asyncio.TimerHandle | None = None

    def permit(self, address: str) -> "Permit":
        """`async with` it: waits for a turn; leaving the block makes room for others."""
        return Permit(self, address)

    def try_acquire(self, address: str) -> bool:
        """Take a turn, which `release` must end, if there is one at once; for what starts
        without a task. It leaves room for those that wait."""
        under_way = self._by_address.get(address, 0)
        if under_way >= PER_ADDRESS or self._under_way + len(self._waiting) >= self._limit:
            return False
        self._open_slice()
        if self._begun_at_once >= WITHOUT_A_TASK:
            return False
        self._begun_at_once += 1
        self._by_address[address] = under_way + 1
        self._under_way += 1
        return True

    async def acquire(self, address: str) -> None:
        """Wait for a turn, which `release` must end."""
        await self._wait_for_address(address)
        try:
            await self._wait_for_batch()
        except BaseException:
            self._leave_address(address)
            raise
        self._under_way += 1

    def release(self, address: str) -> None:
        self._under_way -= 1
        self._leave_address(address)

    async def _wait_for_address(self, address: str) -> None:
        while self._by_address.get(address, 0) >= PER_ADDRESS:
            turn: asyncio.Future[None] = self._loop.create_future()
            self._freed.setdefault(address, deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # Woken and cancelled in one moment: the room is for the next.
                if not turn.cancelled():
                    self._wake(address)
                raise
        self._by_address[address] = self._by_address.get(address, 0) + 1

    def _leave_address(self, address: str) -> None:
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]
        if self._freed:
            self._wake(address)

    def _wake(self, address: str) -> None:
        waiting = self._freed.get(address)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        if waiting is not None and not waiting:
            del self._freed[address]

    async def _wait_for_batch(self) -> None:
        if self._take_turn():
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        if self._pump is None:
            self._pump = self._loop.call_later(START_SLICE, self._release)
        await turn

    def _take_turn(self) -> bool:
        """Whether one more may start now, and nobody else waits for that."""
        if self._waiting or self._under_way >= self._limit:
            return False
        self._open_slice()
        if self._begun >= STARTS_PER_SLICE:
            return False
        self._begun += 1
        return True

    def _open_slice(self) -> None:
        now = self._loop.time()
        if now - self._slice_began >= START_SLICE:
            self._begin_slice(now)

    def _begin_slice(self, now: float) -> None:
        self._slice_began = now
        self._begun = self._begun_at_once = 0

    def _release(self) -> None:
        """A slice has ended: let in those who have waited longest, for all slices that passed."""
        now = self._loop.time()
        passed = (now - self._slice_began) / START_SLICE
        turns = max(STARTS_PER_SLICE, min(int(STARTS_PER_SLICE * passed), CATCH_UP))
        self._begin_slice(now)
        room = self._limit - self._under_way
        while self._waiting and self._begun < min(turns, room):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begun += 1
        self._pump = None
        if self._waiting:
            self._pump = self._loop.call_later(START_SLICE, self._release)


class Permit:
    """A probe under way, as an asynchronous context manager."""

    # No generator: thousands of probes a second pass through here.
    __slots__ = ("_address", "_limiter")

    def __init__(self, limiter: ProbeLimiter, address: str) -> None:
        self._limiter = limiter
        self._address = address

    async def __aenter__(self) -> None:
        await self._limiter.acquire(self._address)

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release(self._address)


def probe_limit() -> int:
    """How many probes may be under way: what the process may open, with some left for others."""
    return max(file_limit() - LISTENERS * connection_limit() - RESERVED_FILES, FEWEST)
