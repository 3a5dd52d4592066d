"""Who is how fast: all contestants in one run, in turns, so that they share the same weather."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.contestants import Contestant
from tests.bench.load import Latency, Run, full_speed, steady

WARM_UP = 0.5


class Standing(NamedTuple):
    """What one contestant did: its median rate, all runs together, and its latency."""

    name: str
    kind: str
    rate: float
    rates: list[float]
    sent: int
    lost: int
    failed: int
    latency: Latency


async def compare(
    contestants: Sequence[Contestant], queries: Path, *, rounds: int, seconds: float
) -> list[Standing]:
    """Every contestant in every round; all of them are there all the time, and idle meanwhile."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    latencies = {}
    async with AsyncExitStack() as stack:
        servers = {}
        for contestant in contestants:
            _say(f"starting {contestant.name}")
            servers[contestant.name] = await stack.enter_async_context(contestant.open())
        for number in range(rounds):
            for name, pdns in servers.items():
                await full_speed(pdns, queries, WARM_UP)
                run = await full_speed(pdns, queries, seconds)
                _say(f"round {number + 1}: {name}: {run.rate:,.0f} q/s")
                runs[name].append(run)
        for name, pdns in servers.items():
            # A third of what it can do; beyond 10,000 the client itself would be measured.
            rate = min(10_000, int(median(run.rate for run in runs[name]) / 3))
            latencies[name] = await steady(pdns, queries, seconds, rate)
    return [
        Standing(
            contestant.name,
            contestant.kind,
            median(run.rate for run in runs[contestant.name]),
            [run.rate for run in runs[contestant.name]],
            sum(run.sent for run in runs[contestant.name]),
            sum(run.lost for run in runs[contestant.name]),
            sum(run.failed for run in runs[contestant.name]),
            latencies[contestant.name],
        )
        for contestant in contestants
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
