"""Long work, on the event loop or beside it, in slices between which lookups are answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

SLICE = 0.001
"""Seconds of work after which others on the event loop have their turn; several pieces of work may
be under way at once, and a lookup waits for a turn of each."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with a turn for others whenever the work on them has taken SLICE seconds."""
    end = time.perf_counter() + SLICE
    for item in items:
        yield item
        if time.perf_counter() >= end:
            await asyncio.sleep(0)
            end = time.perf_counter() + SLICE


def empty(found: dict[Any, Any] | set[Any]) -> None:
    """Free what a large collection holds, one by one: freed at once, a hundred thousand items stop
    all other threads for tens of milliseconds."""
    take = found.popitem if isinstance(found, dict) else found.pop
    while found:
        take()
