"""`explain`: every step to the answer, for people."""

from pathlib import Path

import pytest

from dnslb_backend.admin.api.explain import ExplainReport
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import failed
from dnslb_backend.core.model.records import RecordKey
from tests.admin.node import BROKEN, OK, Node
from tests.cli.command import run, run_on_terminal
from tests.core.building import KEY, ZONE, at, record


async def test_every_step_is_a_line(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": OK, "10.0.0.2": BROKEN, "10.0.0.3": OK})
    ended = await run("explain", KEY.name, "A", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "www.lb.example A: NOERROR",
        "  zone     lb.example",
        "  answer   A 10.0.0.1 (ttl 5 s)",
        "",
        "www.lb.example A: serving",
        "  views    the client is in none",
        "  policy   all, at most 71 (fits UDP)",
        "  tiers    open down to priority 2, prio_min_cnt 1",
        "  ttl      5 s",
        "  10.0.0.1 UP               p2   w1   answered   200 OK",
        "  10.0.0.2 DOWN             p-   w1   left out   503 Service Unavailable",
        "  10.0.0.3 UP               p1   w1   left out   standby (priority 2 is serving)",
    ]


async def test_what_if(config: Path, node: Node) -> None:
    ended = await run("explain", KEY.name, "A", "--down", "10.0.0.[12]", "-c", str(config))
    lines = ended.out.splitlines()
    assert lines[0] == "www.lb.example A if 10.0.0.[12] were down: NOERROR"
    assert "  answer   A 10.0.0.3 (ttl 5 s)" in lines
    assert any(line.startswith("  10.0.0.1 FORCED DOWN (UP) ") for line in lines)
    assert node.overrides() == []


async def test_an_override_and_who_gave_it(config: Path, node: Node) -> None:
    order = Override("1", "10.0.0.1", Action.DRAIN, author="ann", reason="new disk")
    node.health_map.set_overrides([order], at(5))
    out = (await run("explain", KEY.name, "-c", str(config))).out
    assert "  10.0.0.1 DRAINED (UP)     p2   w1   left out   override drain by ann: new disk" in out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (f"nope.{ZONE}", f"nope.{ZONE} ANY: NXDOMAIN"),
        ("www.example.net.", "www.example.net ANY: REFUSED"),
    ],
)
async def test_what_is_not_there_is_an_answer_too(config: Path, name: str, line: str) -> None:
    ended = await run("explain", name, "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == line


async def test_warnings_are_shown(config: Path, node: Node) -> None:
    key = RecordKey(ZONE, f"new.{ZONE}", "A")
    node.adopt(record("10.0.0.9", key=key))
    ended = await run("explain", key.name, "A", "-c", str(config))
    assert ended.out.splitlines()[0] == f"{key.name} A: SERVFAIL"
    assert "  warning: no member's health is known" in ended.out


async def test_json_is_what_the_daemon_said(config: Path) -> None:
    ended = await run("explain", KEY.name, "--json", "-c", str(config))
    assert ExplainReport.model_validate_json(ended.out).verdict == "NOERROR"


async def test_a_refusal_names_the_switch(config: Path) -> None:
    for switch in ("--down", "--client"):
        ended = await run("explain", KEY.name, switch, "x" * 1100, "-c", str(config))
        assert (ended.code, ended.out) == (1, "")
        assert f"\n{switch[2:]}: " in ended.err
    ended = await run("explain", KEY.name, "--down", "192.0.2.77", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == ("refused: down: no member of www.lb.example matches 192.0.2.77\n")


@pytest.mark.parametrize("terminal", [False, True])
async def test_nothing_is_wider_than_80_columns_and_nothing_is_cut(
    config: Path, node: Node, terminal: bool
) -> None:
    six = "2001:db8:1234:5678:9abc:def0:1234:5678"
    key = RecordKey(ZONE, f"{'a-rather-long-label.' * 5}{ZONE}", "AAAA")
    node.adopt(record(six, "10.0.0.1@-100000", key=key))
    node.round({six: failed(7, "word " * 35 + "last-word"), "10.0.0.1": OK}, key)
    arguments = ("explain", key.name, "AAAA", "--down", "10.*", "-c", str(config))
    if terminal:
        out = await run_on_terminal(*arguments, NO_COLOR="1")
    else:
        out = (await run(*arguments)).out
    assert max(map(len, out.splitlines())) <= 80
    for text in (six, "last-word", "FORCED DOWN (UP)"):
        assert text in out


async def test_hostile_text_does_not_reach_the_terminal(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": failed(1, "\x1b]0;owned\x07[red]x[/red]"), "10.0.0.2": OK})
    out = await run_on_terminal("explain", KEY.name, "-c", str(config), NO_COLOR="1")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[red]x[/red]" in out
