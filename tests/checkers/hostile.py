"""What targets do that keep to no protocol, and a TLS server that breaks after the handshake."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable

from tests.checkers.servers import Play, for_ever, greeting, hang, saying

GARBAGE = b"\x00\xff\xfe\x15\x03garbage\r\n\r\n" * 40


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Break off, so that the other side is told of a reset."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


MISBEHAVIOURS: dict[str, Callable[[bytes], Play]] = {
    "says nothing": lambda half: hang,
    "hangs up": lambda half: saying(b""),
    "resets": lambda half: reset,
    "says half": greeting,
    "says half and hangs up": saying,
    "says garbage": lambda half: greeting(GARBAGE),
    "says garbage and hangs up": lambda half: saying(GARBAGE),
    "never stops": lambda half: for_ever(half, GARBAGE),
}
"""By what happens: a play of it, given the first half of a right message."""


def after(opening: Play, rest: Play) -> Play:
    """The opening of a conversation as it should be, and then something else."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await opening(reader, writer)
        await rest(reader, writer)

    return play


def shaking_hands(context: ssl.SSLContext, rest: Play) -> Play:
    """Shake hands as a TLS server, read a request, and then play without TLS.

    A client that is turned down is told why, which servers of asyncio do not do.
    """

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        for step in (session.do_handshake, session.read):
            while True:
                try:
                    step()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
                finally:
                    writer.write(outgoing.read())
        await rest(reader, writer)

    return play
