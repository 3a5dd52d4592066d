"""The connectors in a process of their own: `python -m tests.pdns.serving`.

    --http PORT, --unix PATH    where to listen, besides what the service manager hands over

It serves 200 names n0 .. n199 besides those of the world, and ends on SIGTERM as a daemon does:
connections go back to the service manager.
"""

import argparse
import asyncio
import os
import signal
import sys

import uvloop

from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp, listen_unix
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.systemd import FdStore, Notifier, take_activated
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


async def main(http_port: int | None, unix_path: str | None) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    responder = Responder(crowded_world().current)
    inherited, keeper = take_activated(os.environ), FdStore.from_environment()
    if http_port is not None:
        inherited.http.append(listen_tcp(AddressPort("127.0.0.1", http_port)))
    if unix_path is not None:
        inherited.unix.append(listen_unix(unix_path, 0o600))
    http = HttpConnector(responder, LOOPBACK)
    unix = UnixConnector(responder)
    await http.start(inherited.http)
    await unix.adopt(inherited.connections)
    keeper.release(inherited.connections)
    await unix.start(inherited.unix)
    Notifier.from_environment().ready("serving")
    sys.stderr.write("serving\n")
    await stopped.wait()
    left, _ = await asyncio.gather(unix.stop(grace=1), http.stop(grace=0.3))
    await keeper.keep(left)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    parser.add_argument("--unix")
    given = parser.parse_args()
    uvloop.run(main(given.http, given.unix))
