"""A responder that takes its time: a proxy between PowerDNS and the HTTP connector."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def slow_proxy(
    port: int, delay: float, listen: int = 0
) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Hands on requests at once and answers late; the event tells of an answer held back."""
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_answer and b"10." in data:
                    answered.set()
                loop.call_later(delay if is_answer else 0, writer.write, data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps.append(loop.create_task(pump(reader, far_writer, is_answer=False)))
        pumps.append(loop.create_task(pump(far_reader, writer, is_answer=True)))
        writers.extend([writer, far_writer])

    pumps = list[asyncio.Task[None]]()
    writers = list[asyncio.StreamWriter]()
    server = await asyncio.start_server(serve, "127.0.0.1", listen)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1], answered
        finally:
            for writer in writers:
                writer.close()
            await asyncio.gather(*pumps)
