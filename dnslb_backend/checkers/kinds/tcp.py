"""`tcp`: a connection is accepted, and optionally the target says what it should."""

import asyncio
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.deadlines import until
from dnslb_backend.checkers.failures import ProbeError, no_answer
from dnslb_backend.checkers.parameters import Port, Regexp
from dnslb_backend.checkers.reading import Output, ReadableCheck
from dnslb_backend.checkers.template import bracketed
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, passed

RECEIVE_LIMIT = 64 * 1024
FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.25
"""Seconds between two looks at an answer that comes in many small pieces."""


class TcpCheck(ReadableCheck):
    """Connects; with `send`, says it; with `expect`, listens until that was said or time is up."""

    keeps_time: ClassVar[bool] = True

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

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        port = port_of(self.port, endpoint)
        if not self.send and not self.expect:
            async with until(deadline):
                transport, _ = await loop.create_connection(
                    asyncio.Protocol, endpoint.address, port
                )
            transport.abort()
            return passed("connected")
        async with until(deadline):
            reader, writer = await asyncio.open_connection(endpoint.address, port)
        try:
            if self.send:
                writer.write(self.send.encode())
                async with until(deadline):
                    await writer.drain()
            if not self.expect:
                return passed("connected")
            return await self._listen(reader, deadline, limit, tools)
        finally:
            writer.transport.abort()

    def describe(self, endpoint: Endpoint) -> str:
        port = endpoint.port or self.port or "?"
        asked = f"TCP {bracketed(endpoint.address)}:{port}"
        return f"{asked} expect {self.expect!r}" if self.expect else asked

    async def _listen(
        self, reader: asyncio.StreamReader, deadline: float, limit: float, tools: Tools
    ) -> Result:
        received = bytearray()
        result: Result | None = None
        pause = 0.0
        while True:
            try:
                async with until(deadline):
                    # Each look searches all that came: not once for every byte of a slow sender.
                    await asyncio.sleep(pause)
                    data = await reader.read(RECEIVE_LIMIT + 1 - len(received))
            except TimeoutError:
                return result or no_answer(limit)
            received += data
            text = received[:RECEIVE_LIMIT].decode("utf-8", "ignore")
            output = Output(text, cut=len(received) > RECEIVE_LIMIT)
            result = await self.judge(output, tools, expect=self.expect, text=one_line(text))
            if result.code != Code.NO_MATCH or output.cut or not data:
                return result
            pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * pause))


def port_of(port: int | None, endpoint: Endpoint) -> int:
    """The endpoint's port, else the check's; raises ProbeError if neither names one."""
    chosen = endpoint.port or port
    if chosen is None:
        raise ProbeError("no port to connect to: set port, or check_port of the destination")
    return chosen
