"""`python -m tests.bench.beating FILE serve …`: dnslb-backend, and when its event loop stood still.

The loop is to beat every millisecond. FILE gets a line for each time that it was later: when the
beat before was (CLOCK_MONOTONIC), the seconds since then, and the seconds of CPU in them: of the
whole process, and of the thread of the loop.
"""

import asyncio
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import uvloop

from dnslb_backend.__main__ import main
from tests.rigs.daemon import ROOT, Daemon

BEAT = 0.001
NOTED = 0.004
"""Seconds between two beats that are worth a line."""


class Gap(NamedTuple):
    """The loop stood still `at` for so many seconds. Meanwhile the process computed for `cpu`, of
    it the loop for `own`: the rest is what it may have waited for."""

    at: float
    seconds: float
    cpu: float
    own: float


class LargeDaemon(Daemon):
    """One that takes longer to start, to answer operators and to stop than tests have patience."""

    start_limit = 600.0
    stop_limit = 120.0
    request_limit = 60.0


class BeatingDaemon(LargeDaemon):
    """Tells when its event loop stood still. Lookups come in at `path`."""

    def __init__(self, config: str) -> None:
        super().__init__(config, ready=False)
        self.path = f"{self.directory}/unix"
        self.is_fresh = True
        self._beats = self.directory / "beats"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.beating", str(self._beats), *self._words()]

    def gaps(self, since: float = 0.0) -> Iterator[Gap]:
        """Those that began after `since`, a time of the monotonic clock."""
        for line in self._beats.read_text().splitlines():
            gap = Gap(*map(float, line.split()))
            if gap.at >= since:
                yield gap

    def longest(self, since: float = 0.0) -> Gap:
        return max(self.gaps(since), key=lambda gap: gap.seconds, default=Gap(since, 0, 0, 0))


class _Beat:
    """Beats for as long as the loop runs."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._last = time.monotonic()
        self._used, self._own = time.process_time(), time.thread_time()
        self._loop.call_later(BEAT, self._beat)

    def _beat(self) -> None:
        now, used, own = time.monotonic(), time.process_time(), time.thread_time()
        gap = Gap(self._last, now - self._last, used - self._used, own - self._own)
        if gap.seconds >= NOTED:
            self._file.write(" ".join(map(str, gap)) + "\n")
        self._last, self._used, self._own = now, used, own
        self._loop.call_later(BEAT, self._beat)


async def _beating(file: TextIO, running: Coroutine[Any, Any, None]) -> None:
    _Beat(file)
    await running


@contextmanager
def beats(path: Path) -> Iterator[None]:
    """Whatever uvloop runs in this process has a beat."""
    run = uvloop.run
    with path.open("a", buffering=1) as file:

        def run_beating(running: Coroutine[Any, Any, None]) -> None:
            run(_beating(file, running))

        setattr(uvloop, "run", run_beating)  # noqa: B010 - its type is another
        yield


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    with beats(Path(sys.argv[1])):
        del sys.argv[1]
        main()
