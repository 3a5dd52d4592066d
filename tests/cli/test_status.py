"""`status`: the table, JSON, and what a terminal changes."""

import asyncio
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from dnslb_backend.admin.api.status import StatusReport
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.results import failed
from dnslb_backend.core.model.records import Dest, RecordKey
from dnslb_backend.core.model.rules import Damping, Thresholds
from tests.admin.node import BROKEN, OK, Node
from tests.cli.command import line, run, run_afresh, run_on_terminal
from tests.core.building import KEY, ZONE, at, record
from tests.rigs.ports import free_port
from tests.rigs.waiting import exit_code


async def test_a_line_a_member(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": OK, "10.0.0.2": BROKEN, "10.0.0.3": OK})
    node.clock = 3600
    ended = await run("status", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "ns1  dnslb-backend 1.2.3, up 1h00m, ready",
        "",
        "www.lb.example A: 1 of 3 served, ttl 5 s",
        "  10.0.0.1 UP               served p2      59m 200 OK",
        "  10.0.0.2 DOWN             -      p-      59m 503 Service Unavailable",
        "  10.0.0.3 UP               -      p1      59m standby (priority 2 is serving)",
    ]


async def test_only_one_name(config: Path, node: Node) -> None:
    other = RecordKey(ZONE, f"api.{ZONE}", "A")
    node.adopt(record("10.0.0.1"), record("10.0.0.9", key=other))
    for name in ("api", "API.lb.example", "a*"):
        ended = await run("status", name, "-c", str(config))
        assert ended.code == 0
        assert "10.0.0.9" in ended.out
        assert "10.0.0.1 " not in ended.out


async def test_only_the_members_with_a_label(config: Path, node: Node) -> None:
    labelled = Dest("10.0.0.9", is_literal=True, labels=("dc=fra",))
    node.adopt(replace(record("10.0.0.1"), dests=(*record("10.0.0.1").dests, labelled)))
    ended = await run("status", "--label", "dc=fra", "-c", str(config))
    assert ended.code == 0
    assert "10.0.0.9" in ended.out
    assert "10.0.0.1 " not in ended.out
    ended = await run("status", "--label", "dc=ams", "-c", str(config))
    assert (ended.code, ended.err) == (1, "no member with the label dc=ams\n")


async def test_a_glob_that_matches_nothing_is_a_failure(config: Path) -> None:
    ended = await run("status", "x*", "-c", str(config))
    assert ended.code == 1
    assert ended.err == "no such record: x*\n"


async def test_json_is_what_the_daemon_said(config: Path) -> None:
    ended = await run("status", "--json", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert StatusReport.model_validate_json(ended.out).node == "ns1"


LONG = RecordKey(ZONE, f"{'a-rather-long-label.' * 5}{ZONE}", "AAAA")
SIX = "2001:db8:1234:5678:9abc:def0:1234:5678"


@pytest.mark.parametrize("terminal", [False, True])
async def test_nothing_is_wider_than_80_columns_and_nothing_is_cut(
    config: Path, node: Node, terminal: bool
) -> None:
    node.adopt(record(SIX, "10.0.0.1@-100000", key=LONG))
    node.round({SIX: failed(7, "word " * 40 + "last-word"), "10.0.0.1": OK}, LONG)
    order = Override("1", SIX, Action.DRAIN, reason="a reason " * 20 + "the-end", created=1.0)
    node.health_map.set_overrides([order], at(5))
    if terminal:
        out = await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    else:
        out = (await run("status", "-c", str(config))).out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    for text in (SIX, "the-end", "DRAINED (DOWN)", "p-100000"):
        assert text in out
    assert LONG.name in out.replace("\r", "").replace("\n", "")


async def test_colour_is_for_terminals(config: Path) -> None:
    assert "\x1b[" in await run_on_terminal("status", "-c", str(config))
    assert "\x1b[" not in await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    assert "\x1b[" not in (await run_afresh("status", "-c", str(config), TERM="xterm-256color")).out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("pending", ["not ready", "pending, 0 of 1 served", "UNKNOWN", "not checked yet"]),
        ("down", ["no answer, 0 of 3 served"]),
        ("view", ["views office: serving, others: no answer, 1 of 1 served"]),
        ("many", ["web.dc2.example: 1 addresses over max_addresses are ignored"]),
        ("fallback", ["fallback, 0 of 1 served", "192.0.2.9", "served unchecked"]),
        ("stale", ["STALE", "served", "no recent result"]),
        ("unresolved", ["web.dc2.example does not resolve: timed out"]),
    ],
)
async def test_trouble_is_said(config: Path, node: Node, change: str, words: list[str]) -> None:
    down = dict.fromkeys(["10.0.0.1", "10.0.0.2", "10.0.0.3"], BROKEN)
    match change:
        case "pending":
            node.adopt(record("10.0.0.9", key=RecordKey(ZONE, f"new.{ZONE}", "A")))
        case "down":
            node.round(down)
        case "view":
            item = record("10.0.0.1")
            node.adopt(replace(item, dests=(replace(item.dests[0], views=("office",)),)))
            node.round({"10.0.0.1": OK})
        case "many":
            node.adopt(replace(record("web.dc2.example"), max_addresses=1))
            answer = Resolution(Status.FOUND, ("10.0.0.1", "10.0.0.2"))
            node.health_map.record_resolution(KEY, "web.dc2.example", answer, at(5))
        case "fallback":
            node.adopt(record("10.0.0.1", fallback=("192.0.2.9",)))
            node.round({"10.0.0.1": BROKEN})
        case "stale":
            node.wait(1000)
        case _:
            node.adopt(record("10.0.0.1", "web.dc2.example"))
            answer = Resolution(Status.FAILED, text="timed out")
            node.health_map.record_resolution(KEY, "web.dc2.example", answer, at(5))
    ended = await run("status", "-c", str(config))
    assert ended.code == 0
    for word in words:
        assert word in ended.out


async def test_who_flaps_who_waits_and_whom_they_are_for(config: Path, node: Node) -> None:
    plain = record("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
    office = replace(plain.dests[2], views=("office", "dc2"))
    dests = (*plain.dests[:2], office, plain.dests[3])
    node.adopt(
        replace(plain, dests=dests, thresholds=Thresholds(damping=Damping(flips=3)), failback=60)
    )
    node.settle()
    for result in (BROKEN, OK, BROKEN, OK):
        node.hear("10.0.0.1", result)
    for result in (BROKEN, OK):
        node.hear("10.0.0.2", result)
    node.health_map.decide_marked()
    lines = (await run("status", "-c", str(config))).out.splitlines()
    first, second, third, _ = (line for line in lines if line.startswith("  10.0.0."))
    assert first.split()[1] == "FLAPPING"
    assert second.split()[1] == "WAITING"
    assert third.endswith("for office, dc2: 200 OK")
    assert max(map(len, lines)) <= 80


async def test_watching_shows_it_anew_until_it_is_ended(config: Path) -> None:
    out = await run_on_terminal("status", "--watch", "-c", str(config), enough="10.0.0.3")
    assert "10.0.0.1" in out


async def test_watching_what_is_not_there_fails_at_once() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert (await run("status", "--watch", "--admin", nobody)).code == 1


async def test_hostile_text_does_not_reach_the_terminal(config: Path, node: Node) -> None:
    node.round({"10.0.0.1": failed(1, "\x1b]0;owned\x07[red]x[/red] \x9b31m"), "10.0.0.2": OK})
    assert node.health_map.records[KEY].rows
    out = await run_on_terminal("status", "-c", str(config), NO_COLOR="1")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\x9b" not in out
    assert "[red]x[/red]" in out


async def test_a_reader_that_leaves_early_gets_no_traceback(config: Path, node: Node) -> None:
    keys = [RecordKey(ZONE, f"r{n}.{ZONE}", "A") for n in range(3000)]
    node.adopt(*(record("10.0.0.1", key=key) for key in keys))
    process = await asyncio.create_subprocess_exec(
        *line("status", "-c", str(config)),
        stdout=PIPE,
        stderr=PIPE,
        limit=100,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined]
    err = await process.stderr.read()
    await exit_code(process)
    assert err == b""
