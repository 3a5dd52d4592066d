"""Searches texts and reads files outside of the event loop, each within a limit of time.

Two worker processes search: the fast lane, where everything begins and nothing may take long, and
the slow lane for what once took long there. So a regular expression that explodes on hostile output
holds up others of its like only.

| a search | whose fault |
|---|---|
| uses up the processor time of the slow lane | the target's: its text did it |
| wants too much memory | the target's as well |
| does not get the processor, waits for too long, loses its worker | ours |
"""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.file_reader import FileReader, FileText
from dnslb_backend.checkers.resources.helper_process import EndedError, HelperProcess, Message
from dnslb_backend.core.health.results import Code

T = TypeVar("T")

SCRIPT = Path(__file__).with_name("text_worker.py")

FAST_LIMIT = 0.05
SLOW_LIMIT = 0.5
"""Seconds of processor time."""

FAST_WAIT = 1.0
SLOW_WAIT = 5.0
"""A worker that has not answered so long (s) did not get the processor, or is stopped."""

WHOLE_LIMIT = 10.0
"""Seconds for one search, most of it waiting for others when many are asked for at once."""

TEXT_LIMIT = 64 * 1024
"""Characters that are looked at."""

CACHE_SIZE = 1000
"""So many slow patterns, and texts that exhaust them, are remembered."""

_SPECIAL = frozenset(r".^$*+?{}[]\|()")


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern matched; `group` is its first group, None if it has none or that took no part."""

    group: str | None


class TextWorkers:
    """Owns the worker processes, which start when first needed."""

    def __init__(self) -> None:
        self._fast = _Lane("the search helper", FAST_LIMIT, FAST_WAIT)
        self._slow = _Lane("the helper for slow searches", SLOW_LIMIT, SLOW_WAIT)
        self._files = FileReader()
        self._suspects: set[tuple[str, ...]] = set()
        self._exhausting: set[int] = set()
        """Hashes of texts and patterns that used up the slow lane's time: they would again."""

    async def search(self, text: str, *patterns: str) -> list[Found | None]:
        """Search the first TEXT_LIMIT characters for each pattern.

        Raises TargetError where this text makes it take too long, ProbeError where it cannot be
        done.
        """
        text = text[:TEXT_LIMIT]
        if not any(_SPECIAL.intersection(pattern) for pattern in patterns):
            return [Found(None) if pattern in text else None for pattern in patterns]
        try:
            async with asyncio.timeout(WHOLE_LIMIT):
                answer = await self._in_lanes(text, patterns)
        except TimeoutError:
            raise ProbeError("too many slow searches are waiting") from None
        return [None if found is None else Found(found[0]) for found in answer["found"]]

    async def read(self, path: str) -> FileText | None:
        """See `FileReader.read`."""
        return await self._files.read(path)

    async def close(self) -> None:
        await asyncio.gather(self._fast.close(), self._slow.close(), self._files.close())

    async def _in_lanes(self, text: str, patterns: tuple[str, ...]) -> Message:
        key = hash((text, patterns))
        if key in self._exhausting:
            raise _exhausted(patterns, "long")
        answer: Message | None = None
        request = {"text": text, "patterns": patterns}
        if patterns not in self._suspects:
            try:
                answer = await self._fast.run(request)
            except _SpentError:
                _remember(self._suspects, patterns)
        if answer is None:
            try:
                answer = await self._slow.run(request)
            except _SpentError:
                _remember(self._exhausting, key)
                raise _exhausted(patterns, "long") from None
        if "exhausted" in answer:
            raise _exhausted(patterns, f"much {answer['exhausted']}")
        if answer["seconds"] < FAST_LIMIT / 2:
            self._suspects.discard(patterns)
        return answer


class _SpentError(Exception):
    """A search used up its processor time."""


class _Lane:
    """One worker, one search at a time; a search over the limit costs the worker its life.

    `limit` is the processor time of a search, `wait` how long its answer is waited for (s).
    """

    def __init__(self, name: str, limit: float, wait: float) -> None:
        self._helper = HelperProcess(name, SCRIPT)
        self._name = name
        self._limit = limit
        self._wait = wait
        self._turn = asyncio.Lock()

    async def run(self, request: Message) -> Message:
        """Raises _SpentError where the worker ran and did not come to an end; ProbeError else."""
        async with self._turn, self._helper.call({**request, "limit": self._limit}) as call:
            try:
                async with asyncio.timeout(self._wait):
                    return await call.response()
            except EndedError as error:
                if error.signal != signal.SIGPROF:
                    raise
                self._helper.replace()
                raise _SpentError from None
            except TimeoutError:
                self._helper.replace()
                raise ProbeError(f"{self._name} does not answer") from None
            except asyncio.CancelledError:
                self._helper.replace()
                raise

    async def close(self) -> None:
        await self._helper.close()


def _exhausted(patterns: tuple[str, ...], what: str) -> TargetError:
    shown = " and ".join(map(repr, patterns))
    return TargetError(Code.NO_MATCH, f"searching its answer takes too {what}: {shown}")


def _remember(known: set[T], one: T) -> None:
    if len(known) >= CACHE_SIZE:
        known.clear()
    known.add(one)
