"""Our connectors as a program under test, and the load that is put on PowerDNS."""

import asyncio
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tests.pdns.serving import NAMES
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import Server, executable

ROOT = Path(__file__).parents[2]


class Connectors(Server):
    """tests.pdns.serving on a free port and a unix socket of its own."""

    name = "connectors"

    def __init__(self) -> None:
        super().__init__(environment={"PYTHONPATH": str(ROOT)})
        self.port = free_port()
        self.path = str(self.directory / "pdns.sock")

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "tests.pdns.serving",
            "--http",
            str(self.port),
            "--unix",
            self.path,
        ]

    async def answers(self) -> bool:
        return "serving" in self.latest_log


async def queries_seen(pdns: PowerDNS) -> int:
    """How many queries it has received.

    The end of the answer is not waited for: a coprocess that PowerDNS starts in this moment
    inherits the connection, and it never ends.
    """
    reader, writer = await asyncio.open_unix_connection(pdns.control_socket)
    try:
        writer.write(b"show udp-queries\n")
        async with asyncio.timeout(5):
            return int(await reader.read(100))
    finally:
        writer.close()


class Tally(NamedTuple):
    """What came of a stream of queries."""

    sent: int
    lost: int
    codes: dict[str, int]
    rate: float


async def put_load(port: int, directory: Path, *, seconds: float, rate: int) -> Tally:
    """Ask for the names of tests.pdns.serving, `rate` times a second in all."""
    queries = directory / "queries"
    queries.write_text("".join(f"n{number}.lb.example A\n" for number in range(NAMES)))
    process = await asyncio.create_subprocess_exec(
        executable("dnsperf"),
        *("-s", "127.0.0.1", "-p", str(port), "-d", str(queries)),
        *("-l", str(seconds), "-Q", str(rate), "-q", "100000", "-t", "20"),
        # So many sockets: one would overflow when all that waited is answered at once.
        *("-c", "20"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return read_tally(output.decode())


def read_tally(report: str) -> Tally:
    def number(label: str) -> float:
        found = re.search(rf"{label}:\s+([0-9.]+)", report)
        return float(found[1]) if found else 0.0

    codes = dict(re.findall(r"([A-Z]+) (\d+) \(", report))
    return Tally(
        int(number("Queries sent")),
        int(number("Queries lost")),
        {code: int(count) for code, count in codes.items()},
        number("Queries per second"),
    )
