"""Rendering many rows in slices, so that a long answer delays no lookup."""

import asyncio
from collections.abc import Iterator
from itertools import islice

from pydantic import BaseModel

SLICE = 50
"""Rows that are put together before others on the event loop have their turn."""


async def render_rows(rows: Iterator[BaseModel]) -> bytes:
    """The elements of a JSON array, without its brackets."""
    parts: list[bytes] = []
    while part := [row.model_dump_json().encode() for row in islice(rows, SLICE)]:
        parts += part
        await asyncio.sleep(0)
    return b",".join(parts)
