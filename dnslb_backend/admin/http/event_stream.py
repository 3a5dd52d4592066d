"""The stream of events of this node (server-sent events).

There is one ring of the latest events; a client has only its cursor in it, and at most 100 KB that
are on their way to it. A client that is too slow loses the oldest events and is sent their number;
one whose connection takes nothing at all is disconnected.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web
from pydantic import Field, RootModel

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.timestamps import Timestamp, render_timestamp
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.service import Service, Severity
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.labels import labels_by_key
from dnslb_backend.metrics import EVENT_CLIENTS, EVENT_CLIENTS_DROPPED

EVENTS_KEPT = 1024
"""Events that a client may lag behind, or find again after a short absence."""

EVENTS_PER_WRITE = 64
"""Events that are written at once."""

CLIENTS = 1000
"""Clients that may listen; a further one takes the place of the one that has listened longest."""

HEARTBEAT = 15.0
"""Seconds of silence after which a client is shown that the stream is alive."""

SEND_BUFFER = 64 * 1024
"""Bytes that the kernel may keep for one client."""

SEND_TIMEOUT = 30.0
"""Seconds that a connection may take nothing at all."""


class TransitionRow(ApiModel):
    """A change of a member's effective health, priority or served state."""

    at: Timestamp
    zone: str
    name: str
    type: str
    content: str
    address: str
    from_health: Health
    to_health: Health
    from_served: bool
    to_served: bool
    from_priority: int | None
    to_priority: int | None
    reason: str
    labels: dict[str, str]


class DecisionRow(ApiModel):
    """A change of what clients of a record are given, or of whether its last healthy member is all
    that is left."""

    at: Timestamp
    zone: str
    name: str
    type: str
    before: Service = Field(alias="from")
    after: Service = Field(alias="to")
    served: int = Field(description="members that are served; fallback addresses are not counted")
    total: int = Field(description="members that there are")
    up: int = Field(description="members that are UP and not drained")
    severity: Severity = Field(description="the level of its line in the log")
    reason: str = Field(description="the numbers in words")


class EventRow(RootModel[TransitionRow | DecisionRow]):
    """The data of an event."""


class Hint(StrEnum):
    """An event without data: clients ask for what has changed."""

    OVERRIDES = "overrides"
    """The overrides in force or pending have changed."""
    RELOAD = "reload"
    """The configuration was read again."""
    VOTERS = "voters"
    """Other nodes decide together with this one now, or this one votes now, or no more."""


StreamEvent = Transition | DecisionChange | Hint


@dataclass(slots=True)
class _Event:
    """One event, rendered when the first client wants it and for all of them."""

    number: int
    source: StreamEvent
    rendered: bytes = b""

    def render(self, epoch: int) -> bytes:
        if not self.rendered:
            kind, body = _text_of(self.source)
            self.rendered = f"id: {epoch}-{self.number}\nevent: {kind}\ndata: {body}\n\n".encode()
        return self.rendered


class EventRing:
    """The latest events. `epoch` is that of this run of the daemon."""

    def __init__(self, epoch: int, kept: int = EVENTS_KEPT) -> None:
        self._epoch = epoch
        self._events: deque[_Event] = deque(maxlen=kept)
        self._next = 1
        self._changed = asyncio.Event()

    def publish(self, new: Iterable[StreamEvent]) -> None:
        """Add events for every client; never waits for one."""
        before = self._next
        for event in new:
            self._events.append(_Event(self._next, event))
            self._next += 1
        if self._next != before:
            self._changed.set()
            self._changed = asyncio.Event()

    def cursor(self, last_seen: str) -> int:
        """The number of the first event for a client that has sent its Last-Event-ID."""
        epoch, _, number = last_seen.partition("-")
        is_ours = epoch == str(self._epoch) and number.isascii() and number.isdigit()
        if not is_ours or len(number) > len(str(self._next)):
            return self._next
        return min(int(number) + 1, self._next)

    def since(self, cursor: int) -> tuple[bytes, int]:
        """At most EVENTS_PER_WRITE events from `cursor` on as bytes, and the cursor after them."""
        oldest = self._events[0].number if self._events else self._next
        lost = max(oldest - cursor, 0)
        cursor += lost
        parts = [_lost(lost)] if lost else []
        chosen = [
            self._events[i - oldest]
            for i in range(cursor, min(cursor + EVENTS_PER_WRITE, self._next))
        ]
        parts += (event.render(self._epoch) for event in chosen)
        return b"".join(parts), cursor + len(chosen)

    async def after(self, cursor: int) -> None:
        """Return as soon as there is an event at `cursor`."""
        while cursor >= self._next:
            await self._changed.wait()


class EventStreams:
    """The streams of one listener, so that it can end them."""

    def __init__(self, *, send_timeout: float = SEND_TIMEOUT, heartbeat: float = HEARTBEAT) -> None:
        self._send_timeout = send_timeout
        self._heartbeat = heartbeat
        self._tasks: dict[asyncio.Task[object], None] = {}

    async def serve(self, request: web.Request, ring: EventRing) -> web.StreamResponse:
        """Stream events until the client goes, or takes nothing any more."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        if request.method == "HEAD":
            return response
        with self._listed():
            cursor = ring.cursor(request.headers.get("Last-Event-ID", ""))
            _limit_buffer(request)
            await response.prepare(request)
            try:
                await self._stream(response, ring, cursor)
            except TimeoutError:
                EVENT_CLIENTS_DROPPED.inc()
                if request.transport is not None:
                    request.transport.abort()
            except ConnectionError:
                # The client has gone: such a stream has no other end.
                pass
        return response

    def end(self) -> None:
        """End all streams; their clients reconnect and are authorized again."""
        for task in self._tasks:
            task.cancel()

    async def _stream(self, response: web.StreamResponse, ring: EventRing, cursor: int) -> None:
        await self._write(response, b"retry: 2000\n\n")
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    await ring.after(cursor)
            except TimeoutError:
                await self._write(response, b":\n\n")
                continue
            data, cursor = ring.since(cursor)
            await self._write(response, data)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        """Raises TimeoutError when the client has taken nothing for too long."""
        async with asyncio.timeout(self._send_timeout):
            await response.write(data)

    @contextlib.contextmanager
    def _listed(self) -> Iterator[None]:
        if len(self._tasks) >= CLIENTS:
            # It reconnects with Last-Event-ID and misses nothing.
            oldest = next(iter(self._tasks))
            del self._tasks[oldest]
            oldest.cancel()
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        EVENT_CLIENTS.inc()
        try:
            yield
        finally:
            self._tasks.pop(task, None)
            EVENT_CLIENTS.dec()


def transition_row(transition: Transition) -> TransitionRow:
    return TransitionRow(
        at=render_timestamp(transition.at),
        zone=transition.key.zone,
        name=transition.key.name,
        type=transition.key.type,
        content=transition.content,
        address=transition.address,
        from_health=transition.from_health,
        to_health=transition.to_health,
        from_served=transition.from_served,
        to_served=transition.to_served,
        from_priority=transition.from_priority,
        to_priority=transition.to_priority,
        reason=transition.reason,
        labels=labels_by_key(transition.labels),
    )


def decision_row(change: DecisionChange) -> DecisionRow:
    after = change.after
    fields: dict[str, object] = {
        "at": render_timestamp(change.at),
        "zone": change.key.zone,
        "name": change.key.name,
        "type": change.key.type,
        "from": change.before.service,
        "to": after.service,
        "served": after.served,
        "total": after.total,
        "up": after.up,
        "severity": after.severity,
        "reason": change.reason,
    }
    return DecisionRow.model_validate(fields)


def _text_of(event: StreamEvent) -> tuple[str, str]:
    """The kind and the data of an event."""
    if isinstance(event, Hint):
        return event, "{}"
    if isinstance(event, DecisionChange):
        return "decision", decision_row(event).model_dump_json(by_alias=True)
    return "transition", transition_row(event).model_dump_json()


def _limit_buffer(request: web.Request) -> None:
    """Keep the kernel and this process from buffering megabytes for a client that does not read."""
    if request.transport is not None:
        request.transport.set_write_buffer_limits(0)
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def _lost(count: int) -> bytes:
    return f'event: lost\ndata: {{"count":{count}}}\n\n'.encode()
