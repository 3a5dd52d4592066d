"""The base class of checks, and the execution of one probe, whose errors become its result."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from dnslb_backend.checkers.resources.classify import ProbeError, classify_exception
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.model.quorum import QuestionKind

SECRETS = {"password", "password_file", "token", "token_file", "send"}
"""Parameters that are secret, may hold one, or say where one is."""

OVERTIME = 30.0
"""Seconds after its timeout when a check that manages the timeout itself is stopped: more than the
limits of starting commands on a busy machine and searching answers."""


class ProbeEndpoint(NamedTuple):
    """The address to probe: an IP literal, and a port that overrides the check's own."""

    address: str
    port: int | None = None


class Check(BaseModel):
    """A health check of an address. Hashable; equal checks probe the same thing.

    A kind fixes `type` to its name(s), and is in the registry.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    manages_timeout: ClassVar[bool] = False
    """True where `probe` bounds the target by the timeout itself, because what it does after that
    (ending a command, searching an answer) must not count against the target."""

    asks_nobody: ClassVar[bool] = False
    """True where `probe` sends nothing: such probes need no slot, and may all begin at once."""

    question: ClassVar[QuestionKind] = QuestionKind.PROBED
    """Whether other nodes can answer it as well."""

    type: str

    @property
    def port_needed(self) -> bool:
        """True when the check names no port, so that the endpoint must."""
        return False

    def connect_port(self, port: int | None) -> int | None:
        """The port of an endpoint with that one, where a connection that it accepts is all that is
        asked for: then the result is CONNECTED, and `probe` need not be called."""
        return None

    @abstractmethod
    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        """Ask once, from scratch, giving the target `limit` seconds.

        Exceptions are translated by `classify_exception`; a kind returns itself what only it knows.
        """

    def asked(self) -> dict[str, Any]:
        """The kind and its parameters without secrets: other nodes may know a hash of it."""
        return self.model_dump(exclude=SECRETS)

    @abstractmethod
    def describe(self, endpoint: ProbeEndpoint) -> str:
        """What is asked, in one line and without secrets: `GET http://192.0.2.1/health`."""


async def run_probe(
    check: Check,
    endpoint: ProbeEndpoint,
    limit: float,
    resources: CheckResources,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """One execution of the check: a value whatever happens; only CancelledError leaves it.

    The target has `limit` seconds, the record's timeout. A check that manages the
    timeout itself may take longer if this machine is slow to start it, or to evaluate the answer.
    """
    started = clock()
    try:
        if check.manages_timeout:
            result = await _trusted(check.probe(endpoint, limit, resources), limit)
        else:
            async with within(limit):
                result = await check.probe(endpoint, limit, resources)
    except Exception as error:  # noqa: BLE001 - classify_exception logs what is unexpected
        result = classify_exception(error, limit, endpoint.address)
    return result.lasting(clock() - started)


async def _trusted(answer: Coroutine[None, None, Result], limit: float) -> Result:
    """The last resort for a check that exceeds its timeout: a check error, not a failure."""
    scope = asyncio.timeout(limit + OVERTIME)
    try:
        async with scope:
            return await answer
    except TimeoutError:
        if scope.expired():
            raise ProbeError(f"check did not end within {OVERTIME:g} s after its timeout") from None
        raise
