"""The helper process of commands: its faults are ours, and nothing outlives it or the daemon."""

import asyncio
import os
import resource
import signal
import sys

import pytest

from dnslb_backend.checkers import commands, helper
from dnslb_backend.checkers.commands import Commands
from dnslb_backend.checkers.failures import ProbeError
from dnslb_backend.checkers.registry import parse_check
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Outcome
from tests.checkers.probing import LIMIT, probe
from tests.rigs.processes import children, descriptors, end, nap, running
from tests.rigs.waiting import until

SPAWNER = "spawner.py"
NO_MORE = 3
"""As a limit of file descriptors: those of the standard streams are taken."""


def spawner() -> int:
    """The process id of the helper that the test started."""
    [pid] = children(SPAWNER)
    return pid


async def test_no_process_before_the_first_command(tools: Tools) -> None:
    assert not children(SPAWNER)
    await probe(tools, ["true"])
    assert len(children(SPAWNER)) == 1


async def test_closing_ends_all_commands_and_leaves_nothing() -> None:
    async with Tools() as tools:
        # uvloop opens something for itself, once.
        await probe(tools, ["true"])
    before = descriptors()
    sleeps = [nap() for _ in range(5)]
    tools = Tools()
    probes = [
        asyncio.create_task(probe(tools, ["sh", "-c", f"trap '' TERM; setsid sleep {sleep}"]))
        for sleep in sleeps
    ]
    await until(lambda: all(map(running, sleeps)))
    await tools.close()
    results = await asyncio.gather(*probes)
    assert {result.outcome for result in results} == {Outcome.ERROR}
    assert not any(map(running, sleeps))
    assert not children(SPAWNER)
    await until(lambda: descriptors() == before)


async def test_thousands_of_probes_leak_nothing(tools: Tools) -> None:
    await probe(tools, ["true"])
    before = descriptors()
    inside = descriptors(spawner())
    for _ in range(10):
        await asyncio.gather(
            *(probe(tools, ["true"]) for _ in range(20)),
            *(probe(tools, ["sleep", "60"], limit=0.05) for _ in range(5)),
            *(probe(tools, ["/no/such/command"]) for _ in range(5)),
        )
    assert descriptors() == before
    await until(lambda: descriptors(spawner()) == inside)
    assert not running("sleep\x0060")


async def test_out_of_file_descriptors_is_our_fault(tools: Tools) -> None:
    await probe(tools, ["true"])
    _, hard = resource.prlimit(spawner(), resource.RLIMIT_NOFILE)
    resource.prlimit(spawner(), resource.RLIMIT_NOFILE, (NO_MORE, hard))
    result = await probe(tools, ["true"])
    assert result.outcome is Outcome.ERROR
    assert result.text == "cannot run 'true': Too many open files"
    resource.prlimit(spawner(), resource.RLIMIT_NOFILE, (hard, hard))
    assert (await probe(tools, ["true"])).outcome is Outcome.PASS


async def test_out_of_our_own_file_descriptors_is_our_fault() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    checks: list[dict[str, object] | list[str]] = [
        ["true"],
        {"type": "tcp", "port": 9},
        {"type": "icmp"},
    ]
    for check in checks:
        parse_check(check)  # what its kind needs is read in by now, as in a daemon
    async with Tools() as tools:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NO_MORE, hard))
        try:
            results = [await probe(tools, check) for check in checks]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [result.text for result in results] == ["Too many open files"] * 3
        assert {result.outcome for result in results} == {Outcome.ERROR}
        assert (await probe(tools, ["true"])).outcome is Outcome.PASS


async def test_when_the_helper_dies_what_was_running_is_our_fault_and_is_ended(
    tools: Tools,
) -> None:
    sleep = nap()
    script = f"trap '' TERM HUP PIPE; setsid sleep {sleep} & sleep {sleep}"
    task = asyncio.create_task(probe(tools, ["sh", "-c", script]))
    await until(lambda: len(running(sleep)) >= 2)
    end([spawner()])
    result = await task
    assert result.outcome is Outcome.ERROR
    assert result.text == "the command helper ended while it was needed"

    async def works_again() -> bool:
        return (await probe(tools, ["true"])).outcome is Outcome.PASS

    await until(works_again)
    await until(lambda: not running(sleep), what="the end of what the first helper left")


async def test_a_helper_that_keeps_dying_is_started_less_and_less_often(tools: Tools) -> None:
    await probe(tools, ["true"])
    for pause in (helper.FIRST_PAUSE, 2 * helper.FIRST_PAUSE):
        end([spawner()])
        await until(lambda: not children(SPAWNER))
        loop = asyncio.get_running_loop()
        died = loop.time()
        assert (await probe(tools, ["true"])).outcome is Outcome.ERROR

        async def works_again() -> bool:
            return (await probe(tools, ["true"])).outcome is Outcome.PASS

        await until(works_again)
        assert loop.time() - died >= pause


async def test_a_helper_that_hangs_is_our_fault_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "START_LIMIT", 0.1)
    monkeypatch.setattr(helper, "SILENCE_LIMIT", 0.25)
    async with Tools() as tools:
        await probe(tools, ["true"])
        hanging = spawner()
        os.kill(hanging, signal.SIGSTOP)

        async def replaced() -> bool:
            return (await probe(tools, ["true"])).outcome is Outcome.PASS

        result = await probe(tools, ["true"])
        assert result.outcome is Outcome.ERROR
        assert result.text == "the command helper is too slow to start commands"
        await until(replaced)
        assert children(SPAWNER) != [hanging]


async def test_the_helper_leaves_sigterm_to_the_daemon(tools: Tools) -> None:
    """A service manager sends it to every process of the service at once."""
    sleep = nap()
    task = asyncio.create_task(probe(tools, ["sleep", sleep], limit=60))
    await until(lambda: running(sleep))
    os.kill(spawner(), signal.SIGTERM)
    assert (await probe(tools, ["true"])).outcome is Outcome.PASS
    assert running(sleep)
    task.cancel()
    await asyncio.wait([task])


DAEMON = """
import asyncio, sys
from dnslb_backend.checkers.commands import Commands

async def main():
    commands = Commands()
    script = "trap '' TERM HUP; setsid sleep $0 & sleep $0"
    await commands.run(("sh", "-c", script, sys.argv[1]), 3600)

asyncio.run(main())
"""


async def test_when_the_daemon_is_killed_its_commands_end() -> None:
    sleep = nap()
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", DAEMON, sleep)
    # The daemon itself, the shell, and two that sleep.
    await until(lambda: len(running(sleep)) >= 4)
    daemon.kill()
    await daemon.wait()
    await until(lambda: not running(sleep), within=LIMIT)


async def test_a_closed_helper_starts_nothing() -> None:
    runner = Commands()
    await runner.close()
    with pytest.raises(ProbeError, match="closed"):
        await runner.run(("true",), 1)
    assert not children(SPAWNER)
