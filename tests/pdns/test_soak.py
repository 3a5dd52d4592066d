"""Long runs of the connectors: what grows, grows without end."""

import asyncio
import gc
import socket

import pytest

from dnslb_backend.pdns.connectors.line_protocol import StoredConnection
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.connectors.test_line_protocol import lookup
from tests.pdns.serving import NAMES, crowded_world
from tests.rigs.processes import resident

LOOKUPS = 20_000_000
BATCH = 1000


@pytest.mark.soak
async def test_twenty_million_lookups_leave_memory_flat() -> None:
    world = crowded_world()
    connector = UnixConnector(Responder(world.current))
    ours, theirs = socket.socketpair()
    await connector.adopt([StoredConnection(ours)])
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    names = [f"n{number}.lb.example." for number in range(NAMES)] + [
        "nope.lb.example.",
        "lb.example.",
    ]
    batch = b"".join(lookup(names[number % len(names)]) for number in range(BATCH))
    sizes = []
    for turn in range(LOOKUPS // BATCH):
        sending = asyncio.create_task(loop.sock_sendall(theirs, batch))
        answers = 0
        while answers < BATCH:
            answers += (await loop.sock_recv(theirs, 1 << 20)).count(b"\n")
        await sending
        if turn % 100 == 0:
            world.change(f"n{turn // 100 % NAMES}", "A", f"10.9.{turn >> 8 & 255}.{turn & 255}")
        if turn % (LOOKUPS // BATCH // 20) == 0:
            gc.collect()
            sizes.append(resident())
    theirs.close()
    # The first twentieth fills what is filled once.
    assert max(sizes[1:]) - sizes[1] < 2.0, sizes
