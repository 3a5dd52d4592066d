"""The connectors in a process of their own: `python -m tests.pdns.serving PORT`.

It serves 200 names n0 .. n199 besides those of the world, and ends on SIGTERM as a daemon does.
"""

import asyncio
import signal
import sys

import uvloop

from dnslb_backend.pdns.http import HttpConnector
from dnslb_backend.pdns.listeners import listen_tcp
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.settings import Endpoint
from tests.pdns.transports import LOOPBACK
from tests.pdns.world import World

NAMES = 200


def crowded_world() -> World:
    world = World()
    for number in range(NAMES):
        addresses = (f"10.1.{number}.{last}" for last in (1, 2, 3))
        world.serve(f"n{number}", "A", *addresses)
    world.snapshot = world.build()
    return world


async def main(port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    world = crowded_world()
    connector = HttpConnector(Responder(world.current), LOOPBACK)
    await connector.start([listen_tcp(Endpoint("127.0.0.1", port))])
    sys.stderr.write("serving\n")
    await stopped.wait()
    await connector.stop(grace=0.3)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
