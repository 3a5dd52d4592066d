"""docs/commands.md names every command, switch and exit code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from dnslb_backend.cli.app import commands
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.pdns.connectors.coprocess import USAGE

TEXT = (Path(__file__).parent.parent.parent / "docs/commands.md").read_text()


def leaves(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words: those of a group bear the name of the group."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


COMMANDS = dict(leaves(typer.main.get_group(commands())))


def test_every_command_has_its_row_and_no_other() -> None:
    table = TEXT.partition("| command | |\n")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[1:]]
    rows = [name for cell in cells for name in re.findall(r"`([a-z-]+(?: [a-z]+)?)", cell)]
    assert sorted(rows) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_switch_is_described(name: str) -> None:
    section = next(
        part for part in TEXT.split("\n## ")[1:] if name in part.splitlines()[0].split(", ")
    )
    switches = {
        switch
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option"
        for switch in parameter.opts
    }
    if name == "pipe":
        switches = set(re.findall(r"(--?[a-z]+) [A-Z]", USAGE))
    for switch in switches:
        assert f"`{switch}`" in section or f"`{switch} " in section, switch


def test_every_exit_code_is_described() -> None:
    head = TEXT.partition("## ")[0]
    for code in ExitCode:
        assert re.search(rf"\b{code.value}\b", head), code
