"""Run in an installed system, by the package's own Python: a target, the daemon, PowerDNS, a query.

It prints the addresses that DNS answers for NAME, and ends what it started.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

AS_UNDER_SYSTEMD = {"RUNTIME_DIRECTORY": "/run/dnslb", "STATE_DIRECTORY": "/var/lib/dnslb"}
PROGRAMS = (
    ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv", "80"],
    ["setpriv", "--reuid=dnslb", "--regid=dnslb", "--init-groups", "dnslb-backend", "serve"],
    ["pdns_server", "--daemon=no", "--guardian=no", "--socket-dir=/run"],
)
LIMIT = 60.0


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


def main(name: str) -> None:
    with contextlib.ExitStack() as stack:
        for command in PROGRAMS:
            stack.enter_context(running(command))
        end = time.monotonic() + LIMIT
        while not (found := addresses(name)) and time.monotonic() < end:
            time.sleep(0.2)  # noqa: TID251 - no event tells that all three are there
        print(*found)  # noqa: T201 - its output


if __name__ == "__main__":
    main(sys.argv[1])
