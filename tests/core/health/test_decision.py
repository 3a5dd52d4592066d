"""Who serves where members are for views."""

from collections.abc import Sequence
from dataclasses import replace

from dnslb_backend.core.health.decision import Candidate, Decision, DecisionKind, Pool, decide
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import AllDown
from tests.core.building import record

A, B = "192.0.2.1", "192.0.2.2"


def decided(
    *candidates: Candidate, all_down: AllDown | None = None, last_pools: Sequence[Pool] = ()
) -> Decision:
    return decide(
        record(A, B, all_down=all_down),
        candidates,
        fallback=(),
        last_good=(),
        is_resolved=True,
        last_pools=last_pools,
    )


def member(content: str, standing: Health, *views: str) -> Candidate:
    priority = 1 if standing is Health.UP else None
    return Candidate(content, standing, priority, views=views)


def test_where_nothing_is_known_of_any_member_of_a_view_it_is_a_fault() -> None:
    unknown = member(A, Health.UNKNOWN, "office")
    assert decided(unknown).kind is DecisionKind.SERVFAIL
    assert decided(unknown, member(B, Health.DOWN, "lab")).kind is DecisionKind.NODATA


def test_a_view_that_serves_leaves_the_others_without_data() -> None:
    decision = decided(member(A, Health.UP, "office"), member(B, Health.UNKNOWN, "lab"))
    assert decision.kind is DecisionKind.NODATA
    assert [pool.view for pool in decision.pools] == ["office"]


def test_what_is_known_of_those_for_all_is_what_counts() -> None:
    common, office = member(A, Health.UNKNOWN), member(B, Health.UP, "office")
    assert decided(common, office).kind is DecisionKind.SERVFAIL
    assert decided(member(A, Health.DOWN), office).kind is DecisionKind.NODATA


def test_all_gives_each_view_its_own_members() -> None:
    common, office = member(A, Health.DOWN), member(B, Health.DOWN, "office")
    decision = decided(common, office, all_down=AllDown.ALL)
    assert decision.contents == (A,)
    assert decision.pools == (Pool("office", (B,), (1,), is_last_resort=True),)
    assert not decision.serves("office")
    assert decision.served() == {A, B}


def test_while_anybody_serves_no_view_needs_a_last_resort() -> None:
    common, office = member(A, Health.UP), member(B, Health.DOWN, "office")
    assert decided(common, office, all_down=AllDown.ALL).pools == ()


def test_last_gives_each_view_what_served_it_last() -> None:
    last = (Pool("office", (A,), (3,)),)
    office = member(B, Health.DOWN, "office"), member(A, Health.DOWN, "office")
    decision = decided(*office, all_down=AllDown.LAST, last_pools=last)
    assert decision.kind is DecisionKind.NODATA
    assert decision.pools == (Pool("office", (A,), (1,), is_last_resort=True),)
    gone = decided(office[0], all_down=AllDown.LAST, last_pools=last)
    drained = decided(
        office[0], replace(office[1], is_drained=True), all_down=AllDown.LAST, last_pools=last
    )
    assert gone.pools == drained.pools == ()
    assert decided(*office, all_down=AllDown.LAST).pools == ()
    assert decided(*office, all_down=AllDown.NODATA, last_pools=last).pools == ()
