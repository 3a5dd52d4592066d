"""`python -m tests.bench.asker SOCKET`: lookups one after the other until its input ends.

It is a process of its own: what it measures is the daemon, and nothing of the load beside it.
"""

import json
import select
import socket
import sys
import time
from statistics import quantiles

from tests.bench.alone import UNIX_LINE

PAUSE = 0.001
NAMES = 200


def main(path: str) -> None:
    """Print a line at the begin; at the end how long lookups took: p50, p99, max, in seconds."""
    taken: list[float] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        answers = connection.makefile("rb")
        print(flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            began = time.perf_counter()
            connection.sendall(UNIX_LINE % (len(taken) % NAMES))
            answers.readline()
            taken.append(time.perf_counter() - began)
    cuts = quantiles(taken, n=100)
    print(json.dumps([cuts[49], cuts[98], max(taken)]))


main(sys.argv[1])
