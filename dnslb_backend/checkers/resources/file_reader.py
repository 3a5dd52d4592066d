"""Reads files outside of the event loop; storage that hangs costs only its own files."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.helper_process import HelperProcess, Message
from dnslb_backend.tasks import BackgroundTasks

SCRIPT = Path(__file__).with_name("file_worker.py")

SIZE_LIMIT = 64 * 1024
"""Bytes of a file that are looked at."""

READ_LIMIT = 2.0
RETRY_AFTER = 30.0
"""A read that hangs so long (s) is killed, with its process, and tried again."""

LINGERING_LIMIT = 3
"""So many processes may hang in spite of SIGKILL; then the storage has to come back by itself."""


@dataclass(frozen=True, slots=True)
class FileText:
    """The start of a file, and the seconds since it was written (negative: in the future)."""

    text: str
    age: float
    cut: bool


class FileReader:
    """Owns the helper process, which starts with the first file."""

    def __init__(self) -> None:
        self._helper = HelperProcess("the file helper", SCRIPT)
        self._reads: dict[str, tuple[float, asyncio.Task[Message]]] = {}
        """One read of a file at a time, and when it began: all who want the file share it."""
        self._tasks = BackgroundTasks("check")

    async def read(self, path: str) -> FileText | None:
        """The first SIZE_LIMIT bytes of a regular file; None if there is no file.

        Raises ProbeError when it cannot be read, or not in time.
        """
        task = self._reading(path)
        await asyncio.wait({task}, timeout=READ_LIMIT)
        if not task.done():
            self._helper.check()
            raise ProbeError(f"cannot read {path}: its storage does not answer")
        answer = task.result()
        if "missing" in answer:
            return None
        return FileText(answer["text"], answer["age"], answer["cut"])

    async def close(self) -> None:
        await self._helper.close()
        await self._tasks.close()

    def _reading(self, path: str) -> asyncio.Task[Message]:
        now = asyncio.get_running_loop().time()
        begun, task = self._reads.get(path, (now, None))
        if now - begun > RETRY_AFTER and self._helper.lingering < LINGERING_LIMIT:
            self._helper.replace()
            self._reads.clear()
            task = None
        if task is None:
            task = self._tasks.share(self._ask(path), f"read {path}")
            self._reads[path] = now, task
            task.add_done_callback(lambda ended: self._ended(path, ended))
        return task

    def _ended(self, path: str, task: asyncio.Task[Message]) -> None:
        if self._reads.get(path, (0, None))[1] is task:
            del self._reads[path]

    async def _ask(self, path: str) -> Message:
        async with self._helper.call({"path": path, "limit": SIZE_LIMIT}) as call:
            return await call.response()
