"""TOML that is parsed in a process of its own is what it would be here."""

import sys
import time
from pathlib import Path

import pytest

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.config.toml import LARGE, TOO_DEEP, TomlError, parse, read_tables
from dnslb_backend.errors import ConfigError

ROWS = ", ".join(f'{{ name = "n{n}", rows = [{n}, "x", [true, 1979-05-27]] }}' for n in range(200))
ODD = f"""
at = 2026-01-31T02:00:00Z
number = 1.5
empty = {{}}
none = []
static = [{ROWS}]
"""

RECORDS = "".join(
    f'[records."n{number}".A]\ndest = ["192.0.2.1", {{ host = "192.0.2.2", weight = {number} }}]\n'
    for number in range(6000)
)

TEXT = f"{ODD}{RECORDS}"


def test_large_files_mean_the_same() -> None:
    content = TEXT.encode()
    assert len(content) > LARGE
    assert read_tables(content) == parse(content)
    assert list(read_tables(content)["records"]) == [f"n{number}" for number in range(6000)]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (b"\nx = ", "is not valid TOML: Invalid value (at end of document)"),
        (b"\n# \xff", "is not UTF-8: invalid start byte"),
        (b"\nx = " + b"1" * 5000, "has an invalid number"),
        (b"\nx = " + b"[" * 30 + b"]" * 30, TOO_DEEP),
    ],
)
def test_large_files_are_refused_for_the_same_reason(end: bytes, expected: str) -> None:
    with pytest.raises(TomlError) as apart:
        read_tables(TEXT.encode() + end)
    with pytest.raises(TomlError) as here:
        parse(TEXT.encode() + end)
    assert str(apart.value) == str(here.value)
    assert expected in str(apart.value)


def test_a_large_file_costs_this_process_less_than_to_parse_it() -> None:
    content = TEXT.encode() + RECORDS.replace('"n', '"m').encode()

    def cost(read: object) -> float:
        began = time.thread_time()
        assert callable(read)
        read(content)
        return time.thread_time() - began

    assert min(cost(read_tables) for _ in range(3)) < min(cost(parse) for _ in range(3))


def test_without_a_process_it_is_parsed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    content = TEXT.encode()
    for program in ("/nonexistent/python", "/bin/true"):
        monkeypatch.setattr(sys, "executable", program)
        assert read_tables(content) == parse(content)


def test_a_file_beyond_the_limit_says_what_raises_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dnslb.toml"
    path.write_text('[global]\ndomain_name = "lb.example"\nnode = "ns1"\n' + "# \n" * 1000)
    monkeypatch.setenv("DNSLB_CONFIG_LIMIT", "3000")
    with pytest.raises(ConfigError) as refused:
        load(ConfigPaths(path))
    (problem,) = refused.value.problems
    assert "is larger than 3000 bytes; DNSLB_CONFIG_LIMIT in the environment" in problem.message
    monkeypatch.setenv("DNSLB_CONFIG_LIMIT", "4000")
    assert load(ConfigPaths(path)).node == "ns1"
