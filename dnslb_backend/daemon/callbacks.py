"""Callbacks of one event, for subscribers that are built after its source."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Callbacks(Generic[T]):
    """Called with an event, calls every callback that was added, in their order."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], None]] = []

    def add(self, callback: Callable[[T], None]) -> None:
        self._callbacks.append(callback)

    def __call__(self, event: T) -> None:
        for callback in self._callbacks:
            callback(event)
