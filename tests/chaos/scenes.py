"""What may happen, a function each; a scene ends with all as it was before."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress

import aiohttp
import aiomysql

from tests.chaos.stage import HEALTHY, MANY, TOKEN, Stage, connect
from tests.chaos.victims import ILL, Victim
from tests.rigs.hung_storage import hung
from tests.rigs.processes import children
from tests.rigs.waiting import passes
from tests.system.writing import FINE, record

Scene = Callable[[Stage], Awaitable[None]]

GONE = (OSError, aiohttp.ClientError, TimeoutError)
"""What a client of a daemon that is stopped or overloaded meets."""


async def targets_fall_ill(stage: Stage) -> None:
    well = [victim for victim in stage.victims if victim.ill_since is None]
    ways = [stage.chance.choice(list(ILL)) for _ in well]
    chosen = list(zip(well, ways, strict=True))[: stage.chance.randint(1, 4)]
    for victim, way in chosen:
        await victim.fall_ill(way)
    await passes(stage.chance.uniform(3, 12))
    for victim, _ in chosen:
        await _heal(victim)


async def _heal(victim: Victim) -> None:
    with suppress(OSError):
        await victim.get_well()


async def helpers_stand_still(stage: Stage) -> None:
    script = stage.chance.choice(["spawner.py", "worker.py"])
    pids = children(script, of=stage.daemon.pid)
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    await passes(stage.chance.uniform(0.5, 3))
    for pid in pids:
        _signal(pid, signal.SIGCONT)


async def helpers_die(stage: Stage) -> None:
    for pid in children(stage.chance.choice(["spawner.py", "worker.py"]), of=stage.daemon.pid):
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def a_command_is_on_storage_that_hangs(stage: Stage) -> None:
    program = stage.scripts.folder / "slow"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    with hung(program, exec_only=True):
        extra = record("hung", dest=["192.0.2.3"], check=[str(program)])
        await _reload(stage, extra)
        await passes(3)
    await _reload(stage, "")


async def commands_flood(stage: Stage) -> None:
    for script in ("cat /dev/zero >&2", "while :; do echo no; done", "sleep 300 & exit 0"):
        stage.scripts.do("192.0.2.1", script)
        await passes(2)
    stage.scripts.say("192.0.2.1", "OK")


async def a_name_has_thousands_of_addresses(stage: Stage) -> None:
    stage.resolver.addresses[MANY] = [f"127.1.{n >> 8}.{n & 255}" for n in range(1, 3000)]
    await passes(4)
    stage.resolver.addresses[MANY] = HEALTHY[:2]


async def the_resolver_is_silent(stage: Stage) -> None:
    stage.resolver.is_silent = True
    await passes(3)
    stage.resolver.is_silent = False


async def the_database_suffers(stage: Stage) -> None:
    if stage.alone.locked():
        return
    async with stage.outage:
        what = stage.chance.choice(["kill", "pause", "restart"])
        if what == "kill":
            for _ in range(5):
                await _kill_connections(stage)
                await passes(0.2)
        elif what == "pause":
            stage.database.pause()
            await passes(3)
            stage.database.resume()
        else:
            await stage.database.kill()
            await passes(1)
            await stage.database.start()


async def _kill_connections(stage: Stage) -> None:
    with suppress(aiomysql.Error):
        for row in await stage.database.query("select id from information_schema.processlist"):
            with suppress(aiomysql.Error):
                await stage.database.query(f"kill {row['id']}")


async def reloads(stage: Stage) -> None:
    for _ in range(5):
        number = next(stage.variants)
        await _reload(stage, record(f"come{number}", dest=["192.0.2.7"], check=FINE))
        await passes(0.3)
    await _reload(stage, "")


async def bad_reloads(stage: Stage) -> None:
    async with stage.files:
        fifo = stage.drop_ins / f"{next(stage.variants)}.toml"
        for spoil in (os.mkfifo, lambda path: path.write_text("[x"), lambda path: path.mkdir()):
            spoil(fifo)
            _hup(stage)
            await passes(0.3)
            fifo.rmdir() if fifo.is_dir() else fifo.unlink()
        drop_in = stage.drop_ins / f"{next(stage.variants)}.toml"
        drop_in.write_text("")
        with hung(drop_in):
            _hup(stage)
            await passes(2)
        drop_in.unlink()
        _hup(stage)


async def _reload(stage: Stage, extra: str) -> None:
    stage.daemon.configure(stage.text(extra))
    _hup(stage)


def _hup(stage: Stage) -> None:
    if not stage.alone.locked():
        stage.daemon.reload()


async def operators_ask_for_everything(stage: Stage) -> None:
    paths = ["/api/v1/status", "/metrics", "/api/v1/history?limit=10000", "/api/v1/status/lines"]
    timeout = aiohttp.ClientTimeout(total=8)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def ask(path: str) -> None:
            with suppress(*GONE):
                async with session.get(f"http://{stage.daemon.admin}{path}") as response:
                    await response.read()

        await asyncio.gather(*(ask(path) for path in paths * 10))


async def operators_drain_and_clear(stage: Stage) -> None:
    for number in range(20):
        body = {"target": f"192.0.2.9{number:02}*", "action": "drain", "reason": "chaos"}
        with suppress(*GONE):
            await stage.daemon.request("POST", "/api/v1/overrides", body, token=TOKEN)
    with suppress(*GONE):
        await stage.daemon.request("DELETE", "/api/v1/overrides?target=*", token=TOKEN)


async def connections_are_misused(stage: Stage) -> None:
    addresses = [stage.daemon.http, stage.daemon.admin, stage.unix]
    loop = asyncio.get_running_loop()
    for sent in (b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5, b'{"method":', b"\0" * 5000):
        with ExitStack() as stack:
            for address in addresses * 30:
                with suppress(OSError, BlockingIOError):
                    sock = stack.enter_context(await connect(address))
                    await loop.sock_sendall(sock, sent)
            await passes(0.5)


async def connections_come_and_go(stage: Stage) -> None:
    for _ in range(300):
        for address in (stage.daemon.http, stage.daemon.admin, stage.unix):
            with suppress(OSError, BlockingIOError):
                (await connect(address)).close()
        await asyncio.sleep(0)  # noqa: TID251 - others of this process have their turn


async def the_state_file_is_gone(stage: Stage) -> None:
    path = stage.daemon.directory / "state.sqlite"
    path.unlink(missing_ok=True)
    await passes(2)


async def the_daemon_stands_still(stage: Stage) -> None:
    async with stage.alone:
        # PowerDNS then works off what it queued meanwhile.
        with stage.excuse(3):
            stage.daemon.pause()
            await passes(stage.chance.uniform(0.5, 3))
            stage.daemon.resume()


async def the_daemon_is_restarted(stage: Stage) -> None:
    async with stage.files, stage.alone:
        with stage.excuse(3):
            if stage.chance.random() < 0.5:
                await stage.daemon.stop()
            else:
                await stage.daemon.kill()
            await stage.daemon.start()


ALWAYS: tuple[Scene, ...] = (
    targets_fall_ill,
    helpers_stand_still,
    helpers_die,
    a_command_is_on_storage_that_hangs,
    commands_flood,
    a_name_has_thousands_of_addresses,
    the_resolver_is_silent,
    the_database_suffers,
    reloads,
    bad_reloads,
    operators_ask_for_everything,
    operators_drain_and_clear,
    connections_are_misused,
    connections_come_and_go,
    the_state_file_is_gone,
    the_daemon_stands_still,
)

RESTARTS: tuple[Scene, ...] = (the_daemon_is_restarted,)
