"""Sockets as every listener wants them."""

import socket


def bind_tcp(host: str, port: int) -> socket.socket:
    """A bound TCP socket; on `::` it takes IPv4 as well, which asyncio alone would not do.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
