"""TLS contexts of checks, which are built once, and again when a file has changed."""

import asyncio
import errno
import logging
import math
import ssl
import stat
from pathlib import Path

from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.tasks import BackgroundTasks
from dnslb_backend.tls_client import TlsClientSettings, build_context

log = logging.getLogger(__name__)

Stamps = tuple[tuple[int, int, int], ...]

Built = tuple[Stamps, ssl.SSLContext]

FILES_LIMIT = 2.0
"""Seconds for looking at the files of a context, and for reading them if they changed."""

FILE_SIZE_LIMIT = 16 << 20

LOOK_INTERVAL = 1.0
"""Seconds for which a context is used before its files are looked at again."""

LOOKS = 8
"""Settings whose files are looked at at once; the others wait for their turn."""


class TlsContexts:
    """Contexts by their settings. Files on storage that hangs hold up only what needs them."""

    def __init__(self) -> None:
        self._entries: dict[TlsClientSettings, _CachedContext] = {}
        self._turns = asyncio.Semaphore(LOOKS)
        self._tasks = BackgroundTasks("check")

    async def context(self, settings: TlsClientSettings) -> ssl.SSLContext:
        """Raises ProbeError when a file cannot be used.

        While the files do not answer, the last context built from them is used.
        """
        entry = self._entries.get(settings)
        if entry is None:
            entry = _CachedContext(settings, self._turns, self._tasks)
            self._entries[settings] = entry
        return await entry.context()

    async def close(self) -> None:
        """Stop waiting for files."""
        await self._tasks.close()


class _CachedContext:
    """The context of one setting, at most one look at its files under way, and one thread."""

    def __init__(
        self, settings: TlsClientSettings, turns: asyncio.Semaphore, tasks: BackgroundTasks
    ) -> None:
        self._settings = settings
        self._turns = turns
        self._tasks = tasks
        self._built: Built | None = None
        self._problem: ProbeError | None = None
        self._look: asyncio.Task[None] | None = None
        self._looked = -math.inf
        self._stuck = False

    async def context(self) -> ssl.SSLContext:
        if self._built is None or self._looked + LOOK_INTERVAL < asyncio.get_running_loop().time():
            if self._look is None or self._look.done():
                self._look = self._tasks.share(self._refresh())
            # A probe that is cancelled must not cancel it for the others.
            await asyncio.shield(self._look)
        if self._problem is not None:
            raise ProbeError(str(self._problem))
        assert self._built is not None
        return self._built[1]

    async def _refresh(self) -> None:
        if self._stuck:
            return
        problem: ProbeError | None = None
        try:
            async with self._turns:
                self._built = await run_blocking(self._current, FILES_LIMIT)
        except TimeoutError:
            text = f"cannot use {self._files()}: no answer within {FILES_LIMIT:g} s"
            log.warning("%s", text)
            problem = ProbeError(text) if self._built is None else None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problem = ProbeError(f"cannot use {self._files()}: {reason}")
        self._problem = problem
        self._looked = asyncio.get_running_loop().time()

    def _current(self) -> Built:
        """In a thread, which may be given up: until it is back no other one is sent."""
        self._stuck = True
        try:
            stamps = tuple(_stamp(file) for file in self._settings.files())
            if self._built is not None and self._built[0] == stamps:
                return self._built
            return stamps, build_context(self._settings)
        finally:
            self._stuck = False

    def _files(self) -> str:
        named = (self._settings.ca_file, self._settings.client_cert, self._settings.client_key)
        return ", ".join(filter(None, named)) or "the system's certificate authorities"


def _stamp(file: str) -> tuple[int, int, int]:
    """What changes when the file does. Raises OSError for what reading might never end of."""
    facts = Path(file).stat()
    if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", file)
    if facts.st_size > FILE_SIZE_LIMIT:
        raise OSError(errno.EFBIG, f"is larger than {FILE_SIZE_LIMIT} bytes", file)
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
