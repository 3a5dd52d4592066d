"""`python -m tests.bench.asker SOCKET`: lookups one after the other until its input ends.

It is a process of its own: what it measures is the daemon, and nothing of the load beside it.
"""

import asyncio
import json
import select
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BufferedRWPair
from statistics import quantiles

from tests.bench.alone import UNIX_LINE
from tests.pdns.served import ROOT

PAUSE = 0.001
NAMES = 200


@asynccontextmanager
async def lookups(path: str) -> AsyncIterator[list[float]]:
    """A list that has p50, p99 and max of lookups beside the block, after it; in seconds."""
    asker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.asker", path),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert asker.stdout is not None
    await asker.stdout.readline()
    taken: list[float] = []
    try:
        yield taken
    finally:
        output, _ = await asker.communicate(b"end\n")
        taken += json.loads(output)


def main(path: str) -> None:
    """Print a line at the begin; at the end how long lookups took: p50, p99, max, in seconds."""
    taken: list[float] = []
    answers = _connected(path)
    print(flush=True)
    # A quantile needs two, however soon the end comes.
    while len(taken) < 2 or not select.select([sys.stdin], [], [], PAUSE)[0]:
        began = time.perf_counter()
        answers.write(UNIX_LINE % (len(taken) % NAMES))
        answers.flush()
        if not answers.readline():
            # The answer is not known yet: for PowerDNS that is a closed connection.
            answers = _connected(path)
        taken.append(time.perf_counter() - began)
    cuts = quantiles(taken, n=100)
    print(json.dumps([cuts[49], cuts[98], max(taken)]))


def _connected(path: str) -> BufferedRWPair:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection.makefile("rwb")


if __name__ == "__main__":
    main(sys.argv[1])
