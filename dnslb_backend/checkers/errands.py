"""Searches texts and reads files outside of the event loop, each within a limit of time.

Two worker processes: the fast lane, where everything begins and nothing may take long, and the
slow lane for what once took long there. So a regular expression that explodes on hostile output
holds up others of its like only.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.checkers.failures import ProbeError
from dnslb_backend.checkers.helper import Helper, Message

SCRIPT = Path(__file__).with_name("worker.py")

FAST_LIMIT = 0.05
SLOW_LIMIT = 0.5
WHOLE_LIMIT = 10.0
"""Seconds for one errand, most of it waiting for others when many are asked for at once."""

TEXT_LIMIT = 64 * 1024
"""Characters, or bytes of a file, that are looked at."""

SUSPECTS_LIMIT = 1000

_SPECIAL = frozenset(r".^$*+?{}[]\|()")


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern matched; `group` is its first group, None if it has none or that took no part."""

    group: str | None


@dataclass(frozen=True, slots=True)
class FileText:
    """The start of a file, and the seconds since it was written (negative: in the future)."""

    text: str
    age: float
    cut: bool


class Errands:
    """Owns the two worker processes, which start when first needed."""

    def __init__(self) -> None:
        self._fast = _Lane("the search helper", FAST_LIMIT)
        self._slow = _Lane("the helper for slow searches", SLOW_LIMIT)
        self._suspects: set[object] = set()

    async def search(self, text: str, *patterns: str) -> list[Found | None]:
        """Search the first TEXT_LIMIT characters for each pattern.

        Raises ProbeError when that takes too long or cannot be done.
        """
        text = text[:TEXT_LIMIT]
        if not any(_SPECIAL.intersection(pattern) for pattern in patterns):
            return [Found(None) if pattern in text else None for pattern in patterns]
        answer = await self._run({"text": text, "patterns": patterns}, patterns)
        return [None if found is None else Found(found[0]) for found in answer["found"]]

    async def read(self, path: str) -> FileText | None:
        """The first TEXT_LIMIT bytes of a regular file; None if there is no file.

        Raises ProbeError when it cannot be read, or not in time.
        """
        answer = await self._run({"path": path, "limit": TEXT_LIMIT}, path)
        if "missing" in answer:
            return None
        return FileText(answer["text"], answer["age"], answer["cut"])

    async def close(self) -> None:
        await asyncio.gather(self._fast.close(), self._slow.close())

    async def _run(self, request: Message, key: object) -> Message:
        try:
            async with asyncio.timeout(WHOLE_LIMIT):
                return await self._in_lanes(request, key)
        except TimeoutError:
            raise ProbeError(_too_slow(request)) from None

    async def _in_lanes(self, request: Message, key: object) -> Message:
        if key not in self._suspects:
            try:
                return (await self._fast.run(request))[0]
            except TimeoutError:
                if len(self._suspects) >= SUSPECTS_LIMIT:
                    self._suspects.clear()
                self._suspects.add(key)
        answer, duration = await self._slow.run(request)
        if duration < FAST_LIMIT / 2:
            self._suspects.discard(key)
        return answer


class _Lane:
    """One worker, one errand at a time; an errand over the limit (s) costs the worker its life."""

    def __init__(self, name: str, limit: float) -> None:
        self._helper = Helper(name, SCRIPT)
        self._limit = limit
        self._turn = asyncio.Lock()

    async def run(self, request: Message) -> tuple[Message, float]:
        """Answer and seconds it took; raises TimeoutError past the limit, ProbeError else."""
        clock = asyncio.get_running_loop().time
        async with self._turn, self._helper.call(request) as call:
            started = clock()
            try:
                async with asyncio.timeout(self._limit):
                    answer = await call.answer()
            except (TimeoutError, asyncio.CancelledError):
                self._helper.replace()
                raise
            return answer, clock() - started

    async def close(self) -> None:
        await self._helper.close()


def _too_slow(request: Message) -> str:
    if "path" in request:
        return f"reading {request['path']} takes too long"
    return f"searching takes too long: {' and '.join(map(repr, request['patterns']))}"
