"""The result table of commands, and what commands can do to the daemon: nothing."""

import asyncio
import errno
import logging
import os
import signal
from pathlib import Path

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome, Result
from tests.checkers.probing import LIMIT, probe
from tests.rigs.processes import children, nap, processor_time, resident, running, signals
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
async def test_exit_codes_and_signals(tools: CheckResources, script: str, code: int) -> None:
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
    tools: CheckResources, output: str, expect: str, code: int
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
    tools: CheckResources, output: str, prio_regex: str, priority: int | None
) -> None:
    result = await probe(tools, table(f"printf '{output}'", prio_regex=prio_regex))
    assert (result.outcome, result.priority) == (Outcome.PASS, priority)


async def test_the_text_tells_what_the_command_said(tools: CheckResources) -> None:
    assert (await probe(tools, shell("echo; echo fine; echo more"))).text == "fine"
    assert (await probe(tools, shell("echo broken; exit 3"))).text == "exit code 3: broken"


async def test_the_address_is_filled_in_and_no_shell_reads_it(tools: CheckResources) -> None:
    check = ["printf", "[%%s]", "%(address)s", "$HOME;%%", "a b"]
    result = await probe(tools, {"type": "exec", "argv": check, "expect": r"\$HOME"})
    assert result.text == "[127.0.0.1][$HOME;%][a b]"


async def test_the_environment_is_inherited_and_the_input_is_empty(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNSLB_TEST_WORD", "inherited")
    result = await probe(tools, shell("cat; echo $DNSLB_TEST_WORD"), limit=2)
    assert result.text == "inherited"


async def test_what_the_service_manager_says_to_the_daemon_is_not_inherited(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "/x")
    script = "echo $NOTIFY_SOCKET$WATCHDOG_USEC$LISTEN_FDS$CREDENTIALS_DIRECTORY."
    assert (await probe(tools, shell(script))).text == "."


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("echo wrong >&2; exit 2", "exit code 2: wrong"),
        ("echo; echo wrong >&2; exit 2", "exit code 2: wrong"),
        ("echo said; echo wrong >&2; exit 2", "exit code 2: said"),
        ("printf '\\033[1mbold\\n<0>x' >&2; exit 2", "exit code 2: ?[1mbold"),
        ("echo 'Traceback (most recent call last):\n ..\nOSError: no' >&2; exit 1", "OSError: no"),
        ("exec 2>&-; exit 2", "exit code 2"),
        ("exit 255", "exit code 255"),
        ("exit 143", "exit code 143 (SIGTERM?)"),
        ("kill -TERM $$", "exit code 143 (SIGTERM)"),
        ("no-such-command", "no-such-command: not found"),
    ],
)
async def test_a_failure_tells_its_reason(tools: CheckResources, script: str, text: str) -> None:
    result = await probe(tools, shell(script))
    assert result.outcome is Outcome.FAIL
    assert result.text == text or (not text.startswith("exit") and result.text.endswith(text))


async def test_standard_error_never_reaches_that_of_the_daemon_as_it_is(
    tools: CheckResources, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        await probe(tools, shell("echo complaint >&2; exit 1"))
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == ["'sh' wrote to standard error: complaint"]


@pytest.mark.parametrize(
    "words",
    [
        ("--password", "s3cret"),
        ("--token=s3cret",),
        ("-ps3cret",),
        ("-u", "probe:s3cret"),
        ("http://probe:s3cret@192.0.2.1/",),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
async def test_no_result_or_log_shows_a_password_that_the_command_prints(
    tools: CheckResources, caplog: pytest.LogCaptureFixture, words: tuple[str, ...], code: int
) -> None:
    caplog.set_level("INFO")
    script = f'echo "said $*"; echo "wrote $*" >&2; exit {code}'
    result = await probe(tools, {"type": "exec", "argv": ["sh", "-c", script, "check", *words]})
    assert "said" in result.text
    assert "***" in result.text
    assert "s3cret" not in result.text
    assert "***" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("stream", [1, 2])
async def test_a_flood_costs_only_itself(tools: CheckResources, stream: int) -> None:
    await probe(tools, ["true"])
    [helper] = children("spawner.py")
    busy, size = processor_time(helper), resident(helper)
    flood = asyncio.create_task(probe(tools, shell(f"yes >&{stream}"), limit=1))
    others = [await probe(tools, ["echo", "calm"]) for _ in range(20)]
    assert all(other.outcome is Outcome.PASS for other in others)
    assert not flood.done(), "the others had to wait for it"
    assert (await flood).code == Code.TIMEOUT
    assert processor_time(helper) - busy < 0.4, "it is read as fast as it can print"
    assert resident(helper) - size < 8


async def test_a_long_standard_error_changes_no_exit_code(tools: CheckResources) -> None:
    result = await probe(tools, shell("echo start >&2; yes | head -c 3000000 >&2; exit 5"))
    assert (result.code, result.text) == (5, "exit code 5: start")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/no/such/command"], errno.ENOENT),
        (["no-such-command-anywhere"], errno.ENOENT),
        (["/"], errno.EACCES),
    ],
)
async def test_a_command_that_cannot_be_started_is_our_fault(
    tools: CheckResources, argv: list[str], reason: int
) -> None:
    result = await probe(tools, argv)
    assert (result.outcome, result.code) == (Outcome.ERROR, Code.INTERNAL_ERROR)
    assert result.text == f"cannot run {argv[0]!r}: {os.strerror(reason)}"


@pytest.mark.parametrize("mode", [0o644, 0o755])
async def test_a_program_that_is_none_is_our_fault(
    tools: CheckResources, tmp_path: Path, mode: int
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00nonsense")
    program.chmod(mode)
    result = await probe(tools, [str(program)])
    assert result.outcome is Outcome.ERROR


async def test_a_command_that_hangs_is_reported_in_time_and_ended(tools: CheckResources) -> None:
    sleep = nap()
    result = await probe(tools, ["sleep", sleep], limit=0.3)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.TIMEOUT)
    assert 0.3 <= result.duration < 0.3 + SLACK
    await gone(sleep)


async def test_a_command_that_ignores_sigterm_costs_only_itself(tools: CheckResources) -> None:
    sleep = nap()
    script = f"trap '' TERM; sleep {sleep}; sleep {sleep}"
    result = await probe(tools, shell(script), limit=0.3)
    assert result.code == Code.TIMEOUT
    assert 0.3 <= result.duration < 0.3 + SLACK
    assert running(sleep), "it was killed without the chance that SIGTERM gives"
    await gone(sleep, within=3)


async def test_sigterm_lets_a_command_tidy_up(tools: CheckResources, tmp_path: Path) -> None:
    sleep = nap()
    done = tmp_path / "tidied"
    script = f"trap 'touch {done}; exit' TERM; sleep {sleep} & wait"
    await probe(tools, shell(script), limit=0.3)
    await until(done.exists)
    await gone(sleep)


async def test_a_stopped_command_may_tidy_up_as_well(tools: CheckResources, tmp_path: Path) -> None:
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
async def test_what_a_command_leaves_behind_is_killed(tools: CheckResources, fork: str) -> None:
    """And it does not hold up the probe, though it has the command's output open."""
    sleep = nap()
    script = f"{fork.format(sleep)}\nuntil pgrep -f {sleep} >/dev/null; do :; done; echo ended"
    result = await probe(tools, shell(script))
    assert (result.outcome, result.text) == (Outcome.PASS, "ended")
    await gone(sleep)


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
async def test_a_timeout_ends_all_that_a_command_started(tools: CheckResources, fork: str) -> None:
    sleep, own = nap(), nap()
    result = await probe(tools, shell(f"{fork.format(sleep)}\nsleep {own}"), limit=0.3)
    assert result.code == Code.TIMEOUT
    await gone(sleep, own)


async def test_an_orphan_of_a_running_command_is_left_to_it(
    tools: CheckResources, tmp_path: Path
) -> None:
    """While other commands end, and their leavings are killed."""
    begun, go_on, done = tmp_path / "begun", tmp_path / "go", tmp_path / "done"
    orphan = f"touch {begun}; until [ -e {go_on} ]; do sleep 0.01; done; touch {done}"
    script = f"setsid -f sh -c '{orphan}'; until [ -e {done} ]; do sleep 0.01; done"
    patient = asyncio.create_task(probe(tools, shell(script)))
    await until(begun.exists)
    for _ in range(3):
        await probe(tools, shell(f"setsid -f sleep {nap()}"))
    go_on.touch()
    assert (await patient).outcome is Outcome.PASS


async def test_a_cancelled_probe_kills_its_command_at_once(tools: CheckResources) -> None:
    sleep = nap()
    task = asyncio.create_task(probe(tools, shell(f"trap '' TERM; sleep {sleep}; :")))
    await until(lambda: running(sleep))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(sleep, within=0.9)


async def test_long_output_is_drained_and_its_start_is_judged(tools: CheckResources) -> None:
    script = "echo start; yes | head -c 3000000; echo end"
    assert (await probe(tools, table(script, expect="^start"))).outcome is Outcome.PASS
    result = await probe(tools, table(script, expect="end"))
    assert result.code == Code.NO_MATCH
    assert "in its first 64 KiB" in result.text


@pytest.mark.parametrize(("before", "outcome"), [(65535, Outcome.PASS), (65536, Outcome.FAIL)])
async def test_64_kib_of_output_are_looked_at(
    tools: CheckResources, before: int, outcome: Outcome
) -> None:
    script = f"head -c {before} /dev/zero | tr '\\0' a; printf b"
    result = await probe(tools, table(script, expect="b"))
    assert result.outcome is outcome


async def test_a_command_may_close_its_output_early(tools: CheckResources) -> None:
    result = await probe(tools, shell("echo said; exec >&-; sleep 0.1; exit 3"))
    assert (result.code, result.text) == (3, "exit code 3: said")


async def test_many_commands_at_once(tools: CheckResources) -> None:
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
        (["mysql", "-pS3cret", "-uroot"], "mysql '-p***' -uroot"),
        (["check_mysql", "-p", "s3cret", "-P", "3306"], "check_mysql -p '***' -P 3306"),
        (["check_tcp", "-p", "80", "-p443"], "check_tcp -p 80 -p443"),
        (["curl", "-u", "me:s3cret", "x"], "curl -u 'me:***' x"),
        (["curl", "-ume:s3cret", "--user", "me:s3cret"], "curl '-ume:***' --user 'me:***'"),
        (["check_http", "-u", "/status:80"], "check_http -u /status:80"),
        (["sh", "-c", "mysql -ps3cret -h x"], "sh -c 'mysql -p*** -h x'"),
        (["env", "DB_PASSWORD=s3cret", "check"], "env 'DB_PASSWORD=***' check"),
    ],
)
def test_a_command_is_described_without_its_secrets(argv: list[str], shown: str) -> None:
    assert parse_check(argv).describe(ProbeEndpoint("192.0.2.1")) == shown


async def test_no_signal_is_ignored_because_python_ignores_it(tools: CheckResources) -> None:
    sleep = nap()
    task = asyncio.create_task(probe(tools, ["sleep", sleep], limit=60))
    [pid] = await until(lambda: running(sleep))
    assert not signals(pid, "SigIgn") & {signal.SIGPIPE, signal.SIGXFSZ}
    assert not signals(pid, "SigBlk")
    task.cancel()
    await asyncio.wait([task])


CODES = {"pass_codes": [0, 10], "warn_codes": [1], "error_codes": [3, 126, 127]}


@pytest.mark.parametrize(
    ("script", "outcome", "code", "text"),
    [
        ("echo OK", Outcome.PASS, 0, "OK"),
        ("echo OK; exit 10", Outcome.PASS, 0, "OK"),
        ("echo load; exit 1", Outcome.PASS, 0, "warning, exit code 1: load"),
        ("echo down; exit 2", Outcome.FAIL, 2, "exit code 2: down"),
        ("echo unknown; exit 3", Outcome.ERROR, -3, "exit code 3: unknown"),
        ("exec /no/such/command 2>&-", Outcome.ERROR, -3, "exit code 127"),
    ],
)
async def test_exit_codes_mean_what_the_check_says(
    tools: CheckResources, script: str, outcome: Outcome, code: int, text: str
) -> None:
    result = await probe(tools, table(script, **CODES))
    assert (result.outcome, result.code, result.text) == (outcome, code, text)


async def test_a_warning_must_say_what_is_expected(tools: CheckResources) -> None:
    result = await probe(tools, table("echo load; exit 1", expect="^OK", **CODES))
    assert result.code == Code.NO_MATCH


async def test_exit_code_0_may_be_a_failure(tools: CheckResources) -> None:
    result = await probe(tools, table("echo in maintenance", pass_codes=[1]))
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.NO_MATCH)
    assert result.text == "exit code 0: in maintenance"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"warn_codes": [0]}, "0: an exit code may be listed once"),
        ({"warn_codes": [1, 3], "error_codes": [3]}, "3: an exit code may be listed once"),
        ({"pass_codes": [256]}, "less than or equal to 255"),
        ({"pass_codes": [-1]}, "greater than or equal to 0"),
        ({"pass_codes": [True]}, "valid integer"),
        ({"pass_codes": 1}, "must be a list"),
    ],
)
def test_exit_codes_that_make_no_sense_are_refused(keys: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_check({"type": "exec", "argv": ["true"], **keys})


def test_a_check_can_be_made_from_values() -> None:
    assert ExecCheck(argv=("true",)).expect == ""
