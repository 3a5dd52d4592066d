"""Tasks that outlive the call that starts them, and that no TaskGroup fits: each has an owner."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from dnslb_backend.component_log import ComponentLog

if TYPE_CHECKING:
    from dnslb_backend.metrics import Component

T = TypeVar("T")


class BackgroundTasks:
    """Owns the tasks of one component: `close` cancels and awaits those that have not ended."""

    def __init__(self, component: "Component") -> None:
        self._log = ComponentLog(__name__, component)
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run work that no one awaits: an exception that ends it is logged and counted."""
        task = self.share(work, name)
        task.add_done_callback(self._log_exception)
        return task

    def share(self, work: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Run work that callers await, and whose exceptions they handle."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self) -> None:
        """Wait until every task has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what has not ended, and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await self.wait()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Retrieved here, because every caller may have been cancelled.
            task.exception()

    def _log_exception(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.exception("unhandled exception in task: %s", task.get_name(), exc_info=error)
