"""`tcp`: the target accepts a connection and, optionally, sends the expected text."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import Port, Regexp
from dnslb_backend.checkers.resources.classify import ProbeError, no_answer
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.deadlines import until
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import CONNECTED, Result
from dnslb_backend.network import bracketed

RECEIVE_LIMIT = 64 * 1024

QUIET = 0.1
"""Seconds without a byte after which an answer that does not end in a line feed is judged."""

LINES = 32
"""Lines that are evaluated one by one as they arrive; later ones, in a pause or at the end."""


class TcpCheck(OutputCheck):
    """Connects; sends `send`; with `expect`, reads until it matches or time is up."""

    manages_timeout: ClassVar[bool] = True

    type: Literal["tcp"] = "tcp"
    port: Port | None = None
    send: str = ""
    expect: Regexp = ""

    @model_validator(mode="after")
    def _listens_for_something(self) -> Self:
        if not self.expect and (self.priority or self.weight):
            raise ValueError("priority and weight are read from the answer: expect is needed")
        return self

    @property
    def port_needed(self) -> bool:
        return self.port is None

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        port = port_of(self.port, endpoint)
        deadline = asyncio.get_running_loop().time() + limit
        async with contextlib.AsyncExitStack() as stack:
            async with until(deadline):
                connection = await stack.enter_async_context(connected(endpoint.address, port))
                if self.send:
                    await connection.send(self.send.encode())
            if not self.expect:
                return CONNECTED
            return await self._listen(connection, deadline, limit, resources)

    def connect_port(self, port: int | None) -> int | None:
        return None if self.send or self.expect else port or self.port

    def describe(self, endpoint: ProbeEndpoint) -> str:
        port = endpoint.port or self.port or "?"
        asked = f"TCP {bracketed(endpoint.address)}:{port}"
        return f"{asked} expect {self.expect!r}" if self.expect else asked

    async def _listen(
        self, connection: TargetConnection, deadline: float, limit: float, resources: CheckResources
    ) -> Result:
        """Evaluate the answer as it grows: at the end of each line, in a pause, and at its end.

        Packet boundaries do not matter: `prio=5` may be the start of `prio=50`.
        """
        answer = _Received()
        while not answer.ended:
            await answer.grow(connection, deadline)
            for output in answer.moments(lines_only=self.reads_numbers):
                text = one_line(output.text)
                result = await self.judge_part(output, resources, expect=self.expect, text=text)
                if result is not None:
                    return result
        if answer.timed_out and not answer.received:
            return no_answer(limit)
        output = answer.output(len(answer.received))
        return await self.evaluate(
            output, resources, expect=self.expect, text=one_line(output.text)
        )


class _Received:
    """The data received so far, and the points at which it may be evaluated."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = False
        self.timed_out = False
        self._paused = False
        self._judged = 0
        self._lines = 0

    async def grow(self, connection: TargetConnection, deadline: float) -> None:
        """Wait for more, for a pause, or for the end."""
        pause = min(asyncio.get_running_loop().time() + QUIET, deadline)
        try:
            async with until(pause):
                data = await connection.read()
        except TimeoutError:
            self._paused = True
            self.ended = self.timed_out = pause == deadline
            return
        self._paused = False
        self.received += data
        self.ended = not data or len(self.received) > RECEIVE_LIMIT

    def moments(self, *, lines_only: bool) -> Iterator[Output]:
        """The parts to evaluate now; with `lines_only` none that ends within a line."""
        while self._lines < LINES and (end := self.received.find(b"\n", self._judged) + 1):
            self._lines += 1
            self._judged = end
            yield self.output(end)
        whole = self.received.endswith(b"\n") or not lines_only
        if self._paused and whole and self._judged < len(self.received):
            self._judged = len(self.received)
            yield self.output(self._judged)

    def output(self, end: int) -> Output:
        text = self.received[: min(end, RECEIVE_LIMIT)].decode("utf-8", "ignore")
        return Output(text, cut=end > RECEIVE_LIMIT)


def port_of(port: int | None, endpoint: ProbeEndpoint) -> int:
    """The endpoint's port, else the check's; raises ProbeError if neither names one."""
    chosen = endpoint.port or port
    if chosen is None:
        raise ProbeError("no port to connect to: set port, or check_port of the destination")
    return chosen
