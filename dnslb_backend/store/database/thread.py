"""A thread for the blocking calls of a local database."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_ThreadJob = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class DatabaseThread:
    """Runs functions one after the other in a thread of its own.

    It is a daemon thread: a disk that hangs does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_ThreadJob | None] | None = None
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises.

        Where the caller is cancelled, it is skipped if it has not begun, else completed.
        """
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            work = partial(_work, self._jobs, self._thread)
            self._thread = threading.Thread(target=work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((function, loop, future))
        return await future

    def stop(self) -> None:
        """Let the thread end after what it was given; the next `run` starts another one."""
        if self._jobs is not None:
            jobs, self._jobs = self._jobs, None
            jobs.put(None)


def _work(jobs: "queue.SimpleQueue[_ThreadJob | None]", before: threading.Thread | None) -> None:
    """Run jobs until there is a None, but never beside the thread that did so before."""
    if before is not None:
        before.join()
    while (job := jobs.get()) is not None:
        function, loop, future = job
        if future.cancelled():
            continue
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            _answer(loop, _fail, future, error)
        else:
            _answer(loop, _succeed, future, result)


def _answer(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    # Where the loop has ended, no caller waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(*call)


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
