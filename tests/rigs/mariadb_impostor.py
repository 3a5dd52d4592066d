"""A server with just enough of MariaDB's protocol to fail, or be hostile, at any step."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

SALT = b"12345678abcdefghijkl"

PLUGINS = 1 << 19
CAPABILITIES = 0x00FFF7FF | PLUGINS
"""All but TLS."""

TEXT, NUMBER = 253, 8
"""Types of columns."""

NATIVE = "mysql_native_password"

OK = b"\0\0\0\2\0\0\0"
END = b"\xfe\0\0\2\0"
FAST_LOGIN, WHOLE_LOGIN = b"\1\3", b"\1\4"


def packet(number: int, content: bytes) -> bytes:
    return struct.pack("<I", len(content))[:3] + bytes([number % 256]) + content


def error(number: int, text: str = "") -> bytes:
    return b"\xff" + struct.pack("<H", number) + (f"#HY000{text}".encode() if text else b"")


def switch(method: str) -> bytes:
    """Log in by this method instead."""
    return b"\xfe" + method.encode() + b"\0" + SALT + b"\0"


def hello(method: str = NATIVE, *, plugins: bool = True) -> bytes:
    capabilities = CAPABILITIES if plugins else CAPABILITIES & ~PLUGINS
    low, high = capabilities & 0xFFFF, capabilities >> 16
    return (
        b"\n5.5.5-10.11.6-MariaDB\0"
        + struct.pack("<I", 7)
        + SALT[:8]
        + b"\0"
        + struct.pack("<HBHHB", low, 45, 2, high, len(SALT) + 1)
        + b"\0" * 10
        + SALT[8:]
        + b"\0"
        + (method.encode() + b"\0" if plugins else b"")
    )


def lenenc(content: bytes) -> bytes:
    assert len(content) < 65536
    short = len(content) < 251
    return (bytes([len(content)]) if short else b"\xfc" + struct.pack("<H", len(content))) + content


def column(name: str, type: int) -> bytes:  # noqa: A002 - what MariaDB calls it
    texts = (b"def", b"", b"", b"", name.encode(), b"")
    return (
        b"".join(map(lenenc, texts))
        + b"\x0c"
        + struct.pack("<HIBHB", 45, 255, type, 0, 0)
        + b"\0\0"
    )


def table(
    *names: str,
    rows: tuple[tuple[bytes, ...], ...] = (),
    type: int = TEXT,  # noqa: A002 - what MariaDB calls it
) -> list[bytes]:
    """The packets of a result."""
    lines = [b"".join(map(lenenc, row)) for row in rows]
    return [bytes([len(names)]), *(column(name, type) for name in names), END, *lines, END]


Answer = list[bytes] | Callable[[asyncio.StreamWriter], Awaitable[None]] | None
"""Packets that are sent; a function that replaces them; or None: it disconnects."""


class Impostor:
    """Sends a greeting, then answers each login packet with the next of `login`, then statements.

    `answers` are looked up by the start of a statement; the default is OK. `received` is all that
    clients have sent, `statements` the statements in it.
    """

    def __init__(
        self,
        *,
        greeting: bytes | None = None,
        login: list[bytes] | None = None,
        answers: dict[str, Answer] | None = None,
    ) -> None:
        self.greeting = hello() if greeting is None else greeting
        self.login = [OK] if login is None else login
        self.answers = answers or {}
        self.received = b""
        self.statements: list[str] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(packet(0, self.greeting))
        for content in self.login:
            number, _ = await self._hear(reader)
            writer.write(packet(number + 1, content))
            if content == FAST_LOGIN:
                writer.write(packet(number + 2, OK))
        while True:
            _, said = await self._hear(reader)
            if said[:1] == b"\1":  # COM_QUIT
                return
            statement = said[1:].decode()
            self.statements.append(statement)
            starts = (start for start in self.answers if statement.startswith(start))
            start = next(starts, None)
            answer = [OK] if start is None else self.answers[start]
            if answer is None:
                return
            if callable(answer):
                await answer(writer)
                continue
            for number, content in enumerate(answer, 1):
                writer.write(packet(number, content))

    async def _hear(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = await reader.readexactly(4)
        content = await reader.readexactly(int.from_bytes(head[:3], "little"))
        self.received += content
        return head[3], content


@asynccontextmanager
async def serving(impostor: Impostor, path: str | None = None) -> AsyncIterator[Impostor]:
    """On a free port of 127.0.0.1, or on a unix socket."""
    if path is None:
        server: asyncio.Server = await asyncio.start_server(impostor.serve, "127.0.0.1", 0)
        impostor.port = server.sockets[0].getsockname()[1]
    else:
        server = await asyncio.start_unix_server(impostor.serve, path)
    try:
        yield impostor
    finally:
        server.close()
