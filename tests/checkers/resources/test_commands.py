"""The helper process of commands: its faults are ours, and nothing outlives it or the daemon."""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources import commands, helper_process
from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.commands import Commands
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Outcome
from tests.checkers.probing import LIMIT, probe
from tests.rigs.hung_storage import hung
from tests.rigs.processes import children, descriptors, end, nap, running
from tests.rigs.waiting import passes, until

SPAWNER = "spawner.py"
NO_MORE = 3
"""As a limit of file descriptors: those of the standard streams are taken."""


def spawner() -> int:
    """The process id of the helper that the test started."""
    [pid] = children(SPAWNER)
    return pid


async def test_no_process_before_the_first_command(tools: CheckResources) -> None:
    assert not children(SPAWNER)
    await probe(tools, ["true"])
    assert len(children(SPAWNER)) == 1


async def test_closing_ends_all_commands_and_leaves_nothing() -> None:
    async with CheckResources() as tools:
        # uvloop opens something for itself, once.
        await probe(tools, ["true"])
    before = descriptors()
    sleeps = [nap() for _ in range(5)]
    tools = CheckResources()
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


async def test_thousands_of_probes_leak_nothing(tools: CheckResources) -> None:
    await probe(tools, ["true"])
    before = descriptors()
    inside = descriptors(spawner())
    sleep = nap()
    for _ in range(10):
        await asyncio.gather(
            *(probe(tools, ["true"]) for _ in range(20)),
            *(probe(tools, ["sleep", sleep], limit=0.05) for _ in range(5)),
            *(probe(tools, ["/no/such/command"]) for _ in range(5)),
        )
    assert descriptors() == before
    await until(lambda: descriptors(spawner()) == inside)
    assert not running(sleep)


async def test_out_of_file_descriptors_is_our_fault(tools: CheckResources) -> None:
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
    async with CheckResources() as tools:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NO_MORE, hard))
        try:
            results = [await probe(tools, check) for check in checks]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [result.text for result in results] == ["Too many open files"] * 3
        assert {result.outcome for result in results} == {Outcome.ERROR}
        assert (await probe(tools, ["true"])).outcome is Outcome.PASS


async def test_when_the_helper_dies_what_was_running_is_our_fault_and_is_ended(
    tools: CheckResources,
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


async def test_a_helper_that_keeps_dying_is_started_less_and_less_often(
    tools: CheckResources,
) -> None:
    await probe(tools, ["true"])
    for pause in (helper_process.FIRST_PAUSE, 2 * helper_process.FIRST_PAUSE):
        end([spawner()])
        await until(lambda: not children(SPAWNER))
        loop = asyncio.get_running_loop()
        died = loop.time()
        assert (await probe(tools, ["true"])).outcome is Outcome.ERROR

        async def works_again() -> bool:
            return (await probe(tools, ["true"])).outcome is Outcome.PASS

        await until(works_again)
        assert loop.time() - died >= pause


async def test_a_helper_that_hangs_is_our_fault_and_is_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "START_LIMIT", 0.1)
    monkeypatch.setattr(helper_process, "PING_LIMIT", 0.25)
    async with CheckResources() as tools:
        await probe(tools, ["true"])
        hanging = spawner()
        os.kill(hanging, signal.SIGSTOP)

        async def restarted() -> bool:
            return (await probe(tools, ["true"])).outcome is Outcome.PASS

        result = await probe(tools, ["true"])
        assert result.outcome is Outcome.ERROR
        assert result.text == "the command helper does not answer"
        monkeypatch.setattr(commands, "START_LIMIT", 5)
        await until(restarted)
        assert children(SPAWNER) != [hanging]


async def test_a_helper_that_is_only_slow_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "START_LIMIT", 0.001)
    async with CheckResources() as tools:
        await until_any(tools, Outcome.ERROR)
        [slow] = children(SPAWNER)
        monkeypatch.setattr(commands, "START_LIMIT", 5)
        assert (await probe(tools, ["true"])).outcome is Outcome.PASS
        assert children(SPAWNER) == [slow]


async def until_any(tools: CheckResources, outcome: Outcome) -> None:
    async def seen() -> bool:
        return (await probe(tools, ["true"])).outcome is outcome

    await until(seen)


async def test_while_the_helper_stands_still_nobody_is_down(tools: CheckResources) -> None:
    """Neither those that it runs, nor those that it is asked to run meanwhile."""
    await probe(tools, ["true"])
    hung = nap()
    shell = ["sh", "-c", f"sleep 0.3; : {hung}"]
    # Long enough that none of them times out before the helper is stopped.
    early = [
        asyncio.create_task(probe(tools, argv, limit=3))
        for argv in (["sleep", hung], shell, ["true"])
    ]
    await until(lambda: len(running(hung)) == 2)
    os.kill(spawner(), signal.SIGSTOP)
    late = [asyncio.create_task(probe(tools, ["true"], limit=0.6)) for _ in range(20)]
    await passes(4)
    os.kill(spawner(), signal.SIGCONT)
    assert Outcome.FAIL not in {result.outcome for result in await asyncio.gather(*early)}
    assert {result.outcome for result in await asyncio.gather(*late)} == {Outcome.PASS}


async def test_a_helper_that_reads_nothing_is_restarted(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is full, and so is our memory for what it is to be asked."""
    monkeypatch.setattr(helper_process, "BACKLOG_LIMIT", 1 << 20)
    await probe(tools, ["true"])
    hanging = spawner()
    os.kill(hanging, signal.SIGSTOP)
    results = await asyncio.gather(
        *(probe(tools, ["true", "x" * 100_000], limit=0.5) for _ in range(30))
    )
    assert Outcome.FAIL not in {result.outcome for result in results}
    await until_any(tools, Outcome.PASS)
    assert children(SPAWNER) != [hanging]


async def test_a_program_on_storage_that_hangs_costs_only_its_own_probe(
    tools: CheckResources, tmp_path: Path
) -> None:
    program = tmp_path / "plugin"
    program.write_text("#!/bin/sh\necho fine\n")
    program.chmod(0o755)
    await probe(tools, ["true"])
    with hung(program):
        stuck = asyncio.create_task(probe(tools, [str(program)], limit=0.2))
        await until(lambda: len(children(of=spawner())) == 1)
        others = await asyncio.gather(*(probe(tools, ["true"]) for _ in range(20)))
        assert not stuck.done()
        assert {other.outcome for other in others} == {Outcome.PASS}
        result = await stuck
        assert result.outcome is Outcome.ERROR
        assert result.text.endswith("plugin': its program is not loaded: the storage hangs")
        await until(lambda: not children(of=spawner()))
    assert (await probe(tools, [str(program)])).text == "fine"


async def test_the_helper_leaves_sigterm_to_the_daemon(tools: CheckResources) -> None:
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
from dnslb_backend.checkers.resources.commands import Commands

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


INIT = """
import asyncio, os, signal, sys, uvloop
from pathlib import Path
from dnslb_backend.checkers.resources.resources import CheckResources
from tests.checkers.probing import probe
from tests.rigs.processes import children
from tests.rigs.waiting import until

async def works_again(tools):
    return (await probe(tools, ["true"])).outcome == "pass"

async def main():
    assert os.getpid() == 1
    async with CheckResources() as tools:
        for _ in range(2):
            script = "sleep 1000 & sleep 1000 & wait"
            task = asyncio.create_task(probe(tools, ["sh", "-c", script], limit=60))
            [spawner] = await until(lambda: children("spawner.py"))
            await until(lambda: len(children(of=spawner)) == 1)
            os.kill(spawner, signal.SIGKILL)
            assert (await task).outcome == "error"
            await until(lambda: works_again(tools))
            await until(lambda: len(children()) == 1, what="only the new helper, no zombies")

uvloop.run(main())
"""


async def test_as_process_1_the_daemon_leaves_no_zombies() -> None:
    """In a container without an init the orphans of a dead helper become its children."""
    inside = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    init = await asyncio.create_subprocess_exec(*inside, sys.executable, "-c", INIT)
    assert await init.wait() == 0


async def test_a_closed_helper_starts_nothing() -> None:
    runner = Commands()
    await runner.close()
    with pytest.raises(ProbeError, match="closed"):
        await runner.run(("true",), 1)
    assert not children(SPAWNER)


async def test_a_command_reads_text_of_any_size_and_more_variables(tools: CheckResources) -> None:
    text = "ä line\n" * 40_000
    argv = ("sh", "-c", 'wc -c; printf "%s|" "$EXTRA" "$PATH"')
    finished = await tools.commands.run(argv, LIMIT, text=text, environment={"EXTRA": "a b"})
    size, rest = finished.output.split("\n")
    assert int(size) == len(text.encode())
    assert rest == f"a b|{os.environ['PATH']}|"


async def test_standard_input_is_empty_without_a_text(tools: CheckResources) -> None:
    finished = await tools.commands.run(("sh", "-c", 'cat; echo "[$EXTRA]"'), LIMIT)
    assert finished.output == "[]\n"


async def test_text_that_is_not_read_costs_nothing(tools: CheckResources) -> None:
    before = descriptors(spawner()) if children(SPAWNER) else None
    for _ in range(20):
        finished = await tools.commands.run(("true",), LIMIT, text="x" * 100_000)
        assert finished.code == 0
        before = before or descriptors(spawner())
    await until(lambda: descriptors(spawner()) == before)
