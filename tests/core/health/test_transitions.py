"""What operators read about a member, and when a change is dated."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.health.members import Member, MemberStatus, TargetKey
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.health.transitions import Transition, diff, reason
from tests.core.building import KEY

A, B = "192.0.2.1", "192.0.2.2"
TARGETS = (TargetKey(A, None, "first"), TargetKey(A, None, "second"))
SERVE_A = Decision(DecisionKind.SERVE, (A,), threshold=3)
SERVE_B = Decision(DecisionKind.SERVE, (B,), threshold=3)
ALL_DOWN = Decision(DecisionKind.ALL, (A, B))
NODATA = Decision(DecisionKind.NODATA)
FALLBACK = Decision(DecisionKind.FALLBACK, (A,))


def state(health: Health, result: Result | None = None, **more: Any) -> TargetState:
    return NEVER_PROBED._replace(last_known=health, result=result, **more)


UP = state(Health.UP, passed("200 OK"))
DOWN = state(Health.DOWN, failed(1, "refused"))
HELD = DOWN._replace(suppressed_until=90.0, suppress_for=60.0)
BROKEN = check_error("no such program")


def status(
    target: TargetState,
    *,
    is_served: bool,
    priority: int | None = 2,
    views: tuple[str, ...] = (),
    content: str = A,
    **more: Any,
) -> MemberStatus:
    member = Member(content, A, "web.example", 2, 1, TARGETS, views)
    row = MemberStatus(member, target, target.health, priority, 1, is_served)
    return replace(row, **more)


def ordered(author: str = "", why: str = "") -> Override:
    return Override("1", A, Action.DRAIN, author=author, reason=why)


IN = Decision(
    DecisionKind.NODATA,
    pools=(
        Pool("near", (B,), (1,), threshold=5),
        Pool("far", (B,), (1,), threshold=4),
        Pool("lost", (A,), (1,), is_last_resort=True),
    ),
)


@pytest.mark.parametrize(
    ("row", "decision", "text"),
    [
        (status(NEVER_PROBED, is_served=False), NODATA, "not checked yet"),
        (status(state(Health.UNKNOWN, BROKEN), is_served=False), NODATA, "no such program"),
        (status(UP, is_served=True), SERVE_A, "200 OK"),
        (
            status(state(Health.UP, BROKEN), is_served=True),
            SERVE_A,
            "check error, health unchanged: no such program",
        ),
        (
            status(state(Health.DOWN, BROKEN), is_served=False),
            NODATA,
            "check error, health unchanged: no such program",
        ),
        (
            status(state(Health.UP, stale=True), is_served=True),
            SERVE_A,
            "stale: no recent result, still served as before",
        ),
        (
            status(state(Health.DOWN, failed(1, "refused"), stale=True), is_served=False),
            NODATA,
            "stale: no recent result, still not served as before (refused)",
        ),
        (status(UP, is_served=False), SERVE_B, "standby (priority 3 is serving)"),
        (
            status(UP, is_served=False, priority=0),
            SERVE_B,
            "up, but not served at priority 0",
        ),
        (status(UP, is_served=False, priority=1), SERVE_B, "standby (priority 3 is serving)"),
        (status(UP, is_served=False), NODATA, "200 OK"),
        (
            status(UP, is_served=False, waits_in=frozenset({""})),
            SERVE_B,
            "recovered, held out by failback",
        ),
        (status(UP, is_served=True, waits_in=frozenset({"far"})), SERVE_A, "200 OK"),
        (status(UP, is_served=False, views=("far",)), IN, "standby (priority 4 is serving)"),
        (
            status(UP, is_served=False, views=("near", "far")),
            IN,
            "standby (priority 4 is serving)",
        ),
        (status(UP, is_served=False, views=("lost",)), IN, "200 OK"),
        (status(DOWN, is_served=False), SERVE_B, "refused"),
        (status(DOWN, is_served=True), ALL_DOWN, "served because all are down: refused"),
        (status(DOWN, is_served=True), IN, "served because all are down: refused"),
        (status(DOWN, is_served=True), SERVE_A, "refused"),
        (status(DOWN, is_served=False), ALL_DOWN, "refused"),
        (status(HELD, is_served=False), SERVE_B, "flapping, held down for 60 s"),
        (
            status(HELD, is_served=True),
            SERVE_A,
            "flapping, held down for 60 s; served as no other member can",
        ),
        (
            status(NEVER_PROBED, is_served=True, is_fallback=True),
            FALLBACK,
            "fallback, served unchecked",
        ),
        (status(UP, is_served=False, override=ordered()), SERVE_B, "override drain"),
        (
            status(UP, is_served=False, override=ordered("ann", "new disk")),
            SERVE_B,
            "override drain by ann: new disk",
        ),
        (
            status(UP, is_served=False, override=ordered("", "new disk")),
            SERVE_B,
            "override drain: new disk",
        ),
    ],
)
def test_every_status_has_its_reason(row: MemberStatus, decision: Decision, text: str) -> None:
    assert reason(row, decision) == text


# -- changes --------------------------------------------------------------------------------

OUT, SERVED = status(DOWN, is_served=False, priority=None), status(UP, is_served=True)
SPARE = status(NEVER_PROBED, is_served=True, is_fallback=True, priority=None)


def changes(
    before: Sequence[MemberStatus],
    after: Sequence[MemberStatus],
    decision: Decision = SERVE_A,
    moved: Mapping[TargetKey, float] | None = None,
) -> list[Transition]:
    return diff(KEY, before, after, decision, 100.0, moved or {})


@pytest.mark.parametrize(
    ("moved", "at"),
    [
        ({}, 100.0),
        ({TARGETS[0]: 90.0}, 90.0),
        ({TARGETS[0]: 90.0, TARGETS[1]: 95.0}, 95.0),
    ],
)
def test_a_change_is_dated_by_the_last_target_that_moved(
    moved: dict[TargetKey, float], at: float
) -> None:
    (found,) = changes([OUT], [SERVED], moved=moved)
    assert (found.at, found.key, found.content, found.address) == (at, KEY, A, A)
    assert (found.from_health, found.to_health) == (Health.DOWN, Health.UP)
    assert (found.from_served, found.to_served) == (False, True)
    assert (found.from_priority, found.to_priority) == (None, 2)


def test_a_member_is_compared_with_itself_whatever_its_position() -> None:
    other = status(UP, is_served=True, content=B)
    assert changes([other, SERVED], [SERVED, other]) == []
    (found,) = changes([other, OUT], [SERVED, other])
    assert (found.content, found.to_served) == (A, True)


def test_a_new_text_alone_is_no_change() -> None:
    slower = status(state(Health.UP, passed("200 OK, slow")), is_served=True)
    assert changes([SERVED], [slower]) == []


@pytest.mark.parametrize(
    ("row", "decision", "why"),
    [
        (SERVED, SERVE_B, "no longer an address of its destination"),
        (SPARE, FALLBACK, "no longer an address of the fallback"),
        (SPARE, SERVE_B, "members serve again"),
        (SPARE, NODATA, "the fallback is no longer served"),
    ],
)
def test_a_row_that_is_gone_was_served_and_says_why(
    row: MemberStatus, decision: Decision, why: str
) -> None:
    (found,) = changes([row], [], decision)
    assert (found.from_served, found.to_served) == (True, False)
    assert (found.to_health, found.to_priority, found.reason) == (Health.UNKNOWN, None, why)


def test_a_new_row_was_unknown_before() -> None:
    (found,) = changes([], [SERVED])
    assert (found.from_health, found.from_served, found.from_priority) == (
        Health.UNKNOWN,
        False,
        None,
    )
    assert found.reason == "200 OK"
