"""The process that searches texts for the daemon, which starts it as a script.

It is asked one thing at a time. A search that uses up its limit of processor time ends the process
by SIGPROF: a regular expression cannot be stopped from inside, and only time in which it ran
counts. Standard library only.

Standard input is a socket to the daemon, one JSON object a line:

    {"id": 3, "text": "..", "patterns": ["^ok", "load=(.*)"], "limit": 0.05}

and back:

    {"ready": true}
    {"id": 3, "found": [[null], null], "seconds": 0.001}
                                              per pattern: its group 1 (or null), or no match;
                                              the processor time of the search
    {"id": 3, "exhausted": "memory"}          this text makes the search take too much of it
    {"id": 3, "error": ".."}                  a fault of ours
"""

import json
import re
import resource
import signal
import socket
import sys
import time
import warnings

MEMORY_LIMIT = 512 << 20
"""Bytes of address space: a pattern that wants more fails here, not on the whole machine."""


def search(text: str, patterns: list[re.Pattern[str]], limit: float) -> dict[str, object]:
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        found = [_search(text, pattern) for pattern in patterns]
    except MemoryError:
        return {"exhausted": "memory"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"found": found, "seconds": time.process_time() - started}


def _search(text: str, pattern: re.Pattern[str]) -> list[str | None] | None:
    found = pattern.search(text)
    if found is None:
        return None
    return [found[1] if pattern.groups else None]


def answer(request: dict[str, object]) -> dict[str, object]:
    text, patterns, limit = map(request.get, ("text", "patterns", "limit"))
    assert isinstance(text, str)
    assert isinstance(patterns, list)
    assert isinstance(limit, float)
    try:
        compiled = [re.compile(pattern) for pattern in patterns]
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        return {"error": f"bad regexp: {type(error).__name__} {error}"}
    return search(text, compiled, limit)


def main() -> None:
    # The daemon ends this process by closing the socket; see the spawner for the reason.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    control = socket.socket(fileno=0)
    inbox = control.makefile("rb")
    control.sendall(b'{"ready": true}\n')
    for line in inbox:
        request = json.loads(line)
        reply = {"id": request["id"], **answer(request)}
        try:
            control.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            sys.exit()


if __name__ == "__main__":
    main()
