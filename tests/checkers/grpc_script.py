"""The server's side of a health check over HTTP/2, played as a test wants it."""

import asyncio
from collections.abc import Iterable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded

from tests.checkers.servers import Play

Headers = Iterable[tuple[str, str]]

GRPC_HEAD = ((":status", "200"), ("content-type", "application/grpc"))
GRPC_END = (("grpc-status", "0"),)
SERVING = b"\0\0\0\0\2\x08\1"
NOT_SERVING = b"\0\0\0\0\2\x08\2"


def http2(
    head: Headers = (), message: bytes = b"", end: Headers = (), *, ends: bool = False
) -> Play:
    """Read the request, and answer with as much of this as is given; `ends` the call after it."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        events: list[object] = []
        while not any(isinstance(event, StreamEnded) for event in events):
            events += connection.receive_data(await reader.read(65536))
        if head:
            connection.send_headers(1, list(head), end_stream=ends and not message)
        if message:
            connection.send_data(1, message, end_stream=ends and not end)
        if end:
            connection.send_headers(1, list(end), end_stream=True)
        writer.write(connection.data_to_send())
        await writer.drain()

    return play


def calling(message: bytes = SERVING, end: Headers = GRPC_END) -> Play:
    """Answer a health check with this message and these trailers."""
    return http2(GRPC_HEAD, message, end)
