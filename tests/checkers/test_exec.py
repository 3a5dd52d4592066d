"""The result table of commands, and what commands can do to the daemon: nothing."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.kinds.exec import ExecCheck
from dnslb_backend.checkers.registry import parse_check
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Outcome, Result
from tests.checkers.probing import LIMIT, probe
from tests.rigs.processes import children, nap, processor_time, running
from tests.rigs.waiting import until

SLACK = 0.4
"""How much later (s) than its timeout a probe may be reported on a busy machine."""


def shell(script: str) -> list[str]:
    return ["sh", "-c", script.replace("%", "%%")]


def table(script: str, **keys: object) -> dict[str, object]:
    return {"type": "exec", "argv": shell(script), **keys}


async def gone(*naps: str, within: float = LIMIT) -> None:
    await until(lambda: not any(map(running, naps)), within=within, what="their end")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 1", 1),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ],
)
async def test_exit_codes_and_signals(tools: Tools, script: str, code: int) -> None:
    result = await probe(tools, shell(script))
    assert (result.outcome, result.code, result.priority) == (Outcome.FAIL, code, None)


@pytest.mark.parametrize(
    ("output", "expect", "code"),
    [
        ("all OK", "OK", 0),
        ("all OK", "^OK", -1),
        ("", "", 0),
        ("anything", "", 0),
        ("", "^$", 0),
        ("a\nb\n", "(?m)^b$", 0),
        (r"\377o\377k", "^ok$", 0),
        (r"gr\303\274n", "^grün$", 0),
        (r"\303", "^$", 0),
    ],
)
async def test_expect_is_searched_in_the_output(
    tools: Tools, output: str, expect: str, code: int
) -> None:
    result = await probe(tools, table(f"printf '{output}'", expect=expect))
    assert result.code == code


@pytest.mark.parametrize(
    ("output", "prio_regex", "priority"),
    [
        ("p=@", "p=(.*)", None),
        ("p=5", "p=(.*)", 5),
        ("p=0", "p=(.*)", 0),
        ("p=-2", "p=(.*)", -2),
        ("p=", "p=(.*)", 1),
        ("p=+", "p=(.*)", 2),
        ("p=+++", "p=(.*)", 4),
        ("q=5", "p=(.*)", -1),
        ("p", "p(=)?", -1),
        ("p=5", "p=.", None),
        ("p=5", "", None),
    ],
)
async def test_prio_regex_gives_the_priority(
    tools: Tools, output: str, prio_regex: str, priority: int | None
) -> None:
    result = await probe(tools, table(f"printf '{output}'", prio_regex=prio_regex))
    assert (result.outcome, result.priority) == (Outcome.PASS, priority)


async def test_the_text_tells_what_the_command_said(tools: Tools) -> None:
    assert (await probe(tools, shell("echo; echo fine; echo more"))).text == "fine"
    assert (await probe(tools, shell("echo broken; exit 3"))).text == "exit code 3: broken"


async def test_the_address_is_filled_in_and_no_shell_reads_it(tools: Tools) -> None:
    check = ["printf", "[%%s]", "%(address)s", "$HOME;%%", "a b"]
    result = await probe(tools, {"type": "exec", "argv": check, "expect": r"\$HOME"})
    assert result.text == "[127.0.0.1][$HOME;%][a b]"


async def test_the_environment_is_inherited_and_the_input_is_empty(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNSLB_TEST_WORD", "inherited")
    result = await probe(tools, shell("cat; echo $DNSLB_TEST_WORD"), limit=2)
    assert result.text == "inherited"


async def test_stderr_is_inherited(tools: Tools, capfd: pytest.CaptureFixture[str]) -> None:
    await probe(tools, shell("echo complaint >&2; exit 1"))
    assert capfd.readouterr() == ("", "complaint\n")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/no/such/command"], errno.ENOENT),
        (["no-such-command-anywhere"], errno.ENOENT),
        (["/"], errno.EACCES),
    ],
)
async def test_a_command_that_cannot_be_started_is_our_fault(
    tools: Tools, argv: list[str], reason: int
) -> None:
    result = await probe(tools, argv)
    assert (result.outcome, result.code) == (Outcome.ERROR, Code.OUR_FAULT)
    assert result.text == f"cannot run {argv[0]!r}: {os.strerror(reason)}"


@pytest.mark.parametrize("mode", [0o644, 0o755])
async def test_a_program_that_is_none_is_our_fault(tools: Tools, tmp_path: Path, mode: int) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00nonsense")
    program.chmod(mode)
    result = await probe(tools, [str(program)])
    assert result.outcome is Outcome.ERROR


async def test_a_command_that_hangs_is_reported_in_time_and_ended(tools: Tools) -> None:
    sleep = nap()
    result = await probe(tools, ["sleep", sleep], limit=0.3)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.TIMEOUT)
    assert 0.3 <= result.duration < 0.3 + SLACK
    await gone(sleep)


async def test_a_command_that_ignores_sigterm_costs_only_itself(tools: Tools) -> None:
    sleep = nap()
    script = f"trap '' TERM; sleep {sleep}; sleep {sleep}"
    result = await probe(tools, shell(script), limit=0.3)
    assert result.code == Code.TIMEOUT
    assert 0.3 <= result.duration < 0.3 + SLACK
    assert running(sleep), "it was killed without the chance that SIGTERM gives"
    await gone(sleep, within=3)


async def test_sigterm_lets_a_command_tidy_up(tools: Tools, tmp_path: Path) -> None:
    sleep = nap()
    done = tmp_path / "tidied"
    script = f"trap 'touch {done}; exit' TERM; sleep {sleep} & wait"
    await probe(tools, shell(script), limit=0.3)
    await until(done.exists)
    await gone(sleep)


async def test_a_stopped_command_may_tidy_up_as_well(tools: Tools, tmp_path: Path) -> None:
    done = tmp_path / "tidied"
    script = f"trap 'touch {done}; exit' TERM; kill -STOP $$"
    result = await probe(tools, shell(script), limit=0.3)
    assert result.code == Code.TIMEOUT
    await until(done.exists)


FORKS = {
    "in the background": "sleep {} &",
    "twice removed": "(sleep {} &) &",
    "in a session of its own": "setsid sleep {} &",
    "in a session of its own, twice removed": "setsid sh -c 'setsid -f sleep {}; true' &",
    "in a group of its own": "set -m; sleep {} &",
    "ignoring everything": "(trap '' TERM HUP INT; sleep {}) &",
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
async def test_what_a_command_leaves_behind_is_killed(tools: Tools, fork: str) -> None:
    """And it does not hold up the probe, though it has the command's output open."""
    sleep = nap()
    script = f"{fork.format(sleep)}\nuntil pgrep -f {sleep} >/dev/null; do :; done; echo ended"
    result = await probe(tools, shell(script))
    assert (result.outcome, result.text) == (Outcome.PASS, "ended")
    await gone(sleep)


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
async def test_a_timeout_ends_all_that_a_command_started(tools: Tools, fork: str) -> None:
    sleep, own = nap(), nap()
    result = await probe(tools, shell(f"{fork.format(sleep)}\nsleep {own}"), limit=0.3)
    assert result.code == Code.TIMEOUT
    await gone(sleep, own)


async def test_an_orphan_of_a_running_command_is_left_to_it(tools: Tools, tmp_path: Path) -> None:
    """While other commands end, and their leavings are killed."""
    begun, go_on, done = tmp_path / "begun", tmp_path / "go", tmp_path / "done"
    orphan = f"touch {begun}; until [ -e {go_on} ]; do sleep 0.01; done; touch {done}"
    script = f"setsid -f sh -c '{orphan}'; until [ -e {done} ]; do sleep 0.01; done"
    patient = asyncio.create_task(probe(tools, shell(script)))
    await until(begun.exists)
    for _ in range(3):
        await probe(tools, shell("setsid -f sleep 60"))
    go_on.touch()
    assert (await patient).outcome is Outcome.PASS


async def test_a_cancelled_probe_kills_its_command_at_once(tools: Tools) -> None:
    sleep = nap()
    task = asyncio.create_task(probe(tools, shell(f"trap '' TERM; sleep {sleep}; :")))
    await until(lambda: running(sleep))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(sleep, within=0.9)


async def test_a_flood_of_output_costs_only_itself(tools: Tools) -> None:
    await probe(tools, ["true"])
    [helper] = children("spawner.py")
    busy = processor_time(helper)
    flood = asyncio.create_task(probe(tools, ["yes"], limit=1))
    others = [await probe(tools, ["echo", "calm"]) for _ in range(20)]
    assert all(other.outcome is Outcome.PASS for other in others)
    assert not flood.done(), "the others had to wait for it"
    assert (await flood).code == Code.TIMEOUT
    assert processor_time(helper) - busy < 0.4, "it is read as fast as it can print"


async def test_long_output_is_drained_and_its_start_is_judged(tools: Tools) -> None:
    script = "echo start; yes | head -c 3000000; echo end"
    assert (await probe(tools, table(script, expect="^start"))).outcome is Outcome.PASS
    result = await probe(tools, table(script, expect="end"))
    assert result.code == Code.NO_MATCH
    assert "in its first 64 KiB" in result.text


@pytest.mark.parametrize(("before", "outcome"), [(65535, Outcome.PASS), (65536, Outcome.FAIL)])
async def test_64_kib_of_output_are_looked_at(tools: Tools, before: int, outcome: Outcome) -> None:
    script = f"head -c {before} /dev/zero | tr '\\0' a; printf b"
    result = await probe(tools, table(script, expect="b"))
    assert result.outcome is outcome


async def test_a_command_may_close_its_output_early(tools: Tools) -> None:
    result = await probe(tools, shell("echo said; exec >&-; sleep 0.1; exit 3"))
    assert (result.code, result.text) == (3, "exit code 3: said")


async def test_many_commands_at_once(tools: Tools) -> None:
    async def one(number: int) -> Result:
        return await probe(tools, table(f"echo {number}", expect=f"^{number}$"), limit=20)

    results = await asyncio.gather(*map(one, range(200)))
    assert {result.outcome for result in results} == {Outcome.PASS}


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["ping", "-c1", "%(address)s"], "ping -c1 192.0.2.1"),
        (["check", "--password=s3cret", "x"], "check '--password=***' x"),
        (["check", "--password", "s3cret", "x"], "check --password '***' x"),
        (["check", "-H", "Authorization: Bearer s3cret"], "check -H 'Authorization:***'"),
        (["curl", "http://u:s3cret@%(address)s/"], "curl 'http://***@192.0.2.1/'"),
        (["check", "a\nb"], "check 'a"),
    ],
)
def test_a_command_is_described_without_its_secrets(argv: list[str], shown: str) -> None:
    assert parse_check(argv).describe(Endpoint("192.0.2.1")) == shown


def test_a_check_can_be_made_from_values() -> None:
    assert ExecCheck(argv=("true",)).expect == ""
