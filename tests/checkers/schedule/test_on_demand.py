"""On-demand probes: simultaneous calls share a probe, and no target is probed too often."""

import asyncio

import pytest

from dnslb_backend.checkers.schedule.on_demand import OnDemandProbes
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result, passed
from tests.rigs.waiting import until

ONE, OTHER = (TargetKey(address, None, "check") for address in ("192.0.2.1", "192.0.2.2"))
SPACING = 0.2


class Probe:
    """Counts how often it was run; each run takes until it is let go."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Result:
        self.begun.append(asyncio.get_running_loop().time())
        await self.may_end.wait()
        return passed(f"run {len(self.begun)}")


async def test_simultaneous_calls_share_one_probe() -> None:
    probes, probe, other = OnDemandProbes(SPACING), Probe(), Probe()
    probe.may_end.clear()
    asked = [asyncio.create_task(probes.result(ONE, probe)) for _ in range(50)]
    # Another target has nothing to do with it.
    assert (await probes.result(OTHER, other)).text == "run 1"
    assert len(probe.begun) == 1
    probe.may_end.set()
    assert {result.text for result in await asyncio.gather(*asked)} == {"run 1"}


async def test_repeated_calls_wait_between_probes() -> None:
    probes, probe = OnDemandProbes(SPACING), Probe()
    texts = [(await probes.result(ONE, probe)).text for _ in range(3)]
    assert texts == ["run 1", "run 2", "run 3"]
    gaps = [after - before for before, after in zip(probe.begun, probe.begun[1:], strict=False)]
    assert min(gaps) >= SPACING * 0.9


async def test_a_call_that_is_cancelled_takes_nothing_from_the_others() -> None:
    probes, probe = OnDemandProbes(SPACING), Probe()
    probe.may_end.clear()
    first, second = (asyncio.create_task(probes.result(ONE, probe)) for _ in range(2))
    await until(lambda: probe.begun)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    probe.may_end.set()
    assert (await second).text == "run 1"


async def test_nothing_is_remembered_for_long() -> None:
    probes, probe = OnDemandProbes(spacing=0), Probe()
    for number in range(100):
        await probes.result(TargetKey(f"192.0.2.{number}", None, "check"), probe)
    assert len(probes._latest) <= 2


async def test_close_ends_a_probe_that_hangs() -> None:
    probes, probe = OnDemandProbes(SPACING), Probe()
    probe.may_end.clear()
    asked = asyncio.create_task(probes.result(ONE, probe))
    await until(lambda: probe.begun)
    await probes.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
