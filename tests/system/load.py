"""A load of questions, made by dnsperf."""

import asyncio
import re
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import executable

IN_FLIGHT = 30_000
"""Questions that may wait for their answer: a silent server must not slow the load down."""


class Load:
    """dnsperf at work; its figures are there once it has ended."""

    def __init__(self, process: Process, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def report(self) -> str:
        return self._output.read_text()

    async def ends(self) -> None:
        assert await self._process.wait() == 0, self.report

    @property
    def sent(self) -> int:
        return self._figure("Queries sent")

    @property
    def completed(self) -> int:
        return self._figure("Queries completed")

    @property
    def codes(self) -> dict[str, int]:
        """How many answers had each response code."""
        [line] = re.findall(r"Response codes:(.*)", self.report)
        return {code: int(count) for code, count in re.findall(r"([A-Z]+) (\d+)", line)}

    def _figure(self, name: str) -> int:
        [figure] = re.findall(rf"{name}:\s+(\d+)", self.report)
        return int(figure)


@asynccontextmanager
async def load(
    pdns: PowerDNS, names: Iterable[str], folder: Path, *, rate: int, seconds: int
) -> AsyncIterator[Load]:
    """`rate` questions a second for the A records of `names`, for so long."""
    questions = folder / "questions"
    questions.write_text("".join(f"{name} A\n" for name in names))
    options = {"-s": pdns.host, "-p": pdns.port, "-d": questions, "-Q": rate, "-l": seconds}
    options |= {"-q": IN_FLIGHT, "-c": 8, "-t": 2}
    words = [str(word) for option in options.items() for word in option]
    output = folder / "report"
    with output.open("wb") as report:
        process = await asyncio.create_subprocess_exec(
            executable("dnsperf"), *words, stdout=report, stderr=STDOUT
        )
    try:
        yield Load(process, output)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
