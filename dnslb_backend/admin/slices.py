"""Long work in slices of time, so that it delays no lookup."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from pydantic import BaseModel

T = TypeVar("T")

SLICE = 0.002
"""Seconds of work after which others on the event loop have their turn."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a turn for others whenever the work on them has taken SLICE."""
    end = time.perf_counter() + SLICE
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await asyncio.sleep(0)
            end = time.perf_counter() + SLICE


async def render_rows(rows: Iterable[BaseModel]) -> bytes:
    """The elements of a JSON array, without its brackets."""
    return b",".join([row.model_dump_json().encode() async for row in in_slices(rows)])
