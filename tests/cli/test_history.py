"""`history`: what happened, laid out for people."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dnslb_backend.admin.api.history import HistoryReport, HistoryTransition
from dnslb_backend.core.health.results import failed
from tests.admin.node import BROKEN, OK, Node
from tests.cli.command import run, run_on_terminal


async def test_two_lines_a_transition_newest_first(config: Path, node: Node) -> None:
    node.clock = 3600
    node.round({"10.0.0.1": BROKEN, "10.0.0.2": OK, "10.0.0.3": OK})
    ended = await run("history", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[2:4] == [
        "2023-11-14 23:13:20Z ns1 www.lb.example A 10.0.0.1",
        "  UP -> DOWN, no longer served: 503 Service Unavailable",
    ]
    assert "  now served: 200 OK" in ended.out.splitlines()


async def test_decisions_are_between_the_transitions_that_led_to_them(
    config: Path, node: Node
) -> None:
    for node.clock, result in ((3600, BROKEN), (3700, OK)):
        await run("history", "-c", str(config))
        node.round(dict.fromkeys(("10.0.0.1", "10.0.0.2", "10.0.0.3"), result))
    ended = await run("history", "-c", str(config))
    lines = ended.out.splitlines()
    decisions = [n for n, line in enumerate(lines) if line.endswith("www.lb.example A")]
    assert [lines[number + 1] for number in decisions] == [
        "  no answer -> serving: 3 of 3 members UP",
        "  serving -> no answer: 3 of 3 members DOWN",
        "  pending -> serving: 3 of 3 members UP",
    ]
    assert lines[decisions[1]] == "2023-11-14 23:13:20Z ns1 www.lb.example A"
    between = lines[decisions[1] + 2 : decisions[2]]
    assert "  UP -> DOWN, no longer served: 503 Service Unavailable" in between


async def test_how_far_back(config: Path, node: Node) -> None:
    node.clock = 3600
    node.round({"10.0.0.1": BROKEN, "10.0.0.2": OK, "10.0.0.3": OK})
    ended = await run("history", "www", "--since", "30m", "--json", "-c", str(config))
    report = HistoryReport.model_validate_json(ended.out)
    moved = [event for event in report.events if isinstance(event, HistoryTransition)]
    assert [event.content for event in moved] == ["10.0.0.1"]
    ended = await run("history", "--limit", "1", "-c", str(config))
    assert len(ended.out.splitlines()) == 2
    assert "there may be older ones" in ended.err


async def test_when_nothing_happened(config: Path) -> None:
    ended = await run("history", "nope.", "-c", str(config))
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "no changes recorded\n"
    ended = await run("history", "nope.", "--json", "-c", str(config))
    assert json.loads(ended.out)["events"] == []


async def test_nothing_is_wider_than_80_columns_and_nothing_is_cut(
    config: Path, node: Node
) -> None:
    node.round({"10.0.0.1": failed(7, "word " * 35 + "last-word"), "10.0.0.2": OK})
    ended = await run("history", "-c", str(config))
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "last-word" in ended.out


async def test_hostile_text_does_not_reach_the_terminal(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": failed(1, "\x1b]0;owned\x07[red]x[/red]"), "10.0.0.2": OK})
    out = await run_on_terminal("history", "-c", str(config), NO_COLOR="1")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[red]x[/red]" in out


async def piped(*words: str) -> str:
    return (await run(*words)).out


@pytest.mark.parametrize("runs", [run_on_terminal, piped])
async def test_json_does_not_turn_the_direction_of_text(
    config: Path, node: Node, runs: Callable[..., Awaitable[str]]
) -> None:
    node.round({"10.0.0.1": failed(1, "evil \u202e grüße"), "10.0.0.2": OK})
    out = await runs("history", "--json", "-c", str(config))
    assert "\u202e" not in out
    assert "\\u202e" in out
