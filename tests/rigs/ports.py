"""Unused port numbers, for programs that need a fixed one."""

import itertools
import os
import socket

# Below the kernel's range for outgoing connections, so that none of those takes the port later.
# Each process starts elsewhere, and never returns a number twice.
LOWEST, HIGHEST = 10_000, 32_000
_numbers = itertools.cycle(range(LOWEST, HIGHEST))
_next_numbers = itertools.islice(_numbers, os.getpid() * 97 % (HIGHEST - LOWEST), None)


def free_port(*hosts: str) -> int:
    """A number that is free for TCP and for UDP on every one of `hosts` (default 127.0.0.1)."""
    return next(
        port
        for port in itertools.islice(_next_numbers, HIGHEST - LOWEST)
        if all(_is_free(host, port) for host in hosts or ("127.0.0.1",))
    )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as sock:
            try:
                sock.bind((host, port))
            except OSError:
                return False
    return True
