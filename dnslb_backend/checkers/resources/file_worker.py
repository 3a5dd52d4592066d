"""The process that reads files for the daemon, which starts it as a script.

Each file is read in a thread: one on storage that hangs holds up its own thread, for ever if need
be, and no other. The daemon asks for a file once at a time, and can kill this process. Standard
library only.

Standard input is a socket to the daemon, one JSON object a line:

    {"id": 4, "path": "/run/state/192.0.2.1", "limit": 65536}
    {"id": 5, "ping": true}

and back, in the order in which the reads end:

    {"ready": true}
    {"id": 4, "text": "..", "age": 12.5, "cut": false}
    {"id": 4, "missing": "No such file or directory"}
    {"id": 4, "error": ".."}                  a fault of ours
    {"id": 5, "pong": true}
"""

import errno
import json
import os
import signal
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor

MAX_THREADS = 1024
STACK_SIZE = 256 << 10

ABSENT = (errno.ENOENT, errno.ENOTDIR)


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
    path, limit = request["path"], request["limit"]
    assert isinstance(path, str)
    assert isinstance(limit, int)
    try:
        return read(path, limit)
    except (OSError, ValueError) as error:
        return {"error": f"cannot read {path}: {getattr(error, 'strerror', None) or error}"}


def main() -> None:
    # The daemon ends this process by closing the socket; see the spawner for the reason.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.stack_size(STACK_SIZE)
    control = socket.socket(fileno=0)
    sending = threading.Lock()

    def say(message: dict[str, object]) -> None:
        with sending:
            control.sendall(json.dumps(message).encode() + b"\n")

    def serve(request: dict[str, object]) -> None:
        say({"id": request["id"], **answer(request)})

    threads = ThreadPoolExecutor(MAX_THREADS)
    say({"ready": True})
    for line in control.makefile("rb"):
        request = json.loads(line)
        if "ping" in request:
            say({"id": request["id"], "pong": True})
        else:
            threads.submit(serve, request)
    # Threads that hang are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
