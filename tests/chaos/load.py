"""A load of questions to a name server (asker.py), and what it saw."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.rigs.child import ROOT


class Change(NamedTuple):
    """Another answer than before: when it was asked for (monotonic), and how long it took."""

    at: float
    name: str
    rcode: int
    addresses: frozenset[str]
    took: float


@dataclass(slots=True)
class Observed:
    """What the load saw: changes of answers, and answers that were slow, by the time of asking."""

    changes: list[Change] = field(default_factory=list)
    slow: list[tuple[float, float]] = field(default_factory=list)
    answered: int = 0
    lost: int = 0


@asynccontextmanager
async def asking(
    server: tuple[str, int], rate: int, names: Sequence[str], observed: Observed
) -> AsyncIterator[None]:
    """Ask `server` for `names`, `rate` questions a second in all, until the end of the block."""
    host, port = server
    words = ["tests.chaos.asker", host, str(port), str(rate), *names]
    async with helper(words) as process:
        reading = asyncio.create_task(_read(process, observed))
        try:
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await reading


async def _read(process: Process, observed: Observed) -> None:
    assert process.stdout is not None
    async for text in process.stdout:
        line = json.loads(text)
        if "name" in line:
            found = frozenset(line["addresses"])
            change = Change(line["at"], line["name"], line["rcode"], found, line["took"])
            observed.changes.append(change)
        else:
            observed.slow += [(asked, took) for asked, took in line["slow"]]
            observed.answered += line["answered"]
            observed.lost += line["lost"]


@asynccontextmanager
async def helper(words: list[str], *, wait_for: bytes = b"") -> AsyncIterator[Process]:
    """`python -m` with these words, killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=1 << 24
    )
    try:
        if wait_for:
            assert process.stdout is not None
            assert await process.stdout.readline() == wait_for
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
