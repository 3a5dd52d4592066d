"""Serves, changes an answer when it is told to, and says when the change was live.

`python -m tests.bench.flipper --unix PATH --slow PORT --delay SECONDS --pdns JSON`: a line "N" on
standard input gives one name after the other the address 10.128.0.0 + N; the answer is a line with
CLOCK_MONOTONIC in nanoseconds, the moment from which a lookup was given the new address. At PORT
answers take a while. JSON is [pdns]: how PowerDNS is purged.
"""

import argparse
import asyncio
import ipaddress
import socket
import sys
import time

import uvloop

from dnslb_backend.core.answers.invalidation import find_references
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp, listen_unix
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import PdnsSettings
from tests.pdns.serving import NAMES, crowded_world
from tests.pdns.slow_proxy import slow_proxy
from tests.pdns.transports import LOOPBACK

FIRST = int(ipaddress.ip_address("10.128.0.0"))


def address(number: int) -> str:
    return str(ipaddress.ip_address(FIRST + number))


def name(number: int) -> str:
    """The name that changes next, relative: each is left alone for a while, as names are."""
    return f"n{number % NAMES}"


async def main(path: str, slow: int, delay: float, channel: PdnsSettings) -> None:
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    async with slow_proxy(listener.getsockname()[1], delay, slow):
        await serve(path, listener, channel)


async def serve(path: str, listener: socket.socket, channel: PdnsSettings) -> None:
    loop = asyncio.get_running_loop()
    world = crowded_world()
    responder = Responder(world.current)
    await (unix := UnixConnector(responder)).start([listen_unix(path, 0o600)])
    await (http := HttpConnector(responder, LOOPBACK)).start([listener])
    purger = Purger(channel)
    purging = loop.create_task(purger.run(lambda: None))
    plan = Plan(world.zones, world.records)
    dependents = find_references(plan, world.snapshot.name_index)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    sys.stderr.write("serving\n")
    while line := await orders.readline():
        changed = world.change(name(int(line)), "A", address(int(line)))
        live = time.monotonic_ns()
        purger.purge(dependents.names_to_purge(changed))
        sys.stdout.write(f"{live}\n")
        sys.stdout.flush()
    purging.cancel()
    for connection in await unix.stop(grace=0):
        connection.sock.close()
    await http.stop(grace=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--unix", required=True)
    parser.add_argument("--slow", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.03)
    parser.add_argument("--pdns", required=True, type=PdnsSettings.model_validate_json)
    given = parser.parse_args()
    uvloop.run(main(given.unix, given.slow, given.delay, given.pdns))
