"""States in files that somebody else writes."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.probing import HERE, probe


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / HERE


def write(state: Path, content: str, age: float = 0.0) -> None:
    state.write_text(content)
    written = time.time() - age
    os.utime(state, (written, written))


def file(state: Path, **keys: Any) -> dict[str, Any]:
    return {"type": "file", "path": f"{state.parent}/%(address)s", **keys}


@pytest.mark.parametrize(
    ("content", "keys", "code", "text"),
    [
        ("", {}, 0, ""),
        ("anything", {}, 0, "anything"),
        ("all OK\n", {"expect": "OK$"}, 0, "all OK"),
        ("all KO\n", {"expect": "OK$"}, -1, "reply does not match 'OK$': 'all KO'"),
        ("up since noon\n", {"up": ["up", "ok"]}, 0, "up since noon"),
        ("  ok\n", {"up": ["up", "ok"]}, 0, "ok"),
        ("upward\n", {"up": ["up", "ok"]}, -1, "says 'upward', none of up, ok"),
        ("", {"up": ["up"]}, -1, "says '', none of up"),
        ("down\n", {"down": ["down"]}, -6, "says 'down'"),
        ("else\n", {"down": ["down"]}, 0, "else"),
        ("up 7\n", {"up": ["up"], "expect": "8"}, -1, "reply does not match '8': 'up 7'"),
    ],
)
async def test_the_words_decide(
    tools: CheckResources, state: Path, content: str, keys: dict[str, Any], code: int, text: str
) -> None:
    write(state, content)
    result = await probe(tools, file(state, **keys))
    assert (result.code, result.text) == (code, text)


async def test_the_numbers(tools: CheckResources, state: Path) -> None:
    write(state, '{"prio": "++", "weight": 3}')
    keys = {"priority": {"json_path": "prio"}, "weight": {"json_path": "weight"}}
    result = await probe(tools, file(state, **keys))
    assert (result.priority, result.weight) == (3, 3)


async def test_no_file(tools: CheckResources, state: Path) -> None:
    result = await probe(tools, file(state))
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.NO_MATCH)
    assert result.text == f"no file {state}"


@pytest.mark.parametrize(
    ("age", "text"), [(3600, "3600 s ago"), (-3600, "3600 s ahead of the local clock")]
)
async def test_a_file_that_nobody_writes_any_more(
    tools: CheckResources, state: Path, age: float, text: str
) -> None:
    write(state, "up", age)
    assert (await probe(tools, file(state, max_age=3700))).outcome is Outcome.PASS
    result = await probe(tools, file(state, max_age=3500))
    assert result.code == Code.TIMEOUT
    assert result.text.startswith("written 3")
    assert result.text.endswith(text.split(maxsplit=1)[1])


async def test_what_cannot_be_read_is_our_fault(tools: CheckResources, state: Path) -> None:
    os.mkfifo(state)
    result = await probe(tools, file(state))
    assert (result.outcome, result.code) == (Outcome.ERROR, Code.INTERNAL_ERROR)


def test_description() -> None:
    check = parse_check({"type": "file", "path": "/run/state/%(address)s"})
    assert check.describe(ProbeEndpoint("::1")) == "file /run/state/::1"
