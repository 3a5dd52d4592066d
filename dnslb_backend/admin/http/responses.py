"""How answers leave: JSON, whole or put together in slices."""

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
    """The items, with a turn for others whenever the work on them has taken SLICE."""
    end = time.perf_counter() + ROWS_PER_TURN
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await asyncio.sleep(0)
            end = time.perf_counter() + ROWS_PER_TURN


async def render_rows(rows: Iterable[BaseModel]) -> bytes:
    """The elements of a JSON array, without its brackets."""
    return b",".join([row.model_dump_json().encode() async for row in in_slices(rows)])
