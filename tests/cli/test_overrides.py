"""`drain`, `down`, `up` and `clear`: what is ordered, and the words for it."""

import json
from pathlib import Path

import pytest
import typer

from dnslb_backend.admin.control import Readmitted
from dnslb_backend.cli.durations import parse_duration
from dnslb_backend.core.health.overrides import Action
from tests.admin.node import OPERATE_TOKEN, READ_TOKEN, Node
from tests.cli.command import run, run_on_terminal
from tests.core.building import KEY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("0.5s", 0.5),
        (" 2H ", 7200),
    ],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "2", "h", "-1h", "1h 30m", "1y", "0s", "1e3s", "\u0661s", "99999w", "1.s", "1h-", "inf"],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


@pytest.mark.parametrize("action", [Action.DRAIN, Action.DOWN, Action.UP])
async def test_an_order_with_all_its_words(config: Path, node: Node, action: Action) -> None:
    ended = await run(
        *(action, "10.0.0.1", "--record", "www", "--for", "1h30m", "--reason", "it's new"),
        *("--node", "ns1", "--force", "-c", str(config)),
    )
    assert (ended.code, ended.err) == (0, "")
    (order,) = node.overrides()
    assert (order.action, order.target, order.name) == (action, "10.0.0.1", KEY.name)
    assert (order.node, order.reason, order.author) == ("ns1", "it's new", "night-shift")
    assert order.expires == pytest.approx(node.now().wall + 5400)
    assert ended.out == (
        f"{action} 10.0.0.1 in www.lb.example on ns1 until 2023-11-14 23:43:20Z (it's new)\n"
    )


async def test_a_weight_with_all_its_words(config: Path, node: Node) -> None:
    ended = await run(
        *("weight", "10.0.0.1", "20", "--record", "www", "--for", "1h30m", "--reason", "canary"),
        *("--node", "ns1", "-c", str(config)),
    )
    assert (ended.code, ended.err) == (0, "")
    (order,) = node.overrides()
    assert (order.action, order.target, order.weight) == (Action.WEIGHT, "10.0.0.1", 20)
    said = "weight 10.0.0.1 20 in www.lb.example on ns1 until 2023-11-14 23:43:20Z (canary)\n"
    assert ended.out == said
    listed = await run("overrides", "-c", str(config))
    assert listed.out.startswith("weight 10.0.0.1 20 in www.lb.example on ns1\n")
    for number in ("-1", "65536", "many"):
        assert (await run("weight", "10.0.0.1", number, "-c", str(config))).code == 2


@pytest.mark.parametrize(
    ("start", "begins"),
    [("2h", "2023-11-15 00:13:20Z"), ("2024-01-31T03:00+01:00", "2024-01-31 02:00:00Z")],
)
async def test_a_maintenance_window_is_one_command(
    config: Path, node: Node, start: str, begins: str
) -> None:
    ended = await run("drain", "10.0.0.1", "--at", start, "--for", "1d", "-c", str(config))
    (order,) = node.overrides()
    assert order.starts is not None
    assert order.expires == pytest.approx(order.starts + 86400)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"drain 10.0.0.1 from {begins} until 20")


@pytest.mark.parametrize(
    ("start", "complaint"),
    [
        ("2023-11-14T22:00Z", "is in the past"),
        ("2024-01-31T03:00", "has no time zone; example: 2024-01-31T03:00Z"),
        ("tomorrow", "is not a time; examples: 2026-01-31T02:00Z, 90s"),
        ("0s", "must be more than 0"),
    ],
)
async def test_a_start_that_is_refused(
    config: Path, node: Node, start: str, complaint: str
) -> None:
    ended = await run("drain", "10.0.0.1", "--at", start, "-c", str(config))
    assert ended.code != 0
    assert complaint in " ".join(ended.err.replace("│", " ").split())
    assert node.overrides() == []


async def test_without_an_end_and_back_again(config: Path, node: Node) -> None:
    ended = await run("drain", "10.0.0.1", "-c", str(config))
    assert ended.out == "drain 10.0.0.1 until cleared\n"
    assert node.served() == {"10.0.0.2"}
    ended = await run("clear", "10.0.0.1", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Cleared: drain 10.0.0.1\n"
    assert node.served() == {"10.0.0.1", "10.0.0.2"}


async def test_json_is_what_the_daemon_said(config: Path, node: Node) -> None:
    ended = await run("down", "10.0.0.1", "--json", "-c", str(config))
    order = json.loads(ended.out)
    assert (order["action"], order["id"]) == ("down", node.overrides()[0].id)
    ended = await run("clear", order["id"], "--json", "-c", str(config))
    assert json.loads(ended.out) == {"cleared": [order], "readmitted": []}


async def test_who_is_let_in_is_said(config: Path, node: Node) -> None:
    node.held_out = [
        Readmitted(KEY, "10.0.0.1", "10.0.0.1", "flapping"),
        Readmitted(KEY, "10.0.0.2", "10.0.0.1", "waiting"),
    ]
    ended = await run("clear", "10.0.0.1", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "Readmitted: 10.0.0.1 in www.lb.example A (was held out by damping)\n"
        "Readmitted: 10.0.0.2 in www.lb.example A (was waiting for failback)\n"
    )


async def test_a_refusal_is_one_clear_line(config: Path) -> None:
    ended = await run("drain", "192.0.2.77", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "refused: 192.0.2.77 is no target of a record\n"
    ended = await run("clear", "192.0.2.77", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "refused: there is no order for 192.0.2.77\n"
    ended = await run("drain", "10.0.0.1", "--record", "..", "-c", str(config))
    assert ended.code == 1
    assert ended.err.startswith("refused: name: '..' is not a domain name")
    assert len(ended.err.splitlines()) == 1


async def test_the_role_matters(url: str, node: Node, tmp_path: Path) -> None:
    tokens = tmp_path / "token"
    for token, code in ((READ_TOKEN, 1), (OPERATE_TOKEN, 0)):
        tokens.write_text(token)
        ended = await run("up", "10.0.0.3", "--admin", url, "--token-file", str(tokens))
        assert ended.code == code
        assert token not in ended.out + ended.err
    assert len(node.overrides()) == 1


async def test_hostile_text_does_not_reach_the_terminal(config: Path) -> None:
    out = await run_on_terminal(
        "drain", "10.0.0.1", "--reason", "\x1b]0;owned\x07[red]x[/red]", "-c", str(config)
    )
    assert "\x1b]0" not in out
    assert "\x07" not in out
    assert "[red]x[/red]" in out
