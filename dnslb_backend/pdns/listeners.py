"""Listening sockets, bound before anything else is started."""

import socket

from dnslb_backend.pdns.settings import Endpoint

BACKLOG = 1024
"""Connections that may wait while the event loop is busy, or the daemon restarts."""


def listen_tcp(endpoint: Endpoint) -> socket.socket:
    """A socket that listens at `endpoint`; on `::` it serves IPv4 as well. Raises OSError."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, endpoint.host != "::")
        listener.bind((endpoint.host, endpoint.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
