"""`overrides`: what is in force, by whom, until when, and what it affects."""

import json
from pathlib import Path

from dnslb_backend.core.health.overrides import Action, Override
from tests.admin.node import Node
from tests.cli.command import run
from tests.core.building import at


async def test_every_override_with_all_that_is_known_of_it(config: Path, node: Node) -> None:
    node.health_map.set_overrides(
        [
            Override(
                "one",
                "10.0.0.1",
                Action.DRAIN,
                reason="INC-4711: new disk",
                author="alice",
                created=at(0).wall,
                expires=at(7200).wall,
            ),
            Override("two", "10.0.0.*", Action.UP, name="www.lb.example", created=at(60).wall),
            Override("three", "10.0.0.3", Action.DOWN, node="ns2", created=at(120).wall),
            Override("four", "10.9.9.*", Action.DRAIN, created=at(180).wall),
        ],
        at(1),
    )
    node.clock = 180
    ended = await run("overrides", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "drain 10.0.0.1",
        "  set      2023-11-14 22:13:20Z by alice, 3m ago",
        "  ends     2023-11-15 00:13:20Z, in 1h57m",
        "  reason   INC-4711: new disk",
        "  affects  nothing now: no member matches it, or another override takes its",
        "           place",
        "  id       one",
        "",
        "up 10.0.0.* in www.lb.example",
        "  set      2023-11-14 22:14:20Z, 2m ago",
        "  ends     when it is cleared",
        "  affects  3 members in 1 record: www.lb.example/A 10.0.0.1, www.lb.example/A",
        "           10.0.0.2, www.lb.example/A 10.0.0.3",
        "  id       two",
        "",
        "down 10.0.0.3 on ns2",
        "  set      2023-11-14 22:15:20Z, 1m ago",
        "  ends     when it is cleared",
        "  affects  nothing on ns1: it is for ns2",
        "  id       three",
        "",
        "drain 10.9.9.*",
        "  set      2023-11-14 22:16:20Z, 0s ago",
        "  ends     when it is cleared",
        "  affects  nothing now: no member matches it, or another override takes its",
        "           place",
        "  id       four",
    ]


async def test_one_that_begins_later_says_when(config: Path, node: Node) -> None:
    window = Override(
        "one",
        "10.0.0.1",
        Action.DRAIN,
        created=at(0).wall,
        starts=at(3600).wall,
        expires=at(7200).wall,
    )
    node.pending.append(window)
    node.clock = 60
    ended = await run("overrides", "-c", str(config))
    assert ended.out.splitlines() == [
        "drain 10.0.0.1",
        "  set      2023-11-14 22:13:20Z, 1m ago",
        "  begins   2023-11-14 23:13:20Z, in 59m",
        "  ends     2023-11-15 00:13:20Z, in 1h59m",
        "  affects  nothing until it begins",
        "  id       one",
    ]


async def test_none_is_said(config: Path) -> None:
    ended = await run("overrides", "-c", str(config))
    assert (ended.code, ended.out) == (0, "no overrides\n")


async def test_json_is_the_response_of_the_daemon(config: Path, node: Node) -> None:
    drain = Override("one", "10.0.0.1", Action.DRAIN, created=at(0).wall)
    node.health_map.set_overrides([drain], at(1))
    ended = await run("overrides", "--json", "-c", str(config))
    (row,) = json.loads(ended.out)["overrides"]
    assert (row["id"], row["affects"]["members"]) == ("one", 1)
