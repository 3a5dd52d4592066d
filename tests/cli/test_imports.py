"""What a command imports: a start should not wait for libraries that only the daemon needs."""

import re
from pathlib import Path

import pytest

from dnslb_backend.cli.exit_codes import ExitCode
from tests.cli.command import run_afresh
from tests.rigs.ports import free_port

DAEMONS = {"aiohttp", "prometheus_client", "pycares", "uvloop", "aiomysql", "cryptography"}
"""What serves, counts, resolves and mirrors."""

FORMATS = {"dns", "tomli", "yarl"}
"""What reads a configuration and checks it."""

MINIMAL = Path("configs/minimal.toml")
IMPORTED = re.compile(r"^import time: .*\| +(?P<module>[\w.]+)$", re.MULTILINE)


async def imported(*arguments: str, code: ExitCode) -> set[str]:
    """The libraries and modules that a command has imported when it ends."""
    ended = await run_afresh(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert ended.code == code, ended.err[-1000:]
    modules = {found["module"] for found in IMPORTED.finditer(ended.err)}
    assert "dnslb_backend.cli.app" in modules
    return modules


@pytest.mark.parametrize(
    "arguments",
    [
        ("check-config", "-c", str(MINIMAL)),
        ("serve", "-t", "-c", str(MINIMAL)),
        ("config", "show", "-c", str(MINIMAL), "www"),
        ("import", "lua", "tests/importers/samples/example.org.zone"),
        ("schema", "show", "users"),
        ("files", "export", "--help"),
    ],
    ids=" ".join,
)
async def test_an_offline_command_imports_no_part_of_the_daemon(arguments: tuple[str, ...]) -> None:
    modules = await imported(*arguments, code=ExitCode.FINE)
    assert not modules & DAEMONS


@pytest.mark.parametrize(
    "command", ["status", "drain x", "overrides", "history", "nodes", "reload"]
)
async def test_a_command_to_a_daemon_imports_no_configuration(command: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    modules = await imported(*command.split(), "--admin", nowhere, code=ExitCode.FAILED)
    assert not modules & (DAEMONS | FORMATS)
