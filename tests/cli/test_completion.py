"""What a shell offers behind a command: names and targets of the running daemon."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.cli.completion import LIMIT
from tests.admin.node import Node, serving
from tests.cli.command import Ended, line, run, run_afresh
from tests.core.building import record

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "configs/completion"


async def offered(words: str) -> list[str]:
    """What typer offers for a line; an empty last word is a blank at its end."""
    given = words.split()
    position = len(given) if words.endswith(" ") else len(given) - 1
    ended = await run_afresh(
        _DNSLB_BACKEND_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(position)
    )
    assert (ended.code, ended.err) == (0, "")
    return ended.out.split()


async def test_names_are_those_of_the_daemon(url: str) -> None:
    for command in ("status", "explain", "history", "probe"):
        assert "www.lb.example" in await offered(f"dnslb-backend {command} --admin {url} "), command
    asked = f"dnslb-backend drain 10.0.0.1 --admin {url} --record "
    assert "www.lb.example" in await offered(asked)
    assert await offered(f"dnslb-backend status --admin {url} ww") == ["www.lb.example"]
    assert await offered(f"dnslb-backend status --admin {url} zz") == []


async def test_targets_are_those_of_the_daemon(url: str, config: Path) -> None:
    for command in ("drain", "down", "up"):
        assert "10.0.0.1" in await offered(f"dnslb-backend {command} --admin {url} 10.")
    assert "10.0.0.1" in await offered(f"dnslb-backend explain www --admin {url} --down 10.")
    assert await offered(f"dnslb-backend clear --admin {url} ") == []
    assert (await run("drain", "10.0.0.1", "-c", str(config), "--force")).code == 0
    assert await offered(f"dnslb-backend clear -c {config} ") == ["10.0.0.1"]


async def test_without_a_daemon_nothing_is_offered_and_nothing_said(tmp_path: Path) -> None:
    for switch in ("--admin http://127.0.0.1:1", "--admin nonsense", f"-c {tmp_path}/none.toml"):
        assert await offered(f"dnslb-backend status {switch} ") == []


@asynccontextmanager
async def dripping() -> AsyncIterator[str]:
    """The URL of a server whose answer comes byte by byte, and never ends."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        # The client hangs up when it has waited enough, which may be a reset.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            has_left = asyncio.create_task(reader.read())
            while not has_left.done():
                writer.write(b" ")
                await asyncio.wait([has_left], timeout=0.05)
            await has_left
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def test_a_daemon_that_is_slow_is_not_waited_for() -> None:
    async with dripping() as url:
        before = time.monotonic()
        assert await offered(f"dnslb-backend status --admin {url} ") == []
        assert time.monotonic() - before < LIMIT + 5


async def in_bash(words: str) -> Ended:
    """What bash makes of Tab at the end of a line, with the script that is shipped."""
    program = f'dnslb-backend() {{ {" ".join(line())} "$@"; }}'
    script = (
        f"{program}; source {SCRIPTS}/dnslb-backend.bash;"
        f' COMP_LINE="$1"; COMP_POINT=${{#COMP_LINE}}; _dnslb_backend dnslb-backend;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    process = await asyncio.create_subprocess_exec(
        *("bash", "--norc", "-c", script, "bash", words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def test_bash_completes_with_the_shipped_script(url: str) -> None:
    assert (await in_bash("dnslb-backend sta")).out.split() == ["status"]
    found = await in_bash(f"dnslb-backend status --admin {url} ww")
    assert (found.out.split(), found.err) == (["www.lb.example"], "")
    assert "10.0.0.1" in (await in_bash(f"dnslb-backend drain --admin {url} ")).out.split()


async def test_bash_completes_what_follows_the_last_colon(token_file: Path) -> None:
    node = Node(record("2001:db8::1@2", "2001:db8::2@1"))
    node.settle()
    async with serving(node, AdminSettings(listen="127.0.0.1:0", token_file=token_file)) as url:
        asked = f"dnslb-backend drain --admin {url} 2001:db8:"
        assert await offered(asked) == ["2001:db8::1", "2001:db8::2"]
        assert (await in_bash(asked)).out.split() == [":1", ":2"]
