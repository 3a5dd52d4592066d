"""The frame of the command line: help, version, completion, exit codes."""

import re
import resource
import sys
from pathlib import Path

import pytest

from dnslb_backend import __version__
from tests.cli.command import run, run_afresh, run_on_terminal
from tests.rigs.capture import capture

COMMANDS = [
    *("serve", "check-config", "status", "explain", "drain", "down", "up", "clear", "history"),
    *("probe", "reload", "schema", "demo", "pipe"),
]


async def test_help_names_every_command_and_is_quick() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = await run_afresh("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.code == 0
    for command in COMMANDS:
        assert f" {command} " in ended.out
    # Of the processor: 0.15 s on an idle machine; the daemon's libraries alone take 0.6 s.
    assert after.ru_utime - before.ru_utime < 0.5


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "pipe"])
async def test_help_of_a_command_fits_80_columns(command: str) -> None:
    for ended in (await run(command, "--help"), await run(command, "-h")):
        assert ended.code == 0
        assert max(map(len, ended.out.splitlines())) <= 80
        # A switch takes no value, and a required argument is written as it is meant.
        assert "<bool>" not in ended.out
        assert "{" not in ended.out


async def test_the_version() -> None:
    ended = await run("--version")
    assert (ended.code, ended.out) == (0, f"dnslb-backend {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("status", "--nonsense"),
        ("status", "a", "b"),
        ("serve", "-l", "loud"),
        ("serve", "-c"),
        ("demo", "extra"),
        ("drain",),
        ("drain", "10.0.0.1", "--for", "soon"),
        ("drain", "10.0.0.1", "--for", "0s"),
        ("up", "10.0.0.1", "--for", "2"),
        ("history", "--since", "2026-01-01"),
        ("history", "--limit", "0"),
        ("explain",),
        ("probe",),
        ("schema",),
        ("schema", "show", "nonsense"),
        ("schema", "apply", "--password-file", "f"),
    ],
)
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert (await run(*arguments)).code == 2


async def test_completion_knows_commands_and_switches() -> None:
    asked = {"_DNSLB_BACKEND_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    ended = await run_afresh(COMP_WORDS="dnslb-backend s", **asked)
    assert set(ended.out.split()) == {"serve", "status", "schema"}
    asked["COMP_CWORD"] = "2"
    ended = await run_afresh(COMP_WORDS="dnslb-backend status --", **asked)
    assert {"--json", "--watch", "--admin", "--token-file"} <= set(ended.out.split())


async def test_the_coprocess_starts_without_our_libraries() -> None:
    """PowerDNS starts one a thread: nothing but the standard library may be imported for it."""
    ended = await run_afresh("pipe", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == 0
    for library in ("typer", "pydantic", "aiohttp", "rich"):
        assert not re.search(rf"\| +{library}\b", ended.err), library


async def test_ctrl_c_gives_no_traceback(config: Path) -> None:
    out = await run_on_terminal(
        "status", "--watch", "-c", str(config), enough="10.0.0.1", interrupt=True
    )
    assert "Traceback" not in out


async def test_ctrl_c_works_where_the_tests_run_in_the_background_of_a_script() -> None:
    """A shell has its background jobs ignore SIGINT, and their children inherit that."""
    this = f"{__file__}::{test_ctrl_c_gives_no_traceback.__name__}"
    code, out, _ = await capture(
        *("env", "--ignore-signal=INT", sys.executable, "-m", "pytest", "-q"),
        *("-p", "no:cacheprovider", "--timeout", "30", this),
        merge=True,
    )
    assert code == 0, out.decode()
