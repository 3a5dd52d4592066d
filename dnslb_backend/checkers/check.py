"""What a check is, and how one execution of it is kept from harming anything but its own result."""

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from dnslb_backend.checkers.deadlines import within
from dnslb_backend.checkers.failures import verdict
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Result

OVERTIME = 2.0
"""How much longer (s) than its timeout a check may run that keeps the time itself."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a check is asked: an IP literal, and a port that overrides the check's own."""

    address: str
    port: int | None = None


class Check(BaseModel):
    """What is asked of an address. Hashable; two equal checks ask the same thing.

    A kind fixes `type` to its name(s) and stands in the registry.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    keeps_time: ClassVar[bool] = False
    """True where `ask` bounds the target by the timeout itself, because what it does after that
    (ending a command, searching an answer) must not count as the target's silence."""

    type: str

    @property
    def port_needed(self) -> bool:
        """True when the check names no port, so that the endpoint must."""
        return False

    @abstractmethod
    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        """Ask once, from scratch, giving the target `limit` seconds.

        Exceptions are translated by `failures.verdict`; a kind returns itself what only it knows.
        """

    @abstractmethod
    def describe(self, endpoint: Endpoint) -> str:
        """What is asked, in one line and without secrets: `GET http://192.0.2.1/health`."""


async def run_probe(
    check: Check,
    endpoint: Endpoint,
    limit: float,
    tools: Tools,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """One execution of the check: a value whatever happens; only CancelledError leaves it.

    The target has `limit` seconds, the record's timeout; a probe ends by then, and at most
    OVERTIME later if the check keeps the time itself.
    """
    started = clock()
    try:
        async with within(limit + OVERTIME if check.keeps_time else limit):
            result = await check.ask(endpoint, limit, tools)
    except Exception as error:  # noqa: BLE001 - the verdict logs what nobody expected
        result = verdict(error, limit)
    return replace(result, duration=clock() - started)
