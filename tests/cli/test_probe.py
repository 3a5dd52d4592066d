"""`probe`: what was asked, what came back, and what would follow, for people."""

from pathlib import Path

import pytest

from dnslb_backend.admin.api.probe import ProbeResponse
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.health.results import Outcome, Result, check_error
from dnslb_backend.core.health.target import Health
from dnslb_backend.errors import ConflictError
from tests.admin.node import BROKEN, OK, Node
from tests.cli.command import run
from tests.core.building import KEY

SLOW = Result(Outcome.FAIL, -2, "timed out after 2 s", duration=2.001)
LOUD = Result(Outcome.PASS, 0, "", priority=3, weight=7, duration=0.0123)
NO_SPAWN = check_error("no such program: " + "x" * 60)


class TryingNode(Node):
    """Finds what it was told to find."""

    trials: tuple[ProbeReport, ...] = ()

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        if qtype == "AAAA":
            raise ConflictError(f"no such record: {name} {qtype}", "name")
        return list(self.trials)


def trial(result: Result, before: Health, after: Health, streak: int = 0) -> ProbeReport:
    return ProbeReport(KEY, ("10.0.0.1",), "10.0.0.1", "GET /health", result, before, after, streak)


@pytest.fixture
def node() -> TryingNode:
    node = TryingNode()
    node.settle()
    return node


async def test_a_paragraph_for_each_target(config: Path, node: TryingNode) -> None:
    member = ProbeReport(KEY, ("a.example.",), "10.0.0.2", "GET /", LOUD, Health.UP, Health.UP, 0)
    node.trials = (trial(SLOW, Health.UP, Health.UP, 1), member)
    ended = await run("probe", "www", "-c", str(config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "www.lb.example A 10.0.0.1: fail (-2) in 2001 ms",
        "  asked    GET /health",
        "  answer   timed out after 2 s",
        "  target   UP, would stay UP: 1 in a row against it",
        "",
        "www.lb.example A 10.0.0.2: pass (0) in 12 ms",
        "  member   a.example.",
        "  asked    GET /",
        "  answer   nothing",
        "  reported priority 3, weight 7",
        "  target   UP, would stay UP",
    ]


@pytest.mark.parametrize(
    ("result", "after", "words"),
    [
        (BROKEN, Health.DOWN, "UP, would become DOWN"),
        (OK, Health.UP, "UP, would stay UP"),
        (NO_SPAWN, Health.UP, "UP, unchanged: this was a check error"),
    ],
)
async def test_what_would_follow(
    config: Path, node: TryingNode, result: Result, after: Health, words: str
) -> None:
    node.trials = (trial(result, Health.UP, after),)
    ended = await run("probe", "www", "A", "-c", str(config))
    assert ended.out.splitlines()[-1] == f"  target   {words}"
    assert max(map(len, ended.out.splitlines())) <= 80


async def test_nobody_to_probe(config: Path) -> None:
    ended = await run("probe", "www", "-c", str(config))
    assert (ended.code, ended.out) == (
        0,
        "No destination has an address: there is nothing to probe.\n",
    )


async def test_a_type_that_the_name_has_not_is_a_failure(config: Path) -> None:
    ended = await run("probe", "www", "AAAA", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "refused: no such record: www.lb.example AAAA\n"


async def test_json_is_what_the_daemon_said(config: Path, node: TryingNode) -> None:
    node.trials = (trial(SLOW, Health.UP, Health.UP, 1),)
    ended = await run("probe", "www", "--json", "-c", str(config))
    (row,) = ProbeResponse.model_validate_json(ended.out).probes
    assert (row.outcome, row.code, row.duration_ms) == (Outcome.FAIL, -2, 2001.0)


async def test_hostile_text_does_not_reach_the_terminal(config: Path, node: TryingNode) -> None:
    hostile = Result(Outcome.FAIL, 1, "\x1b]0;owned\x07")
    node.trials = (trial(hostile, Health.UP, Health.UP, 1),)
    ended = await run("probe", "www", "-c", str(config))
    assert "\x1b" not in ended.out
    assert "\\x1b]0;owned\\x07" in ended.out
