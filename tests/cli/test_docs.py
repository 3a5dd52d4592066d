"""docs/commands.md names every command, switch and exit code."""

import re
from pathlib import Path

import pytest
import typer.main

from dnslb_backend.cli.app import app
from dnslb_backend.cli.exits import Exit
from dnslb_backend.pdns.coprocess import USAGE

TEXT = (Path(__file__).parent.parent.parent / "docs/commands.md").read_text()
COMMANDS = {info.name or "": info for info in app.registered_commands}


def test_every_command_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z][a-z-]+)(?: \[NAME\])?` \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_switch_is_described(name: str) -> None:
    group = typer.main.get_group(app)
    section = next(
        part for part in TEXT.split("\n## ")[1:] if name in part.splitlines()[0].split(", ")
    )
    switches = {
        switch
        for parameter in group.commands[name].params
        if parameter.param_type_name == "option"
        for switch in parameter.opts
    }
    if name == "pipe":
        switches = set(re.findall(r"(--?[a-z]+) [A-Z]", USAGE))
    for switch in switches:
        assert f"`{switch}`" in section or f"`{switch} " in section, switch


def test_every_exit_code_is_described() -> None:
    head = TEXT.partition("## ")[0]
    for code in Exit:
        assert re.search(rf"\b{code.value}\b", head), code
