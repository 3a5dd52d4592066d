"""What is at the other end of a connection, for the log."""

import asyncio
import socket
import struct

_CREDENTIALS = struct.Struct("3i")
"""struct ucred (unix(7))."""


def peer_name(transport: asyncio.BaseTransport | None) -> str:
    """An address, or the process behind a unix socket."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or sock is None:
        return "gone"
    if sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(credentials)
        return f"pid {pid}, uid {uid}"
    address: tuple[str, int] = transport.get_extra_info("peername") or ("gone", 0)
    return address[0].removeprefix("::ffff:")
