"""The brake: no DOWN is believed while our own network may be what failed.

    a target would go DOWN -> held -> a canary answers a probe begun after that -> applied
                                   -> no canary answers -> held, for at most `hold` seconds
                                                        -> one answers again -> asked anew

Canaries are addresses that are up whenever our network is: routers, name servers, another site.
Any answer counts, a refusal too. When `hold` has passed without one, the DOWNs are applied, and
nothing more is held until a canary has answered again. A failure of a probe that began before
the canaries came back never counts: it may say of our network what it seems to say of the target.
"""

import asyncio
import errno
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.network import AddressPort

log = logging.getLogger(__name__)

CANARY_TIMEOUT = 1.0
RETRY = 1.0
"""Seconds between two looks at canaries that are silent."""

Apply = Callable[[TargetKey, Result], None]
Retry = Callable[[TargetKey], None]


@dataclass(frozen=True, slots=True)
class BrakeStatus:
    """How the brake stands. `since` is the monotonic time at which the canaries fell silent."""

    held: int
    since: float | None
    is_spent: bool


class _Held(NamedTuple):
    result: Result
    at: float


class Brake:
    """Holds results until a canary vouches for our network. Without canaries it holds nothing.

    `apply` is called with every result that is let through, `retry` soon after with every target
    whose result was thrown away; times are monotonic.
    """

    def __init__(
        self,
        canaries: Sequence[AddressPort],
        hold: float,
        mono: Callable[[], float],
        apply: Apply,
        retry: Retry,
    ) -> None:
        self._canaries = canaries
        self._hold = hold
        self._mono = mono
        self._apply = apply
        self._retry = retry
        self._held: dict[TargetKey, _Held] = {}
        self._silent_since: float | None = None
        self._back_at = -math.inf
        self._is_spent = False
        self._wanted = asyncio.Event()

    def status(self) -> BrakeStatus:
        return BrakeStatus(len(self._held), self._silent_since, self._is_spent)

    def admits(self, target: TargetKey, result: Result) -> bool:
        """Whether a result that would take a target down counts at once.

        If not, it is held, or thrown away where our network was out of order when its probe began.
        """
        if not self._canaries or self._is_spent:
            return True
        if self._mono() - result.duration <= self._back_at:
            self._probe_again(target)
            return False
        self._held[target] = _Held(result, self._mono())
        self._wanted.set()
        return False

    def drop(self, target: TargetKey) -> None:
        """Forget what is held of a target: it has been heard of since, or nobody asks for it."""
        self._held.pop(target, None)

    def configure(self, canaries: Sequence[AddressPort], hold: float) -> None:
        """Go on with other canaries; without any, what is held is let through."""
        self._canaries, self._hold = canaries, hold
        if not canaries:
            self._silent_since, self._is_spent = None, False
            self._release_results(self._mono())

    async def run(self) -> None:
        """Ask the canaries while anything is held or none answers; lives until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            # Targets that answer again may leave nothing held before a canary was asked.
            while self._held or self._silent_since is not None:
                await self._look()

    async def _look(self) -> None:
        began = self._mono()
        is_answered = await self._any_answers()
        if not self._canaries:
            return
        if is_answered:
            self._canary_answered(began)
            return
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
            self._release_results(self._mono())
        await asyncio.sleep(RETRY)

    def _canary_answered(self, began: float) -> None:
        if self._silent_since is None:
            self._release_results(began)
            return
        self._back_at = self._mono()
        held, self._held = self._held, {}
        log.warning(
            "canaries answer again after %.1f s; asking %d targets anew",
            self._back_at - self._silent_since,
            len(held),
        )
        self._silent_since, self._is_spent = None, False
        for target in held:
            self._probe_again(target)

    def _probe_again(self, target: TargetKey) -> None:
        asyncio.get_running_loop().call_soon(self._retry, target)

    def _release_results(self, before: float) -> None:
        """Apply what was held before a moment; what came later needs a later word."""
        for target, held in list(self._held.items()):
            if held.at <= before:
                del self._held[target]
                self._apply(target, held.result)

    async def _any_answers(self) -> bool:
        """Whether a canary answers now; ends with the first that does."""
        tasks = {asyncio.create_task(_answers(canary)) for canary in self._canaries}
        try:
            async with asyncio.timeout(CANARY_TIMEOUT):
                for first in asyncio.as_completed(tasks):
                    if await first:
                        return True
        except TimeoutError:
            return False
        finally:
            for task in tasks:
                task.cancel()
        return False


async def _answers(canary: AddressPort) -> bool:
    try:
        _, writer = await asyncio.open_connection(canary.host, canary.port)
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.ECONNRESET)
    writer.transport.abort()
    return True
