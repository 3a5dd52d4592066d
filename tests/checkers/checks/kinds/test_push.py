"""Targets that report themselves, and those that fall silent. Time is what a test says it is."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.push_reports import FORGET_AFTER, PushReports
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from dnslb_backend.errors import ConflictError
from tests.checkers.probing import HERE, probe

CHECK = {"type": "push", "token": "t0ken", "max_silence": 60}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tools(clock: Clock) -> AsyncIterator[CheckResources]:
    async with CheckResources(PushReports(clock)) as tools:
        yield tools


async def test_before_the_first_report_nothing_is_known_for_a_while(
    tools: CheckResources, clock: Clock
) -> None:
    result = await probe(tools, CHECK)
    assert (result.outcome, result.text) == (Outcome.ERROR, "has not reported yet")
    clock.now += 59
    assert (await probe(tools, CHECK)).outcome is Outcome.ERROR
    clock.now += 2
    result = await probe(tools, CHECK)
    assert (result.code, result.text) == (Code.TIMEOUT, "silent for 61 s")


async def test_the_last_report_counts_until_it_is_too_old(
    tools: CheckResources, clock: Clock
) -> None:
    await probe(tools, CHECK)
    tools.push_reports.report("t0ken", HERE, True, "load 7")
    result = await probe(tools, {**CHECK, "priority": {"regex": r"(\d)"}})
    assert (result.outcome, result.text, result.priority) == (Outcome.PASS, "load 7", 7)
    tools.push_reports.report("t0ken", HERE, False, "disk full")
    result = await probe(tools, CHECK)
    assert (result.code, result.text) == (Code.STATUS, "reported down: disk full")
    clock.now += 61
    assert (await probe(tools, CHECK)).code == Code.TIMEOUT
    tools.push_reports.report("t0ken", HERE, True)
    assert (await probe(tools, CHECK)).outcome is Outcome.PASS


@pytest.mark.parametrize("up", [True, False])
async def test_no_result_shows_a_token_that_the_target_reports(
    tools: CheckResources, up: bool
) -> None:
    await probe(tools, CHECK)
    tools.push_reports.report("t0ken", HERE, up, "sent with t0ken")
    assert (await probe(tools, CHECK)).text.endswith("sent with ***")


async def test_a_report_counts_for_its_token_and_address_only(tools: CheckResources) -> None:
    await probe(tools, CHECK)
    await probe(tools, CHECK, address="::1")
    tools.push_reports.report("t0ken", "::1", True)
    assert (await probe(tools, CHECK)).outcome is Outcome.ERROR
    assert (await probe(tools, CHECK, address="::1")).outcome is Outcome.PASS
    for token, address in (("other", HERE), ("t0ken", "192.0.2.1")):
        with pytest.raises(ConflictError, match="no push check"):
            tools.push_reports.report(token, address, True)


async def test_the_token_may_stand_in_a_file(tools: CheckResources, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t0ken\n")
    check: dict[str, Any] = {"type": "push", "token_file": str(file), "max_silence": 60}
    await probe(tools, check)
    tools.push_reports.report("t0ken", HERE, True)
    assert (await probe(tools, check)).outcome is Outcome.PASS
    file.unlink()
    assert (await probe(tools, check)).outcome is Outcome.ERROR


async def test_what_no_check_asks_about_is_forgotten(tools: CheckResources, clock: Clock) -> None:
    await probe(tools, CHECK)
    clock.now += FORGET_AFTER + 1
    await probe(tools, CHECK, address="::1")
    with pytest.raises(ConflictError):
        tools.push_reports.report("t0ken", HERE, True)


def test_a_report_is_bounded() -> None:
    board = PushReports()
    board.last("t0ken", HERE)
    board.report("t0ken", HERE, True, "x" * 10**6)
    report, _ = board.last("t0ken", HERE)
    assert len(report.text) < 10_000


def test_description() -> None:
    shown = parse_check(CHECK).describe(ProbeEndpoint(HERE))
    assert shown == f"report of {HERE} at least every 60 s"
