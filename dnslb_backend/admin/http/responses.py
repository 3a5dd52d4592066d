"""JSON responses, rendered whole or in slices."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel


def json_response(
    report: BaseModel, *, status: int = HTTPStatus.OK, with_null: bool = True
) -> web.Response:
    """A whole report; what is null may be left out."""
    body = report.model_dump_json(exclude_none=not with_null).encode()
    return json_bytes(body, status=status)


def json_bytes(body: bytes, *, status: int = HTTPStatus.OK) -> web.Response:
    """A report that is rendered already."""
    return web.Response(status=status, body=body, content_type="application/json")


T = TypeVar("T")


ROWS_PER_TURN = 0.002
"""Seconds of work after which others on the event loop have their turn."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a turn for others whenever the work on them has taken ROWS_PER_TURN."""
    end = time.perf_counter() + ROWS_PER_TURN
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await asyncio.sleep(0)
            end = time.perf_counter() + ROWS_PER_TURN


async def render_with_rows(report: BaseModel, **arrays: Iterable[BaseModel | bytes]) -> bytes:
    """A report as JSON, with these arrays in place of its own fields of their names.

    Their elements are models, or JSON already; they are rendered in slices.
    """
    body = report.model_dump_json(exclude=set(arrays)).encode()
    parts = [body[1:-1]] if body != b"{}" else []
    for name, rows in arrays.items():
        elements = [_json(row) async for row in in_slices(rows)]
        parts.append(b'"%s":[%s]' % (name.encode(), b",".join(elements)))
    return b"{%s}" % b",".join(parts)


def _json(row: BaseModel | bytes) -> bytes:
    return row if isinstance(row, bytes) else row.model_dump_json(by_alias=True).encode()
