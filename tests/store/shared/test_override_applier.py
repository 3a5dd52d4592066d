"""When overrides begin and end to be in force."""

import asyncio

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.store.shared.override_applier import CLOCK_CHECK, OverrideApplier
from tests.rigs.waiting import until

ENDS = 1_800_000_000.0


async def test_one_that_ends_between_two_looks_at_the_clock_ends_then() -> None:
    """Each look is a millisecond later than the one before; it ends between the first two."""
    walls = iter(ENDS - 0.0005 + number / 1000 for number in range(10_000))
    applied: list[tuple[Override, ...]] = []
    applier = OverrideApplier("ns1", lambda: Instant(next(walls), 0.0), applied.append)
    applier.table.add(Override("1", "*", Action.DRAIN, created=ENDS - 2, expires=ENDS))
    watching = asyncio.create_task(applier.watch())
    await until(lambda: applied and not applied[-1], within=CLOCK_CHECK / 2, what="its end")
    watching.cancel()
