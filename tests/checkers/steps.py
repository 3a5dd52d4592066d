"""For every kind of check that talks to a target: the steps of its protocol at which one may err.

A new kind, or a new step of one, is one row.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.checkers.conftest import Authority
from tests.checkers.grpc_script import GRPC_HEAD, SERVING, http2
from tests.checkers.hostile import after, shaking_hands
from tests.checkers.scenes import AGENT, GRPC, HTTP, HTTPS, MARIADB, NAME, POSTGRES, TCP, TLS
from tests.checkers.servers import Play


@dataclass(frozen=True)
class Step:
    """A moment of a conversation: what comes before it, and the first half of what is due then."""

    table: dict[str, Any]
    half: bytes
    opening: Play | None = None
    shakes_hands: bool = False
    passes: frozenset[str] = field(default_factory=frozenset)
    """What is no error at this moment."""

    def play(self, misbehaviour: Play, authority: Authority) -> Play:
        if self.shakes_hands:
            return shaking_hands(authority.server(NAME), misbehaviour)
        return misbehaviour if self.opening is None else after(self.opening, misbehaviour)


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


def answered(data: bytes) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader, writer)
        writer.write(data)

    return play


async def query(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


def sending(data: bytes) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.write(data)

    return play


SASL = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"
LOGGED_IN = b"R\0\0\0\x08\0\0\0\0"
READY = b"Z\0\0\0\5I"
HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = {"body": "never", "json_path": "a", "json_value": 1}

STEPS: dict[str, Step] = {
    "agent: words": Step(AGENT, b"dow"),
    "grpc: settings": Step(GRPC, b"\x00\x00\x06\x04\x00"),
    "grpc: headers": Step(GRPC, b"\x00\x00\x20\x01\x04", http2()),
    "grpc: message": Step(GRPC, b"\x00\x00\x07\x00\x00", http2(GRPC_HEAD)),
    "grpc: trailers": Step(GRPC, b"\x00\x00\x20\x01\x05", http2(GRPC_HEAD, SERVING)),
    "http: before the request": Step(HTTP, HEAD[:8]),
    "http: status line": Step(HTTP, HEAD[:8], request),
    "http: headers": Step(HTTP, b"Content-Le", answered(HEAD)),
    "http: after an informational response": Step(
        HTTP, HEAD[:8], answered(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    ),
    "http: body": Step({**HTTP, **BODY}, b'{"a', answered(HEAD + b"Content-Length: 90000\r\n\r\n")),
    "http: body until the end": Step({**HTTP, **BODY}, b'{"a', answered(HEAD + b"\r\n")),
    "http: chunk": Step(
        {**HTTP, **BODY}, b"5\r\nab", answered(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    ),
    "https: handshake": Step(HTTPS, b"\x16\x03\x03\x00\x7a\x02"),
    "https: after the handshake": Step(HTTPS, b"\x17\x03\x03\x00", shakes_hands=True),
    "tls: handshake": Step(TLS, b"\x16\x03\x03\x00\x7a\x02"),
    "tcp: greeting": Step(TCP, b"22"),
    "dns: answer": Step(
        {"type": "dns", "name": NAME, "transport": "tcp"}, b"\x00\xff\x12\x34", query
    ),
    "postgres: login": Step(POSTGRES, b"R\0\0\0\x17"),
    "postgres: TLS": Step({**POSTGRES, "tls": True}, b"S\x16\x03\x03"),
    "postgres: proof": Step(POSTGRES, b"R\0\0\0\x30", sending(SASL)),
    "postgres: ready": Step(POSTGRES, b"Z\0\0", sending(LOGGED_IN)),
    "postgres: row": Step(POSTGRES, b"D\0\0\0\x0b\0", sending(LOGGED_IN + READY)),
    "mariadb: greeting": Step(MARIADB, b"\x4a\x00\x00\x00\x0a"),
}
