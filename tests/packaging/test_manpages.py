"""The manual pages name every command, switch and key."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from dnslb_backend.cli.app import commands
from dnslb_backend.config.reference import SECTIONS, options
from tests.cli.test_docs import leaves

SCRIPT = Path(__file__).parents[2] / "configs/debian/manpages.py"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each page without its markup."""
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run([sys.executable, "-B", str(SCRIPT), str(folder)], check=True)
    plain = re.compile(r"\\f[BIR]|\\(?=[-&])|&(?=[.'])")
    return {path.name: plain.sub("", path.read_text()) for path in folder.iterdir()}


def test_there_are_two(pages: dict[str, str]) -> None:
    assert set(pages) == {"dnslb-backend.1", "dnslb.toml.5"}


def test_every_command_is_there_with_its_switches(pages: dict[str, str]) -> None:
    parts = pages["dnslb-backend.1"].split("\n.S")
    for words, command in leaves(typer.main.get_group(commands())):
        (found,) = (part for part in parts if re.match(rf"S {words}( |$)", part, re.MULTILINE))
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(switch in found for switch in parameter.opts), (words, parameter.opts)


def test_every_key_is_there(pages: dict[str, str]) -> None:
    parts = dict(part.split("\n", 1) for part in pages["dnslb.toml.5"].split("\n.SH ")[1:])
    for section in SECTIONS:
        found = parts[section.title.replace('"', r"\(dq")]
        for option in options(section.model):
            assert f".TP\n{option.name}\n" in found, (section.title, option.name)


def test_no_line_of_text_is_taken_for_a_request(pages: dict[str, str]) -> None:
    requests = re.findall(r"^[.'](\w*)", "\n".join(pages.values()), re.MULTILINE)
    assert set(requests) <= {"TH", "SH", "SS", "TP"}
