"""What PowerDNS asks is counted, by the way it came and by what became of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import build_snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.model.records import Policy
from dnslb_backend.metrics import REGISTRY
from dnslb_backend.pdns.methods.metered import QUESTION_LIMIT, MeteredResponder
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.rows import render_rows
from tests.core.building import KEY, plan, record
from tests.pdns.connectors.test_line_protocol import V4, Peer, lookup, peer, question
from tests.pdns.http_peer import peer as http_peer
from tests.pdns.transports import serve_http, serve_unix
from tests.pdns.world import World

OUTCOMES = ("found", "nodata", "nxdomain", "servfail", "bad_request")


def counted(transport: str) -> list[float]:
    """Lookups of a transport by outcome, and how many were timed."""
    labels = {"transport": transport}
    counts = [
        REGISTRY.get_sample_value("dnslb_lookups_total", {**labels, "outcome": outcome})
        for outcome in OUTCOMES
    ]
    timed = REGISTRY.get_sample_value("dnslb_lookup_duration_seconds_count", labels)
    return [count or 0.0 for count in (*counts, timed)]


@asynccontextmanager
async def counting(transport: str) -> AsyncIterator[list[float]]:
    """What was added meanwhile; complete when it ends."""
    before = counted(transport)
    added: list[float] = []
    yield added
    added += [after - base for after, base in zip(counted(transport), before, strict=True)]


@pytest.fixture
async def path() -> AsyncIterator[str]:
    async with serve_unix(Responder(World().current)) as path:
        yield path


async def test_over_http() -> None:
    async with serve_http(Responder(World().current)) as port, counting("http") as added:
        async with http_peer(port) as client:
            head = "GET /dns/lookup/%s%%2elb%%2eexample%%2e/%s HTTP/1.1\r\nHost: x\r\n\r\n"
            for name, qtype in (
                ("www", "ANY"),
                ("v4", "A"),
                ("v4", "AAAA"),
                ("empty", "ANY"),
                ("nope", "A"),
                ("pending", "ANY"),
                ("%zz", "A"),
            ):
                await client.say((head % (name, qtype)).encode())
        async with http_peer(port) as client:
            body = V4.strip()
            length = f"Content-Length: {len(body)}\r\n\r\n".encode()
            await client.say(b"POST /dns HTTP/1.1\r\nHost: x\r\n" + length + body)
            await client.say(b"GET /dns/getAllDomains HTTP/1.1\r\nHost: x\r\n\r\n")
    assert added == [3, 2, 1, 1, 1, 8]


async def test_over_unix(path: str) -> None:
    async with counting("unix") as added, counting("pipe") as others, peer(path) as client:
        for line in (V4, V4.replace(b": ", b":"), lookup("nope."), lookup("empty.lb.example.")):
            await client.say(line)
        for bad in (lookup("pending.lb.example."), b"nonsense\n"):
            async with peer(path) as other:
                other.writer.write(bad)
                assert await other.is_left()
    assert added == [2, 1, 1, 1, 1, 6]
    assert others == [0] * 6


async def test_over_a_pipe(path: str) -> None:
    async with counting("unix") as others, counting("pipe") as added:
        async with peer(path) as client:
            await client.say(b'{"method": "initialize", "parameters": {"command": "x"}}\n')
            await client.say(V4)
        async with peer(path) as client:
            client.writer.write(b"HELO\t1\n")
            await client.line()
            await _asked(client, question(1, "v4.lb.example", "AAAA"))
            await _asked(client, question(1, "pending.lb.example"))
            await _asked(client, b"nonsense\n")
    assert added == [1, 1, 0, 1, 1, 4]
    assert others == [0] * 6


async def test_what_is_asked_again_is_found_once_and_a_random_name_is_not_kept() -> None:
    metered = MeteredResponder(Responder(World().current), "unix")
    for name, is_kept in (
        ("v4.lb.example.", True),
        ("empty.lb.example.", True),
        ("nope.lb.example.", False),
        ("*.lb.example.", True),
    ):
        assert metered.known(name.encode()) is None
        async with counting("unix") as first:
            answer = metered.lookup(name, "ANY", str, name.encode())
        async with counting("unix") as again:
            assert metered.known(name.encode()) == (answer if is_kept else None)
        assert again == (first if is_kept else [0] * 6)


async def test_an_answer_that_depends_on_the_client_is_its_own_each_time() -> None:
    members = tuple(f"192.0.2.{number}" for number in range(1, 9))
    layout = build_name_index(plan(replace(record(*members), policy=Policy.STICKY)))
    snapshots = [
        build_snapshot(layout, lambda _, kind=kind: Decision(kind, members), render_rows, 1.0)[0]  # type: ignore[misc]
        for kind in (DecisionKind.SERVE, DecisionKind.PENDING)
    ]
    current = snapshots[0]
    metered = MeteredResponder(Responder(lambda: current), "unix")
    clients = [f"10.0.{number}.1/32" for number in range(20)]
    for client in clients:
        metered.known(client.encode())
        metered.lookup(f"{KEY.name}.", "ANY", lambda client=client: client, client.encode())  # type: ignore[misc]
    answers = [metered.known(client.encode()) for client in clients]
    alone = Responder(lambda: current)
    assert answers == [
        alone.lookup(f"{KEY.name}.", "ANY", lambda client=client: client)  # type: ignore[misc]
        for client in clients
    ]
    assert len(set(answers)) > 1
    current = snapshots[1]
    assert [metered.known(client.encode()) for client in clients] == [None] * len(clients)


async def _asked(client: Peer, line: bytes) -> None:
    client.writer.write(line)
    await client.lines()


@pytest.mark.parametrize(("size", "is_kept"), [(QUESTION_LIMIT, True), (QUESTION_LIMIT + 1, False)])
def test_a_question_of_any_length_is_answered_and_a_long_one_is_not_kept(
    size: int, is_kept: bool
) -> None:
    metered = MeteredResponder(Responder(World().current), "pipe")
    question = b"Q\t".ljust(size, b"x")
    assert metered.known(question) is None
    answer = metered.lookup("v4.lb.example.", "ANY", str, question)
    assert b"10.0.0.4" in answer
    assert metered.known(question) == (answer if is_kept else None)
