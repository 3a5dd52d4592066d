"""Reads one HTTP/1 response off a connection (RFC 9112), as leniently as clients do, within limits.

What decides nothing is not looked at: the body where only the status is wanted, and what follows
the end of the body. So a verdict never depends on how the bytes were cut into packets.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dnslb_backend.checkers.resources.classify import TargetError
from dnslb_backend.checkers.resources.connection import TargetConnection
from dnslb_backend.core.health.results import Code

HEAD_LIMIT = 64 * 1024
"""Bytes of all that comes before the body, informational responses included."""

HEADERS_LIMIT = 1000

INFORMATIONAL_LIMIT = 8
"""Responses (100 Continue, 103 Early Hints) before the one that counts."""

BODY_LIMIT = 64 * 1024

SWITCHING_PROTOCOLS = 101
WITHOUT_BODY = frozenset({101, 204, 304})

_BEGIN = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? +([1-9]\d\d)(?:[ \t]+(.*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """`body` is the start of it, if it was wanted; names of `headers` are in lower case.

    `certificate_expires` is when the first certificate of a verified chain does (Unix time).
    """

    code: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    certificate_expires: float | None = None


async def read_reply(connection: TargetConnection, *, body_wanted: bool) -> HttpReply:
    """The response to GET or OPTIONS, or to HEAD with `body_wanted` false.

    Raises TargetError for what is none, and what the connection raises.
    """
    source = _Source(connection)
    for _ in range(INFORMATIONAL_LIMIT + 1):
        code, reason = await _status(source)
        headers = await _headers(source)
        if code >= 200 or code == SWITCHING_PROTOCOLS:
            break
    else:
        raise _no_http(f"more than {INFORMATIONAL_LIMIT} informational responses")
    length = _length(headers)
    if not body_wanted or code in WITHOUT_BODY:
        return HttpReply(code, reason, headers)
    body = bytearray()
    if "transfer-encoding" not in headers:
        await _plain(source, body, length)
    elif headers["transfer-encoding"].lower().endswith("chunked"):
        await _chunked(source, body)
    else:
        await _plain(source, body, None)
    return HttpReply(code, reason, headers, bytes(body[:BODY_LIMIT]), len(body) > BODY_LIMIT)


class _Source:
    """The bytes of a connection by lines and by number."""

    def __init__(self, connection: TargetConnection) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self.head_left = HEAD_LIMIT

    async def begin(self) -> None:
        """Skip empty lines; raises TargetError as soon as it is clear that no response begins."""
        while True:
            skipped = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            self.head_left -= skipped
            del self._buffer[:skipped]
            start = bytes(self._buffer[: len(_BEGIN)])
            if not _BEGIN.startswith(start) or self.head_left < 0:
                raise _no_http("the answer does not begin with HTTP/")
            if len(start) == len(_BEGIN):
                return
            if not await self._more():
                raise TargetError(Code.REFUSED, "closed the connection without an answer")

    async def head_line(self) -> bytes:
        """A line of a head. Raises TargetError where it ends too early, or never."""
        line = await self.line(self.head_left)
        if line is None:
            raise TargetError(Code.REFUSED, "closed the connection in the middle of the headers")
        self.head_left -= len(line) + 1
        return line.removesuffix(b"\r")

    async def header_lines(self) -> list[bytes]:
        """The lines of a head that are left, up to the empty one. Raises as `head_line`."""
        # Nearly always all of them have arrived in one piece.
        end = self._buffer.find(b"\r\n\r\n", 0, self.head_left)
        lines = self._buffer[:end].split(b"\r\n") if end >= 0 else []
        if lines and not any(b"\n" in line for line in lines) and all(lines):
            del self._buffer[: end + 4]
            self.head_left -= end + 4
            return list(map(bytes, lines))
        found: list[bytes] = []
        while line := await self.head_line():
            found.append(line)
        return found

    async def line(self, limit: int) -> bytes | None:
        """All up to the next line feed, which is taken as well; None if the end comes first."""
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            if looked > limit:
                break
            if not await self._more():
                return None
        if not 0 <= end <= limit:
            raise _no_http(f"a line or all headers are longer than {limit} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def some(self, most: int) -> bytes:
        """The next bytes, `most` at most; b"" at the end."""
        if not self._buffer:
            await self._more()
        data = bytes(self._buffer[:most])
        del self._buffer[:most]
        return data

    async def _more(self) -> bool:
        data = await self._connection.read()
        self._buffer += data
        return bool(data)


async def _status(source: _Source) -> tuple[int, str]:
    await source.begin()
    line = await source.head_line()
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise _no_http("bad status line")
    return int(found[1]), (found[2] or b"").decode("utf-8", "replace")


async def _headers(source: _Source) -> dict[str, str]:
    """The headers; the last one of a name counts, but lengths and encodings are all kept."""
    lines: list[bytes] = []
    for line in await source.header_lines():
        if line[:1] in b" \t" and lines:
            lines[-1] += b" " + line.strip()
            continue
        if len(lines) == HEADERS_LIMIT:
            raise _no_http(f"more than {HEADERS_LIMIT} headers")
        lines.append(line)
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise _no_http("bad header")
        name = found[1].decode("ascii").lower()
        value = found[2].decode("utf-8", "replace").strip(" \t")
        if name in ("content-length", "transfer-encoding") and name in headers:
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _length(headers: Mapping[str, str]) -> int | None:
    """The length of the body; None: until the end. Equal ones said twice are one."""
    given = headers.get("content-length")
    if given is None:
        return None
    lengths = {part.strip() for part in given.split(",")}
    if len(lengths) != 1 or not _LENGTH.fullmatch(length := lengths.pop()):
        raise _no_http("bad Content-Length")
    return int(length)


async def _plain(source: _Source, body: bytearray, length: int | None) -> None:
    left = BODY_LIMIT + 1 if length is None else min(length, BODY_LIMIT + 1)
    while left > 0:
        data = await source.some(left)
        if not data:
            if length is not None:
                raise _broken_body()
            return
        body += data
        left -= len(data)


async def _chunked(source: _Source, body: bytearray) -> None:
    while len(body) <= BODY_LIMIT:
        found = _CHUNK_SIZE.fullmatch((await _line_of_chunk(source)).removesuffix(b"\r"))
        if found is None:
            raise TargetError(Code.STATUS, "broken body: bad chunk")
        size = int(found[1], 16)
        if size == 0:
            return
        await _plain(source, body, size)
        if len(body) <= BODY_LIMIT and (await _line_of_chunk(source)).strip():
            raise TargetError(Code.STATUS, "broken body: bad chunk")


async def _line_of_chunk(source: _Source) -> bytes:
    line = await source.line(HEAD_LIMIT)
    if line is None:
        raise _broken_body()
    return line


def _broken_body() -> TargetError:
    return TargetError(Code.STATUS, "broken body: closed the connection before its end")


def _no_http(reason: str) -> TargetError:
    return TargetError(Code.STATUS, f"reply is not HTTP: {reason}")
