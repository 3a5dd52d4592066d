"""From destinations to members, and from measured health and an override to their status."""

from dataclasses import replace

import pytest

from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.health.hosts import HostState
from dnslb_backend.core.health.members import (
    apply_override,
    build_members,
    fallback_contents,
    mark_served,
)
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.model.records import Record
from tests.core.building import KEY, dest, record

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
HOSTS = {"web.example": HostState((A, B)), "db.example": HostState((B, C))}
UP = NEVER_PROBED._replace(last_known=Health.UP)
DOWN = NEVER_PROBED._replace(last_known=Health.DOWN)
MAINTENANCE = UP._replace(priority=0, weight=0)


def test_every_address_is_a_member_once() -> None:
    found = build_members(record("web.example@2", C, "gone.example"), HOSTS)
    assert [(member.content, member.priority) for member in found] == [(A, 2), (B, 2), (C, 1)]


@pytest.mark.parametrize(
    ("first", "second", "host", "priority"),
    [(1, 2, "db.example", 2), (2, 1, "web.example", 2), (1, 1, "web.example", 1)],
)
def test_a_shared_address_belongs_to_the_first_destination_of_the_highest_priority(
    first: int, second: int, host: str, priority: int
) -> None:
    found = build_members(record(f"web.example@{first}", f"db.example@{second}"), HOSTS)
    assert {member.content: (member.host, member.priority) for member in found}[B] == (
        host,
        priority,
    )


def test_content_and_probed_address_may_differ_from_the_host() -> None:
    mail = replace(
        dest("mail.example"), is_literal=True, content="10 mail.example.", check_address=A
    )
    item = replace(record(checks=("one", "two")), dests=(replace(mail, check_port=25),))
    (member,) = build_members(item, {})
    assert member.aliases == (A, "10 mail.example.", "mail.example")
    assert [tuple(target) for target in member.targets] == [(A, 25, "one"), (A, 25, "two")]


def test_fallbacks_are_sorted_but_for_cnames() -> None:
    item = record(A, fallback=["db.example", A, "web.example"])
    assert fallback_contents(item, HOSTS) == (A, B, C)
    alias = replace(item, key=KEY._replace(type="CNAME"))
    assert fallback_contents(alias, HOSTS) == (B, C, A)


def override(action: Action) -> Override:
    return Override("1", A, action)


@pytest.mark.parametrize(
    ("state", "action", "effective", "priority", "weight"),
    [
        (UP, None, Health.UP, 3, 7),
        (DOWN, None, Health.DOWN, None, 7),
        (UP._replace(stale=True), None, Health.UNKNOWN, 3, 7),
        (UP._replace(priority=9, weight=5), None, Health.UP, 9, 5),
        (MAINTENANCE, None, Health.UP, 0, 0),
        (UP, Action.DRAIN, Health.UP, 3, 7),
        (DOWN, Action.DRAIN, Health.DOWN, None, 7),
        (UP, Action.DOWN, Health.DOWN, None, 7),
        (DOWN, Action.UP, Health.UP, 3, 7),
        (MAINTENANCE, Action.UP, Health.UP, 3, 7),
        (DOWN._replace(priority=1, weight=1), Action.UP, Health.UP, 1, 1),
        (DOWN._replace(priority=-1, weight=-1), Action.UP, Health.UP, 3, 7),
    ],
)
def test_an_override_is_combined_with_what_was_measured(
    state: TargetState,
    action: Action | None,
    effective: Health,
    priority: int | None,
    weight: int,
) -> None:
    (member,) = build_members(record(f"{A}@3"), {})
    member = replace(member, weight=7)
    row = apply_override(member, state, override(action) if action else None)
    assert (row.effective, row.priority, row.weight) == (effective, priority, weight)
    assert row.measured is state.health


HELD = DOWN._replace(undamped=Health.UP, priority=5)


@pytest.mark.parametrize(
    ("state", "action", "health", "priority", "is_drained", "is_damped"),
    [
        (UP, None, Health.UP, 3, False, False),
        (UP._replace(stale=True), None, Health.UP, 3, False, False),
        (UP._replace(stale=True), Action.DRAIN, Health.UP, 3, True, False),
        (DOWN, None, Health.DOWN, None, False, False),
        (HELD, None, Health.DOWN, 5, False, True),
        (HELD._replace(undamped=Health.DOWN), None, Health.DOWN, None, False, False),
        (HELD, Action.DOWN, Health.DOWN, None, False, False),
        (HELD, Action.UP, Health.UP, 5, False, False),
        (HELD, Action.DRAIN, Health.DOWN, 5, True, True),
    ],
)
def test_a_stale_or_flapping_member_may_still_serve(
    state: TargetState,
    action: Action | None,
    health: Health,
    priority: int | None,
    is_drained: bool,
    is_damped: bool,
) -> None:
    (member,) = build_members(record(f"{A}@3"), {})
    row = apply_override(member, state, override(action) if action else None)
    found = row.candidate()
    assert (found.health, found.priority) == (health, priority)
    assert (found.is_drained, found.is_damped) == (is_drained, is_damped)


# -- what is served -------------------------------------------------------------------------


def marked(item: Record, decision: Decision) -> list[tuple[str, bool, bool]]:
    rows = [apply_override(member, UP, None) for member in build_members(item, HOSTS)]
    found = mark_served(rows, decision, (), item)
    return [(row.member.content, row.is_served, row.is_fallback) for row in found]


def test_what_is_served_is_marked_and_what_is_no_member_comes_last() -> None:
    item = record("web.example", fallback=[C])
    serve = Decision(DecisionKind.SERVE, (B,))
    assert marked(item, serve) == [(A, False, False), (B, True, False)]
    fallback = Decision(DecisionKind.FALLBACK, (B, C))
    assert marked(item, fallback) == [(A, False, False), (B, True, False), (C, True, True)]


def test_a_row_outlives_its_member_while_it_is_served() -> None:
    item = record(A)
    (row,) = (apply_override(member, UP, None) for member in build_members(record(B), {}))
    held = Decision(DecisionKind.SERVE, (B,))
    old = replace(row, is_served=True)
    assert mark_served([], held, [old], item) == (old,)
    assert mark_served([], Decision(DecisionKind.NODATA), [old], item) == ()


def test_an_unchecked_fallback_is_shown_under_its_destination() -> None:
    decision = Decision(DecisionKind.FALLBACK, (C,))
    (spare,) = mark_served([], decision, (), record(A, fallback=["sorry.example"]))
    assert (spare.member.host, spare.effective, spare.priority) == (
        "sorry.example",
        Health.UNKNOWN,
        None,
    )
    (left,) = mark_served([], decision, (), record(A))
    assert left.member.host == ""
