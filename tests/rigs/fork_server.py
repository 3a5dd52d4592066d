"""The program that starts `dnslb-backend` by fork, having imported all of it: see child.py.

Importing takes half a second of the processor, and the tests start some 250 daemons; so each test
process keeps one such interpreter. What a child of it runs is the command line, from its `main`
on. How an interpreter comes there is seen by tests that start one: tests/cli, tests/packaging, the
demo, and every daemon with a place or an environment of its own.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from dnslb_backend.__main__ import main as run_command_line

WARM = ("dnslb_backend.cli.app", "dnslb_backend.daemon")
"""Modules that a daemon imports anyway."""
LONGEST = 1 << 17
"""Bytes of one request: command line, environment, directory."""
PR_SET_PDEATHSIG = 1


def main() -> None:
    """The loop of the fork server: requests come over standard input."""
    for module in WARM:
        importlib.import_module(module)
    gc.freeze()  # children need not look through it
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, "a fork would lose what other threads are at"
    channel = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    request = _attend(channel)
    if request is not None:
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        sys.argv[1:] = request["arguments"]
        run_command_line()


def _attend(channel: socket.socket) -> Any:
    """Start and reap children until standard input ends; returns the request in a child."""
    with selectors.DefaultSelector() as selector, channel:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _bury(key.fd, *key.data)
                    continue
                request, descriptors, _, _ = socket.recv_fds(channel, LONGEST, 3)
                if not request:
                    return None
                out, err, news = descriptors
                parent = os.getpid()
                if (pid := os.fork()) == 0:
                    others = [other for other in selector.get_map().values() if other.data]
                    for descriptor in (news, *(fd for it in others for fd in (it.fd, it.data[1]))):
                        os.close(descriptor)
                    _stand_alone(parent, out, err)
                    return json.loads(request)
                os.close(out)
                os.close(err)
                os.write(news, str(pid).encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, news))


def _bury(descriptor: int, pid: int, news: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(news, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(news)
    os.close(descriptor)


def _stand_alone(parent: int, out: int, err: int) -> None:
    """Set up the child's standard streams, and have it killed when its parent exits."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    for place, descriptor in ((1, out), (2, err)):
        os.dup2(descriptor, place)
        os.close(descriptor)


if __name__ == "__main__":
    main()
