"""Run in an installed system, by the package's own Python: a target, the daemon, PowerDNS, a query.

It prints the addresses that DNS answers for NAME, and those after a second target has come up,
which PowerDNS must not have cached. It ends what it started.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

AS_UNDER_SYSTEMD = {"RUNTIME_DIRECTORY": "/run/dnslb", "STATE_DIRECTORY": "/var/lib/dnslb"}
TARGET = ["python3", "-m", "http.server", "--directory", "/srv", "80", "--bind"]
DAEMON = ["setpriv", "--reuid=dnslb", "--regid=dnslb", "--init-groups", "dnslb-backend", "serve"]
POWERDNS = ["pdns_server", "--daemon=no", "--guardian=no", "--socket-dir=/run/pdns"]
SOCKET = Path("/run/dnslb/pdns.sock")
LIMIT = 180.0
FOLLOW_LIMIT = 30.0
"""Seconds, far below PowerDNS's cache-ttl and the TTL of the record."""


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=os.environ | AS_UNDER_SYSTEMD, cwd="/")
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def addresses(name: str) -> list[str]:
    """The answer as it is now; none while there is no server yet."""
    query = dns.message.make_query(name, dns.rdatatype.A)
    try:
        reply = dns.query.udp(query, "127.0.0.1", timeout=1)
    except (OSError, dns.exception.DNSException):
        return []
    return [str(item) for rows in reply.answer for item in rows]


def wait(is_there: Callable[[], object], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not is_there() and time.monotonic() < end:
        time.sleep(0.2)  # noqa: TID251 - nothing in there reports it


def main(name: str) -> None:
    # As systemd makes it.
    Path("/run/pdns").mkdir(exist_ok=True)
    with running([*TARGET, "127.0.0.1"]), running(DAEMON):
        # Under systemd the socket is there first.
        wait(SOCKET.exists)
        with running(POWERDNS):
            wait(lambda: addresses(name))
            print(*addresses(name))  # noqa: T201 - its output
            with running([*TARGET, "127.0.0.2"]):
                wait(lambda: len(addresses(name)) > 1, FOLLOW_LIMIT)
                print(*sorted(addresses(name)))  # noqa: T201 - its output


if __name__ == "__main__":
    main(sys.argv[1])
