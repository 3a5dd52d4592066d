"""JSON responses, rendered whole or in slices."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from dnslb_backend.slices import in_slices


def json_response(
    report: BaseModel, *, status: int = HTTPStatus.OK, with_null: bool = True
) -> web.Response:
    """A whole report; what is null may be left out."""
    body = report.model_dump_json(exclude_none=not with_null).encode()
    return json_bytes(body, status=status)


def json_bytes(body: bytes, *, status: int = HTTPStatus.OK) -> web.Response:
    """A report that is rendered already."""
    return web.Response(status=status, body=body, content_type="application/json")


PIECE = 128 * 1024
"""Bytes of a long answer that are put together, and sent, at a time: one of tens of megabytes
would take so long to copy that lookups notice."""


class Pieces:
    """What is written piece by piece, to be sent so."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._rest: list[bytes] = []
        self._size = 0

    def write(self, part: bytes) -> None:
        self._rest.append(part)
        self._size += len(part)
        if self._size >= PIECE:
            self._join()

    def take(self) -> list[bytes]:
        """All that was written, in pieces of PIECE bytes or little more."""
        self._join()
        return self._pieces

    def _join(self) -> None:
        self._pieces.append(b"".join(self._rest))
        self._rest, self._size = [], 0


class JsonArray:
    """An array that is rendered element by element: models, or JSON already."""

    def __init__(self) -> None:
        self.pieces = Pieces()
        self._is_empty = True

    def add(self, row: BaseModel | bytes) -> None:
        if not self._is_empty:
            self.pieces.write(b",")
        self._is_empty = False
        self.pieces.write(
            row if isinstance(row, bytes) else row.model_dump_json(by_alias=True).encode()
        )


class LongResponse(web.Response):
    """One that is sent in the pieces in which it was put together."""

    def __init__(self, pieces: Sequence[bytes], content_type: str = "application/json") -> None:
        super().__init__(headers={"Content-Type": content_type})
        self.pieces = pieces


def pieces_of(response: web.Response) -> Sequence[bytes]:
    """The body of a response that is whole, or is not."""
    if isinstance(response, LongResponse):
        return response.pieces
    assert isinstance(response.body, bytes)
    return [response.body]


def json_pieces(report: BaseModel, **arrays: JsonArray) -> list[bytes]:
    """A report as JSON, with these arrays in place of its own fields of their names."""
    body = report.model_dump_json(exclude=set(arrays)).encode()
    pieces = [body[:-1]]
    for name, array in arrays.items():
        comma = b"" if pieces == [b"{"] else b","
        pieces += [b'%s"%s":[' % (comma, name.encode()), *array.pieces.take(), b"]"]
    return [*pieces, b"}"]


async def render_with_rows(report: BaseModel, **arrays: Iterable[BaseModel | bytes]) -> bytes:
    """As `json_pieces`, whole; the rows are rendered in slices."""
    rendered = {}
    for name, rows in arrays.items():
        rendered[name] = JsonArray()
        async for row in in_slices(rows):
            rendered[name].add(row)
    return b"".join(json_pieces(report, **rendered))
