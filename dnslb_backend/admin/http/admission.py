"""Admission of the reads that cost: a status of ten thousand members is megabytes of JSON.

Lookups of PowerDNS come first: RENDERING answers are rendered at a time, each for all requests that
came before it began, and SENDING are being sent. A client that reads nothing is cut off, at once
where others wait.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from http import HTTPStatus

from aiohttp import web

from dnslb_backend.admin.http.problems import ProblemError
from dnslb_backend.admin.http.responses import PIECE, pieces_of
from dnslb_backend.tasks import BackgroundTasks

RENDERING = 2
SENDING = 8
WAITING = 64
"""Different answers that wait to be put together."""

WAIT = 10.0
"""Seconds that a request waits for its turn."""

SEND_TIMEOUT = 30.0
"""Seconds that a reader has to take one piece."""

CROWDED_SEND_TIMEOUT = 2.0
"""Seconds that it has while others wait."""

WRITE_SIZE = 2 * PIECE
"""Bytes that are handed over at a time; an answer that is no larger waits for no reader."""


class ReadAdmission:
    """The turns of one listener; `close` ends what is still being put together."""

    def __init__(
        self,
        *,
        send_timeout: float = SEND_TIMEOUT,
        crowded: float = CROWDED_SEND_TIMEOUT,
        wait: float = WAIT,
    ) -> None:
        self._send_timeout = send_timeout
        self._crowded = crowded
        self._wait = wait
        self.rendering = asyncio.Semaphore(RENDERING)
        """A turn at putting (a piece of) an answer together."""
        self._sending = asyncio.Semaphore(SENDING)
        self._waiting_to_send = 0
        self._next: dict[Hashable, asyncio.Task[web.Response]] = {}
        self._tasks = BackgroundTasks("admin")

    async def render(
        self, key: Hashable, handler: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.Response:
        """What one run of `handler` gives that begins after this call; callers of one key share it.

        Raises ProblemError 503 where there is no turn in time.
        """
        task = self._next.get(key)
        if task is None:
            if len(self._next) >= WAITING:
                raise _busy()
            task = self._next[key] = self._tasks.share(self._render(key, handler))
        # A request that is cancelled must not cancel it for the others.
        return await asyncio.shield(task)

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """A turn at sending a long answer. Raises ProblemError 503 where none comes in time."""
        self._waiting_to_send += 1
        try:
            await self._acquire(self._sending)
        finally:
            self._waiting_to_send -= 1
        try:
            yield
        finally:
            self._sending.release()

    async def send(self, request: web.Request, rendered: web.Response) -> web.StreamResponse:
        """Send what was rendered, which may go to several requests, piece by piece."""
        pieces = pieces_of(rendered)
        size = sum(map(len, pieces))
        if size <= WRITE_SIZE:
            body = b"".join(pieces)
            return web.Response(status=rendered.status, headers=rendered.headers, body=body)
        response = web.StreamResponse(status=rendered.status, headers=rendered.headers)
        response.content_length = size
        if request.method == "HEAD":
            return response
        async with self.sending():
            await response.prepare(request)
            for piece in pieces:
                view = memoryview(piece)
                for start in range(0, len(piece), WRITE_SIZE):
                    if not await self.write(request, response, view[start : start + WRITE_SIZE]):
                        return response
        return response

    async def write(
        self, request: web.Request, response: web.StreamResponse, piece: bytes | memoryview
    ) -> bool:
        """Send one piece; False where the reader does not take it: the connection is closed."""
        writing = self._tasks.share(response.write(piece))
        try:
            await asyncio.wait({writing}, timeout=self._crowded)
            loop = asyncio.get_running_loop()
            end = loop.time() + self._send_timeout - self._crowded
            while not writing.done() and not self._waiting_to_send and loop.time() < end:
                await asyncio.wait({writing}, timeout=min(self._crowded, end - loop.time()))
            if writing.done():
                writing.result()
                return True
        except ConnectionError:
            return False
        finally:
            writing.cancel()
        if request.transport is not None:
            request.transport.abort()
        return False

    async def close(self) -> None:
        """Cancel what is being rendered or written."""
        await self._tasks.close()

    async def _render(
        self, key: Hashable, handler: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.Response:
        try:
            await self._acquire(self.rendering)
        finally:
            # From here on the moment that it shows is fixed: who asks now shares the next one.
            del self._next[key]
        try:
            rendered = await handler()
        finally:
            self.rendering.release()
        assert isinstance(rendered, web.Response)
        return rendered

    async def _acquire(self, turns: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await turns.acquire()
        except TimeoutError as error:
            raise _busy() from error


def _busy() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many long answers are under way: retry later",
        headers={"Retry-After": "2"},
    )
