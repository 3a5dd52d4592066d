"""The process that does for the daemon what could take for ever: search texts, read files.

The daemon starts it as a script, asks one thing at a time, and kills it when that takes too
long: a regular expression cannot be stopped from inside. Standard library only.

Standard input is a socket to the daemon, one JSON object a line:

    {"id": 3, "text": "..", "patterns": ["^ok", "load=(.*)"]}
    {"id": 4, "path": "/run/state/192.0.2.1", "limit": 65536}

and back:

    {"ready": true}
    {"id": 3, "found": [[null], null]}        per pattern: its group 1 (or null), or no match
    {"id": 4, "text": "..", "age": 12.5, "cut": false}
    {"id": 4, "missing": "No such file or directory"}
    {"id": 3, "error": ".."}                  a fault of ours
"""

import errno
import json
import os
import re
import resource
import signal
import socket
import stat
import sys
import time
import warnings

MEMORY_LIMIT = 512 << 20
"""Bytes of address space: a pattern that wants more fails here, not on the whole machine."""

ABSENT = (errno.ENOENT, errno.ENOTDIR)


def search(text: str, patterns: list[str]) -> list[list[str | None] | None]:
    return [_search(text, pattern) for pattern in patterns]


def _search(text: str, pattern: str) -> list[str | None] | None:
    compiled = re.compile(pattern)
    found = compiled.search(text)
    if found is None:
        return None
    return [found[1] if compiled.groups else None]


def read(path: str, limit: int) -> dict[str, object]:
    """The start of a regular file (UTF-8, bad bytes dropped) and its age in seconds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in ABSENT:
            return {"missing": os.strerror(error.errno)}
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        data = os.read(descriptor, limit + 1)
    finally:
        os.close(descriptor)
    text = data[:limit].decode("utf-8", "ignore")
    return {"text": text, "age": time.time() - facts.st_mtime, "cut": len(data) > limit}


def answer(request: dict[str, object]) -> dict[str, object]:
    text, patterns, path, limit = map(request.get, ("text", "patterns", "path", "limit"))
    try:
        if isinstance(path, str) and isinstance(limit, int):
            return read(path, limit)
        assert isinstance(text, str)
        assert isinstance(patterns, list)
        return {"found": search(text, patterns)}
    except OSError as error:
        return {"error": f"cannot read {path}: {error.strerror}"}
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        return {"error": f"bad regexp: {type(error).__name__} {error}"}


def main() -> None:
    # The daemon ends this process by closing the socket; see the spawner for the reason.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
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
