"""/api/v1/events: who listens hears what happens, and who does not listen costs nothing."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from dnslb_backend.admin.app import build_app
from dnslb_backend.admin.http.access import load_access
from dnslb_backend.admin.http.endpoint import AdminState
from dnslb_backend.admin.http.event_stream import (
    CLIENTS,
    EVENTS_KEPT,
    EVENTS_PER_WRITE,
    EventRing,
    EventStreams,
    Hint,
    TransitionRow,
)
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.service import ServiceStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.metrics import REGISTRY
from tests.admin.node import Node
from tests.core.building import KEY, at
from tests.rigs.waiting import until

ASK = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def transition(number: int, reason: str = "timed out") -> Transition:
    address = f"10.0.{number >> 8 & 255}.{number & 255}"
    was, now = Health.UP, Health.DOWN
    return Transition(
        at(number).wall, KEY, address, address, was, now, True, False, 1, None, reason
    )


def clients() -> float:
    return REGISTRY.get_sample_value("dnslb_event_clients") or 0.0


def dropped() -> float:
    return REGISTRY.get_sample_value("dnslb_event_clients_dropped_total") or 0.0


@asynccontextmanager
async def streaming(
    ring: EventRing, streams: EventStreams | None = None
) -> AsyncIterator[tuple[str, int]]:
    """The API with a ring of its own; gives host and port."""
    state = AdminState(Node(), load_access(AdminSettings()), ring)
    app = build_app(state, streams or EventStreams())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield host, port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(
    address: tuple[str, int], last_seen: str = ""
) -> AsyncIterator[aiohttp.StreamReader]:
    """A client that has been told that it is connected."""
    headers = {"Last-Event-ID": last_seen} if last_seen else {}
    host, port = address
    async with (
        aiohttp.ClientSession(f"http://{host}:{port}") as session,
        session.get("/api/v1/events", headers=headers) as response,
    ):
        assert response.content_type == "text/event-stream"
        assert await event(response.content) == {"retry": "2000"}
        yield response.content


async def silent_client(address: tuple[str, int], receive_buffer: int = 0) -> socket.socket:
    """A client that asks for the stream; whether it ever reads is up to the test."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, ASK)
    return sock


async def event(stream: aiohttp.StreamReader) -> dict[str, str]:
    """The next event: its fields; empty for a heartbeat, and at the end."""
    fields: dict[str, str] = {}
    while (line := (await stream.readline()).decode()).strip():
        name, _, value = line.rstrip("\n").partition(": ")
        if name != ":":
            fields[name] = value
    return fields


async def test_a_transition_is_told_to_everybody_who_listens() -> None:
    ring = EventRing(7)
    async with streaming(ring) as address, listening(address) as one, listening(address) as two:
        ring.publish([transition(1), transition(2)])
        for stream in (one, two):
            first, second = await event(stream), await event(stream)
            assert (first["id"], second["id"]) == ("7-1", "7-2")
            assert first["event"] == "transition"
            row = TransitionRow.model_validate_json(first["data"])
            assert (row.name, row.address, row.reason) == (KEY.name, "10.0.0.1", "timed out")
            assert (row.from_health, row.to_health) == ("UP", "DOWN")
            assert (row.from_served, row.to_served) == (True, False)
            assert (row.from_priority, row.to_priority) == (1, None)


async def test_who_leaves_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A browser leaves whenever it likes: no traceback comes of it."""
    ring = EventRing(7)
    async with streaming(ring) as address:
        async with listening(address):
            await until(lambda: clients() == 1)

        def has_left() -> bool:
            ring.publish([transition(1)])
            return clients() == 0

        await until(has_left)
    assert [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"] == []


async def test_notices_stand_among_the_transitions() -> None:
    ring = EventRing(7)
    async with streaming(ring) as address, listening(address) as stream:
        ring.publish([Hint.OVERRIDES])
        ring.publish([transition(1), Hint.RELOAD])
        told = [await event(stream) for _ in range(3)]
        assert [each["event"] for each in told] == ["overrides", "transition", "reload"]
        assert [each["id"] for each in told] == ["7-1", "7-2", "7-3"]
        assert told[0]["data"] == told[2]["data"] == "{}"


async def test_a_decision_has_the_fields_of_its_line_in_the_log() -> None:
    ring = EventRing(7)
    async with streaming(ring) as address, listening(address) as stream:
        before = ServiceStatus(DecisionKind.SERVE, 2, 2, 2)
        after = ServiceStatus(DecisionKind.NODATA, 0, 2, 0)
        ring.publish([DecisionChange(at(1).wall, KEY, before, after, "2 of 2 members DOWN")])
        got = await event(stream)
        assert (got["id"], got["event"]) == ("7-1", "decision")
        assert json.loads(got["data"]) == {
            "at": "2023-11-14T22:13:21.000Z",
            "zone": KEY.zone,
            "name": KEY.name,
            "type": "A",
            "from": "serving",
            "to": "no answer",
            "served": 0,
            "total": 2,
            "up": 0,
            "severity": "error",
            "reason": "2 of 2 members DOWN",
        }


async def test_text_from_a_target_cannot_forge_an_event() -> None:
    ring = EventRing(7)
    async with streaming(ring) as address, listening(address) as stream:
        ring.publish([transition(1, "a\n\nevent: transition\ndata: {}\r\rid: 9")])
        told = await event(stream)
        assert set(told) == {"id", "event", "data"}
        assert "id: 9" in json.loads(told["data"])["reason"]


async def test_what_was_missed_in_a_short_absence_is_told_again() -> None:
    ring = EventRing(7)
    ring.publish(transition(number) for number in range(5))
    async with streaming(ring) as address, listening(address, "7-3") as stream:
        assert [(await event(stream))["id"] for _ in range(2)] == ["7-4", "7-5"]


@pytest.mark.parametrize(
    "last_seen",
    ["6-3", "7-5", "7-999", "7-", "nonsense", "7-" + "9" * 5000, "7-\u0663", "-1", "7--1"],
)
async def test_who_comes_from_elsewhere_begins_now(last_seen: str) -> None:
    ring = EventRing(7)
    ring.publish(transition(number) for number in range(5))
    assert ring.cursor(last_seen) == 6


async def test_who_is_too_slow_is_told_how_much_was_lost() -> None:
    ring = EventRing(7)
    place = ring.cursor("")
    ring.publish(transition(number) for number in range(EVENTS_KEPT + 10))
    data, place = ring.since(place)
    assert data.startswith(b'event: lost\ndata: {"count":10}\n\nid: 7-11\n')
    assert place == 11 + EVENTS_PER_WRITE


async def test_a_silent_stream_shows_that_it_is_alive() -> None:
    ring = EventRing(7)
    async with (
        streaming(ring, EventStreams(heartbeat=0.01)) as address,
        listening(address) as stream,
    ):
        for _ in range(3):
            assert await event(stream) == {}
        ring.publish([transition(1)])
        while not (told := await event(stream)):
            pass
        assert told["id"] == "7-1"


async def test_a_client_that_leaves_is_forgotten() -> None:
    ring = EventRing(7)
    before = clients()
    async with streaming(ring, EventStreams(heartbeat=0.01)) as address:
        async with listening(address):
            assert clients() == before + 1
        await until(lambda: clients() == before, what="the client is forgotten")


async def test_the_end_of_the_listener_ends_the_streams() -> None:
    node = Node()
    settings = AdminSettings(listen="127.0.0.1:0")
    server = AdminServer(settings, load_access(settings), node)
    await server.start()
    assert server.port is not None
    async with listening(("127.0.0.1", server.port)) as stream:
        server.publish([transition(1)])
        assert (await event(stream))["event"] == "transition"
        async with asyncio.timeout(1):
            await server.stop()
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.read()


async def test_who_may_no_longer_read_is_cut_off(token_file: Path) -> None:
    node = Node()
    settings = AdminSettings(listen="127.0.0.1:0")
    server = AdminServer(settings, load_access(settings), node)
    await server.start()
    assert server.port is not None
    async with listening(("127.0.0.1", server.port)) as stream:
        server.commit(await server.prepare(settings, load_access(settings)))
        server.publish([transition(1)])
        assert (await event(stream))["event"] == "transition", "nothing has changed for it"
        strict = AdminSettings(listen="127.0.0.1:0", allow=())
        server.commit(await server.prepare(strict, load_access(strict)))
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.read()
    await server.stop()


async def test_head_ends_at_once() -> None:
    async with (
        streaming(EventRing(7)) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as session,
        session.head("/api/v1/events") as response,
    ):
        assert response.status == 200


async def test_a_client_too_many_takes_the_place_of_the_one_that_has_listened_longest() -> None:
    ring = EventRing(7)
    async with streaming(ring, EventStreams()) as address:
        before = clients()
        sockets = [await silent_client(address) for _ in range(CLIENTS)]
        await until(lambda: clients() == before + CLIENTS, what="all of them listen")
        async with listening(address) as stream:
            ring.publish([transition(1)])
            assert (await event(stream))["id"] == "7-1"
            await until(lambda: clients() == before + CLIENTS, what="one of them has gone")
        for sock in sockets:
            sock.close()


@pytest.mark.usefixtures("no_collection")
async def test_500_idle_clients_and_one_that_never_reads_hold_up_nobody() -> None:
    """Neither the one who publishes nor another client waits; CPU time, others use the machine."""
    ring = EventRing(7)
    before, dropped_before = clients(), dropped()
    async with streaming(ring, EventStreams(send_timeout=0.5)) as address:
        idle = [await silent_client(address) for _ in range(500)]
        deaf = await silent_client(address, receive_buffer=4096)
        await until(lambda: clients() == before + 501, what="all of them listen")
        async with listening(address) as attentive:
            longest = 0.0
            for number in range(200):
                began = time.thread_time()
                # The idle ones get one event in ten; the deaf one is flooded all the time.
                ring.publish(transition(number) for _ in range(20))
                published = time.thread_time() - began
                assert published < 0.05
                while (await event(attentive)).get("event") != "transition":
                    pass
                longest = max(longest, time.thread_time() - began)
                if number % 10 == 0:
                    for sock in idle:
                        drain(sock)
            assert longest < 1
        await until(lambda: dropped() > dropped_before, what="the deaf one is cut off")
        assert len(ring._events) == EVENTS_KEPT
        for sock in (*idle, deaf):
            sock.close()


def drain(sock: socket.socket) -> None:
    try:
        while sock.recv(1 << 20):
            pass
    except BlockingIOError:
        return
