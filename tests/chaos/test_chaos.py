"""Six minutes in which everything happens at random: no healthy target leaves an answer.

The seed is printed; DNSLB_CHAOS_SEED plays the same again.
"""

import asyncio
import os
import random
import secrets
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.scenes import ALWAYS, GONE, RESTARTS
from tests.chaos.stage import HEALTHY, INTERVAL, RATE, TIMEOUT, ZONE, Stage, staged
from tests.chaos.victims import Victim
from tests.rigs.processes import resident
from tests.rigs.waiting import passes

LASTS = float(os.environ.get("DNSLB_CHAOS_SECONDS", "360"))
PLAYERS = 3
"""Scenes at the same time."""

FALL = INTERVAL + TIMEOUT + INTERVAL
"""Seconds within which a target that falls ill has left the answers."""

SLACK = 1.5
"""Seconds more that a busy machine may take until the load sees it."""

SLOWEST = 0.1
"""Seconds that one answer in a thousand may exceed."""

SERVFAIL, BUSY = 2, 503
OUR_FAULT = -3

TOLERATED = 8.0
"""Megabytes that memory may grow by in the second half."""


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_whatever_happens_at_once_no_healthy_target_leaves_an_answer(tmp_path: Path) -> None:
    seed = int(os.environ.get("DNSLB_CHAOS_SEED") or secrets.randbits(32))
    print(f"DNSLB_CHAOS_SEED={seed}")  # noqa: T201 - whoever wants to see it again needs it
    async with staged(tmp_path, random.Random(seed)) as stage:
        began = time.monotonic()
        watch = Watch(stage)
        watching = asyncio.create_task(watch.run())
        await asyncio.gather(*(play(stage, began, random.Random(seed + n)) for n in range(PLAYERS)))
        for victim in stage.victims:
            await victim.get_well()
        await passes(FALL + SLACK)
        watching.cancel()
        # One that ended by itself saw nothing from then on.
        with suppress(asyncio.CancelledError):
            await watching
        assert stage.pdns.alive
        with stage.excuse(10):
            assert await stage.daemon.stop() == 0
    problems = [*missing(stage), *slow(stage), *watch.overstayed, *watch.growth(began)]
    assert not problems, "\n".join([f"DNSLB_CHAOS_SEED={seed}", *problems[:20], *stage.played])
    assert stage.observed.answered > 0.9 * RATE * LASTS


async def play(stage: Stage, began: float, chance: random.Random) -> None:
    """One scene after the other; restarts only in the first third, then memory is looked at."""
    while (lasted := time.monotonic() - began) < LASTS:
        scenes = ALWAYS + RESTARTS if lasted < LASTS / 3 else ALWAYS
        scene = chance.choice(scenes)
        stage.played.append(f"{lasted:.1f} {scene.__name__}")
        await scene(stage)
        await passes(chance.uniform(0, 1))


class Watch:
    """Looks four times a second whether a target that is ill still serves, and at memory."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._answers: dict[str, frozenset[str]] = {}
        self._read = 0
        self._memory: list[tuple[float, float]] = []
        self.overstayed: list[str] = []

    async def run(self) -> None:
        while True:
            await passes(0.25)
            changes = self._stage.observed.changes
            for change in changes[self._read :]:
                self._answers[change.name] = change.addresses
            self._read = len(changes)
            for number, victim in enumerate(self._stage.victims):
                await self._look(f"v{number}.{ZONE}", victim)
            with suppress(FileNotFoundError, RuntimeError):
                self._memory.append((time.monotonic(), resident(self._stage.daemon.pid)))

    async def _look(self, name: str, victim: Victim) -> None:
        since, now = victim.ill_since, time.monotonic()
        if since is None or now - since < FALL + SLACK:
            return
        if victim.host not in self._answers.get(name, ()) or self._was_excused(now):
            return
        if not await self._is_fault_of_ours(name, victim) and victim.ill_since == since:
            line = (
                f"{name}: {victim.host} serves {now - since:.1f} s after it fell ill ({victim.way})"
            )
            self.overstayed.append(line)

    def _was_excused(self, now: float) -> bool:
        """Whether the daemon stopped or stood still since the target should have been probed."""
        return any(ended > now - FALL - SLACK for _, ended in self._stage.excused)

    async def _is_fault_of_ours(self, name: str, victim: Victim) -> bool:
        """Whether the daemon reports one for this target; one that says nothing is no excuse."""
        with suppress(*GONE):
            code, status = await self._stage.daemon.get(f"/api/v1/status?name={name}")
            if code == BUSY:
                # Too many ask: the next look is a quarter of a second away.
                return True
            rows = [row for row in status["members"] if row["address"] == victim.host]
            return any(row["result_code"] == OUR_FAULT or row["stale"] for row in rows)
        return False

    def growth(self, began: float) -> list[str]:
        """Whether the least memory of the last third is more than that of the one before."""
        third = LASTS / 3
        parts = [
            [mb for at, mb in self._memory if start <= at - began < start + third]
            for start in (third, 2 * third)
        ]
        middle, last = min(parts[0]), min(parts[1])
        print(f"memory: {middle:.1f} MB, then {last:.1f} MB")  # noqa: T201 - a figure for people
        return [f"memory: {middle} MB, then {last} MB"] if last > middle + TOLERATED else []


def missing(stage: Stage) -> list[str]:
    """Answers without a healthy target, or with no answer at all, outside of stops and stalls."""
    found = []
    for at, name, rcode, addresses, _ in stage.observed.changes:
        kind, number = name[0], int(name[1 : name.index(".")])
        five = HEALTHY[5 * number : 5 * number + 5]
        expected = {"h": five, "v": [HEALTHY[number]], "w": ["*"]}[kind]
        is_stopped = rcode == SERVFAIL and stage.is_excused(at)
        if not addresses.issuperset(expected) and not is_stopped:
            found.append(f"{at:.2f} {name}: rcode {rcode}, {sorted(addresses)}")
    return found


def slow(stage: Stage) -> list[str]:
    """More than one answer in a thousand that took too long, outside of stops and stalls."""
    counted = [(at, took) for at, took in stage.observed.slow if not stage.is_excused(at)]
    late = [each for each in counted if each[1] > SLOWEST]
    of, worst = stage.observed.answered, max((took for _, took in counted), default=0.0)
    print(f"{of} answers, {len(late)} over {SLOWEST} s, worst {worst} s")  # noqa: T201 - for people
    return [f"{len(late)} of {of} slow: {late[:20]}"] if len(late) > of / 1000 else []
