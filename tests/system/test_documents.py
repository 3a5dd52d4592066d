"""Every command that a document shows as `console` is run as it stands, against the demo.

Its output must become the lines shown below it within a few seconds: some effects need a moment.
`…` matches anything, alone on a line any number of lines. A command without output below it must
exit with 0; one that does not has a comment: `# exits with 1`.
"""

import asyncio
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rigs.namespaces import ForbiddenError, Namespace, namespace
from tests.rigs.server import PATH, Server
from tests.rigs.waiting import until

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESSES = re.compile(r"([0-9a-f.:]+\n)+")
"""In any order: PowerDNS shuffles them."""
AS_IT_BEGAN = """
for web in web1 web2 web3; do curl -s -X POST http://127.0.0.1:8055/$web/start; done
dnslb-backend clear '*'
"""

PAGES = {
    str(path.relative_to(ROOT)): BLOCK.findall(path.read_text())
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if BLOCK.search(path.read_text())
}


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the output shown below it."""

    command: str
    shown: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        found = re.search(r"# exits with (\d+)$", self.command)
        return int(found[1]) if found else 0

    def is_met(self, code: int, output: str) -> bool:
        if code != self.exit_code:
            return False
        if ADDRESSES.fullmatch(output):
            return sorted(output.split()) == sorted(self.shown)
        wanted = "".join(
            "(?:.*\n)*" if line.strip() == "…" else f"{_pattern(line)}\n" for line in self.shown
        )
        return not self.shown or re.fullmatch(wanted, output) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("…")) + " *"


def steps(page: str) -> Iterator[Step]:
    """The commands of a page in order; a line that ends in a backslash continues on the next."""
    for block in PAGES[page]:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = re.sub(r"\\\n", "\\\\\0", part).partition("\n")
            yield Step(command.replace("\\\0", "\\\n"), tuple(shown.splitlines()))


class Demo(Server):
    """`dnslb-backend demo` on its usual ports, in a network namespace of its own."""

    name = "demo"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "dnslb_backend", "demo"]

    async def answers(self) -> bool:
        return "Ctrl-C ends everything" in self.log

    @property
    def export(self) -> str:
        """The line that it prints for other terminals."""
        found = re.search(r"^ *(export DNSLB_CONFIG=\S+ PATH=\S+)$", self.log, re.MULTILINE)
        assert found is not None
        return found[1]

    async def run(self, command: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self.inside,
            *("bash", "-c", f"{self.export}\n{command}"),
            cwd=ROOT,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode().rstrip("\n") + "\n"


@pytest.fixture(scope="module")
async def demo() -> AsyncIterator[Demo]:
    with ExitStack() as stack:
        try:
            space: Namespace = stack.enter_context(namespace())
        except ForbiddenError as reason:
            pytest.skip(str(reason))
        server = Demo(inside=space.inside, environment={"PYTHONPATH": str(ROOT)})
        async with server:
            yield server


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_shows_what_happens(page: str, demo: Demo) -> None:
    await demo.run(AS_IT_BEGAN)
    for step in steps(page):
        last: tuple[int, str] = (-1, "")

        async def is_met(step: Step = step) -> bool:
            nonlocal last
            last = await demo.run(step.command)
            return step.is_met(*last)

        try:
            await until(is_met, within=10 if step.shown else 0.1)
        except TimeoutError:
            pytest.fail(f"{page}: $ {step.command}\nexit code {last[0]}\n{last[1]}")


def test_the_tools_of_the_examples_are_installed() -> None:
    assert shutil.which("dig", path=PATH)
    assert shutil.which("curl", path=PATH)
