"""The brake: no DOWN counts while our own network may be what failed.

    a target would go DOWN -> held -> a canary answers a probe begun after that -> applied
                                   -> no canary answers -> held, for at most `hold` seconds
                                                        -> one answers again -> probed again

Canaries are addresses that are up whenever our network is: routers, name servers, another site.
Any answer counts, a refusal too. When `hold` has passed without one, the DOWNs are applied, and
nothing more is held until a canary has answered again. A failure of a probe that began before
the canaries came back never counts: our network may have been its cause.
"""

import asyncio
import errno
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.network import AddressPort

log = logging.getLogger(__name__)

CANARY_TIMEOUT = 1.0
RETRY = 1.0
"""Seconds between two attempts at canaries that are silent."""


class Verdict(Enum):
    """What becomes of a result that would take a target down."""

    COUNT = auto()
    HOLD = auto()
    """It counts later, or not at all: `Brake.released` says."""
    DISCARD = auto()
    """Our network was down when its probe began: the target must be probed again."""


class Released(NamedTuple):
    """Results that count now, and targets that must be probed again, as theirs were discarded."""

    counted: Sequence[tuple[TargetKey, Result]] = ()
    discarded: Sequence[TargetKey] = ()


@dataclass(frozen=True, slots=True)
class BrakeStatus:
    """State of the brake. `since` is the monotonic time at which the canaries fell silent."""

    held: int
    since: float | None
    is_spent: bool
    canaries: int


class _Held(NamedTuple):
    result: Result
    at: float


class Brake:
    """Holds results until a canary answers. It has no canaries at first, and then holds nothing.

    `mono` gives monotonic seconds.
    """

    def __init__(self, mono: Callable[[], float]) -> None:
        self._canaries: Sequence[AddressPort] = ()
        self._hold = 0.0
        self._mono = mono
        self._held: dict[TargetKey, _Held] = {}
        self._silent_since: float | None = None
        self._back_at = -math.inf
        self._is_spent = False
        self._wanted = asyncio.Event()

    def status(self) -> BrakeStatus:
        return BrakeStatus(len(self._held), self._silent_since, self._is_spent, len(self._canaries))

    def judge(self, target: TargetKey, result: Result) -> Verdict:
        """What becomes of a result that would take a target down."""
        if not self._canaries or self._is_spent:
            return Verdict.COUNT
        if self._mono() - result.duration <= self._back_at:
            return Verdict.DISCARD
        self._held[target] = _Held(result, self._mono())
        self._wanted.set()
        return Verdict.HOLD

    def drop(self, target: TargetKey) -> None:
        """Forget what is held of a target: a later result counts, or no record uses it."""
        self._held.pop(target, None)

    def configure(self, canaries: Sequence[AddressPort], hold: float) -> Released:
        """Use other canaries from now on; without any, all that is held is released."""
        self._canaries, self._hold = canaries, hold
        if canaries:
            return Released()
        self._silent_since, self._is_spent = None, False
        return self._held_before(self._mono())

    async def released(self) -> Released:
        """What is held no longer; asks the canaries while anything is held, or none answers."""
        while True:
            while not self._held and self._silent_since is None:
                self._wanted.clear()
                await self._wanted.wait()
            released = await self._look()
            if released.counted or released.discarded:
                return released

    async def _look(self) -> Released:
        began = self._mono()
        is_answered = await self._any_answers()
        if not self._canaries:
            return Released()
        if is_answered:
            return self._canary_answered(began)
        if self._silent_since is None:
            self._silent_since = began
            log.error(
                "no canary answers: our own network may be down; holding %d DOWN for up to %g s",
                len(self._held),
                self._hold,
            )
        if not self._is_spent and self._mono() - self._silent_since >= self._hold:
            log.error("no canary for %g s: applying %d DOWN", self._hold, len(self._held))
            self._is_spent = True
            return self._held_before(self._mono())
        await asyncio.sleep(RETRY)
        return Released()

    def _canary_answered(self, began: float) -> Released:
        if self._silent_since is None:
            return self._held_before(began)
        self._back_at = self._mono()
        held, self._held = self._held, {}
        log.warning(
            "canaries answer again after %.1f s; probing %d targets again",
            self._back_at - self._silent_since,
            len(held),
        )
        self._silent_since, self._is_spent = None, False
        return Released(discarded=list(held))

    def _held_before(self, moment: float) -> Released:
        """Release what was held before a moment; later results need a later answer."""
        due = [target for target, held in self._held.items() if held.at <= moment]
        return Released(counted=[(target, self._held.pop(target).result) for target in due])

    async def _any_answers(self) -> bool:
        """Whether a canary answers now; ends with the first that does."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_answers(canary)) for canary in self._canaries]
            try:
                async with asyncio.timeout(CANARY_TIMEOUT):
                    for first in asyncio.as_completed(asked):
                        if await first:
                            return True
            except TimeoutError:
                return False
            finally:
                for task in asked:
                    task.cancel()
        return False


async def _answers(canary: AddressPort) -> bool:
    try:
        _, writer = await asyncio.open_connection(canary.host, canary.port)
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.ECONNRESET)
    writer.transport.abort()
    return True
