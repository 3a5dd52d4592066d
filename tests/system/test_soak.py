"""Five minutes among the worst targets: nothing grows, and the well stay in the answer."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.checkers.conftest import Authority
from tests.checkers.servers import Play, ScriptedServer, asked, for_ever, hang, saying
from tests.rigs.daemon import Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.processes import children, family, open_files, resident
from tests.rigs.targets import farm
from tests.system.scripts import Scripts
from tests.system.test_independence import DEAF
from tests.system.writing import config, http, record

LASTS = 300.0
PAUSE = 5.0
"""Seconds between two looks."""

WARM_UP = 60.0
"""Seconds in which everything that is there once has come to be."""

TOLERATED = 8.0
"""Megabytes that memory may move by: what the allocator keeps differs from look to look."""

HEAD = b"HTTP/1.1 200 OK\r\n"
HELPERS = ("spawner.py", "worker.py")
EXPLOSIVE = {"expect": "^(a+)+$"}
"""What it costs doubles with every letter."""

PLAYS: dict[str, tuple[dict[str, Any], Play]] = {
    "slow-head": ({"type": "http"}, asked(for_ever(HEAD, b"x", pause=0.1))),
    "endless-body": (
        {"type": "http", "body": "never"},
        asked(for_ever(HEAD + b"\r\n", b"x" * 65536)),
    ),
    "broken-chunk": (
        {"type": "http"},
        asked(saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")),
    ),
    "loop": (
        {"type": "http"},
        asked(saying(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
    ),
    "explosive": ({"type": "tcp", **EXPLOSIVE}, saying(b"a" * 60_000 + b"!")),
    "silent": ({"type": "tcp", "expect": "^220"}, hang),
    "early": ({"type": "tcp", "expect": "^220"}, saying(b"")),
    "no-tls": ({"type": "tls", "sni": "www.example"}, saying(b"220 hello\r\n")),
}

SCRIPTS = {
    "192.0.2.10": DEAF,
    "192.0.2.11": "sleep 300 & sleep 300 & exit 0",
    "192.0.2.12": "while :; do head -c 65536 /dev/zero; done",
    "192.0.2.13": r"printf '\377\376\200'; exit 0",
    "192.0.2.14": "exec >&- 2>&-; sleep 300",
    "192.0.2.15": "kill -SEGV $$",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is held at one moment: processes by all, files and memory by the daemon and helpers.

    Memory is that of the daemon and of the largest helper of each kind: how many search texts
    differs from moment to moment, as one is killed with every pattern that takes too long.
    """

    processes: int
    files: int
    megabytes: float


def look(pid: int) -> Look:
    while True:
        lasting = [pid, *children(of=pid)]
        # A helper may end while it is looked at: then all are looked at once more.
        with suppress(FileNotFoundError):
            files = sum(map(open_files, lasting))
            helpers = [max(map(resident, children(kind, of=pid)), default=0) for kind in HELPERS]
            return Look(len(family(pid)), files, resident(pid) + sum(helpers))


@asynccontextmanager
async def bad_company(directory: Path) -> AsyncIterator[list[str]]:
    """Records whose targets do all that targets should not do."""
    authority = Authority(trustme.CA(), directory)
    scripts = Scripts(directory / "checks")
    for address, script in SCRIPTS.items():
        scripts.do(address, script.format(pids=directory / "pids"))
    quick = {"interval": 1, "timeout": 0.8}
    records = [record("commands", dest=[*SCRIPTS], check=scripts.argv, **quick)]
    async with AsyncExitStack() as stack:
        for name, (check, play) in PLAYS.items():
            server = await stack.enter_async_context(ScriptedServer(play))
            table = {**check, **_where(check, server.port)}
            records.append(record(name, dest=["127.0.0.1"], check=table, **quick))
        for name, days in (("expired", -2), ("wrong-name", 30)):
            context = authority.server("other.example", days=days)
            server = await stack.enter_async_context(ScriptedServer(hang, tls=context))
            table = {"type": "tls", "sni": "www.example", "ca_file": authority.ca_file}
            table["port"] = server.port
            records.append(record(name, dest=["127.0.0.1"], check=table, **quick))
        yield records


def _where(check: dict[str, Any], port: int) -> dict[str, Any]:
    return http(port) if check["type"] == "http" else {"port": port}


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_nothing_grows_among_the_worst_of_targets(tmp_path: Path) -> None:
    looks: list[Look] = []
    async with farm(2) as (first, second), bad_company(tmp_path) as records:
        www = record("www", dest=[first.host, second.host], check=http(first.port))
        async with Daemon(config(www, *records)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", {first.host, second.host})
            began = time.monotonic()
            while (lasted := time.monotonic() - began) < LASTS:
                await _serves_both(pdns, {first.host, second.host})
                await asyncio.sleep(PAUSE)  # noqa: TID251 - this is how long it lasts
                if lasted > WARM_UP:
                    looks.append(look(daemon.pid))
            codes = await _codes(daemon)
            assert await daemon.stop() == 0
    gc.collect()
    assert len(looks) > 10
    assert codes["www.lb.example"] == {0}
    # Commands come and go: never more than are under way at once, each with its few pipes.
    begun = len(SCRIPTS) * 3 + 4
    assert max(found.processes for found in looks) <= begun, looks
    half = len(looks) // 2
    early, late = looks[:half], looks[half:]
    held = min(f.files for f in early)
    # A connection of each target, three pipes of each command.
    under_way = len(records) + 2 + 3 * len(SCRIPTS)
    assert min(f.files for f in late) <= held + 4, looks
    assert max(f.files for f in looks) <= held + under_way, looks
    assert min(f.megabytes for f in late) <= min(f.megabytes for f in early) + TOLERATED, looks
    print(looks[0], looks[-1])  # noqa: T201 - figures for people


async def _serves_both(pdns: PowerDNS, addresses: set[str]) -> None:
    assert (await pdns.ask("www.lb.example")).addresses == addresses


async def _codes(daemon: Daemon) -> dict[str, set[int]]:
    """The result codes of every name's members."""
    _, status = await daemon.get("/api/v1/status")
    found: dict[str, set[int]] = {}
    for row in status["members"]:
        found.setdefault(row["name"], set()).add(row["result_code"])
    return found
