"""Who serves where members are for views."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.decision import Candidate, Decision, DecisionKind, Pool, decide
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.records import AllDown, MinHealthy
from tests.core.building import KEY, record
from tests.core.restatement import enabled

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


# -- the tables of the module, restated -----------------------------------------------------

CONTENTS = [f"192.0.2.{number}" for number in range(1, 6)]
VIEWS = ["far", "near"]
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.sampled_from(CONTENTS),
        st.sampled_from(list(Health)),
        st.none() | st.integers(-1, 3),
        st.booleans(),
        st.sets(st.sampled_from(["", *VIEWS])).map(frozenset),
        st.integers(0, 3),
        st.sets(st.sampled_from(VIEWS)).map(sorted).map(tuple),
        st.booleans(),
    ),
    unique_by=lambda candidate: candidate.content,
)


def serving(candidates: Sequence[Candidate], view: str, min_count: int) -> set[str]:
    """Who serves the clients of a view: steady and back for good before any other."""
    able = [
        candidate
        for candidate in candidates
        if (view in candidate.views if view else not candidate.views)
        and (candidate.health is Health.UP or candidate.is_damped)
        and not candidate.is_drained
        and (candidate.priority or 0) > 0
    ]
    able = [candidate for candidate in able if not candidate.is_damped] or able
    able = [candidate for candidate in able if view not in candidate.waits_in] or able
    return enabled({candidate.content: candidate.priority for candidate in able}, min_count)


@given(CANDIDATES, st.integers(1, 3), st.sampled_from(["A", "CNAME"]))
def test_the_members_that_serve_are_those_of_the_plain_rule(
    candidates: list[Candidate], min_count: int, kind: str
) -> None:
    item = record(A, key=KEY._replace(type=kind), prio_min_cnt=min_count)
    decision = decide(item, candidates, fallback=(), last_good=(), is_resolved=True)
    known = {candidate.content: candidate for candidate in candidates}
    for view in ("", *VIEWS):
        wanted = serving(candidates, view, min_count)
        found = decision.served_in().get(view, ())
        assert set(found) == wanted
        assert decision.serves(view) is (bool(wanted) or decision.kind is DecisionKind.SERVE)
        lowest = min((known[content].priority or 0 for content in wanted), default=None)
        assert decision.threshold_of((view,) if view else ()) == lowest
        by_priority = sorted(found, key=lambda content: -(known[content].priority or 0))
        assert list(found) == (by_priority if kind == "CNAME" else sorted(found))
    assert decision.served() == {
        c for view in ("", *VIEWS) for c in serving(candidates, view, min_count)
    }
    for pool in decision.pools:
        assert pool.weights == tuple(known[content].weight for content in pool.contents)
    if decision.kind is DecisionKind.SERVE:
        assert decision.weights == tuple(known[c].weight for c in decision.contents)


def panicking(candidates: Sequence[Candidate], view: str, least: MinHealthy) -> set[str]:
    """All that nobody kept out, where some of them are well, but fewer than `least`."""
    mine = [c for c in candidates if (view in c.views if view else not c.views)]
    mine = [
        c
        for c in mine
        if not c.is_drained and (c.configured if c.priority is None else c.priority) > 0
    ]
    known = [c for c in mine if c.health is not Health.UNKNOWN]
    well = [c for c in mine if c.health is Health.UP and c.priority is not None and not c.is_damped]
    share = 100 * len(well) < least.number * len(known)
    too_few = share if least.is_percent else len(well) < min(least.number, len(known))
    return {c.content for c in mine} if well and too_few else set()


@given(
    CANDIDATES,
    st.builds(MinHealthy, st.integers(1, 5))
    | st.builds(MinHealthy, st.integers(1, 100), st.just(True)),
    st.booleans(),
)
def test_too_few_healthy_members_are_a_panic(
    candidates: list[Candidate], least: MinHealthy, is_reserve: bool
) -> None:
    if is_reserve:
        candidates = [replace(c, configured=0) if n % 2 else c for n, c in enumerate(candidates)]
    item = replace(record(A), min_healthy=least)
    decision = decide(item, candidates, fallback=(), last_good=(), is_resolved=True)
    calm = decide(record(A), candidates, fallback=(), last_good=(), is_resolved=True)
    for view in ("", *VIEWS):
        wanted = panicking(candidates, view, least)
        pool = decision.pool(view)
        is_panic = decision.kind is DecisionKind.PANIC if not view else bool(pool and pool.is_panic)
        assert is_panic is bool(wanted)
        assert decision.serves(view) is (calm.serves(view) or decision.serves(""))
        if wanted:
            assert set(decision.served_in()[view]) == wanted
            assert all(decision.is_panic(content) for content in wanted)
        else:
            assert decision.served_in().get(view) == calm.served_in().get(view)


@pytest.mark.parametrize(
    ("least", "total", "wanted"),
    [
        (MinHealthy(3), 10, 3),
        (MinHealthy(3), 2, 2),
        (MinHealthy(50, is_percent=True), 10, 5),
        (MinHealthy(50, is_percent=True), 3, 2),
        (MinHealthy(1, is_percent=True), 3, 1),
        (MinHealthy(100, is_percent=True), 7, 7),
        (MinHealthy(50, is_percent=True), 0, 0),
    ],
)
def test_a_share_is_rounded_up_and_never_more_than_all(
    least: MinHealthy, total: int, wanted: int
) -> None:
    assert least.of(total) == wanted


@given(
    CANDIDATES.map(lambda found: [replace(c, health=Health.DOWN, is_damped=False) for c in found]),
    st.sampled_from(list(AllDown)),
    st.lists(st.sampled_from(CONTENTS), unique=True).map(tuple),
    st.booleans(),
    st.booleans(),
)
def test_where_no_member_serves_the_table_decides(
    candidates: list[Candidate],
    all_down: AllDown,
    last: tuple[str, ...],
    is_resolved: bool,
    has_fallback: bool,
) -> None:
    fallback = ("192.0.2.99",) if has_fallback else ()
    pools = tuple(Pool(view, last, (1,) * len(last)) for view in VIEWS)
    decision = decide(
        record(A, all_down=all_down),
        candidates,
        fallback=fallback,
        last_good=last,
        last_pools=pools,
        is_resolved=is_resolved,
    )
    common = [candidate for candidate in candidates if not candidate.views]
    left = [c for c in last if any(c == m.content and not m.is_drained for m in common)]
    expected: tuple[str, Sequence[str]] = ("nodata", ())
    if not candidates and not is_resolved:
        expected = ("fallback", fallback) if fallback else ("servfail", ())
    elif all_down is AllDown.FALLBACK and fallback:
        expected = ("fallback", fallback)
    elif all_down is AllDown.ALL and common:
        expected = ("all", sorted(candidate.content for candidate in common))
    elif all_down is AllDown.LAST and left:
        expected = ("last", left)
    elif all_down is AllDown.SERVFAIL:
        expected = ("servfail", ())
    assert (decision.kind.value, list(decision.contents)) == (expected[0], list(expected[1]))
    assert decision.threshold is None
    assert not any(decision.serves(view) for view in ("", *VIEWS))
    for view in VIEWS:
        mine = [candidate for candidate in candidates if view in candidate.views]
        pool = decision.pool(view)
        resort: Sequence[str] = ()
        if all_down is AllDown.ALL:
            resort = sorted(candidate.content for candidate in mine)
        elif all_down is AllDown.LAST:
            resort = [c for c in last if any(c == m.content and not m.is_drained for m in mine)]
        assert list(pool.contents if pool else ()) == list(resort)
        assert all(decision.is_last_resort(content) for content in resort)
    if decision.kind in (DecisionKind.NODATA, DecisionKind.FALLBACK, DecisionKind.SERVFAIL):
        given_out = {content for pool in decision.pools for content in pool.contents}
        assert not any(decision.is_last_resort(c) for c in {*CONTENTS, *fallback} - given_out)


@pytest.mark.parametrize(
    ("kind", "pools", "is_servfail", "is_answer"),
    [
        (DecisionKind.PENDING, (), True, False),
        (DecisionKind.SERVFAIL, (), True, False),
        (DecisionKind.SERVFAIL, (Pool("near", (A,), (1,)),), True, True),
        (DecisionKind.NODATA, (), False, True),
        (DecisionKind.SERVE, (), False, True),
    ],
)
def test_an_answer_is_anything_but_servfail_for_all(
    kind: DecisionKind, pools: tuple[Pool, ...], is_servfail: bool, is_answer: bool
) -> None:
    decision = Decision(kind, pools=pools)
    assert (decision.is_servfail, decision.is_answer) == (is_servfail, is_answer)


SERVES = Decision(DecisionKind.SERVE, (A,))
NEAR, RESORT = Pool("near", (B,), (1,)), Pool("near", (B,), (1,), is_last_resort=True)


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        (SERVES, SERVES, False),
        (SERVES, Decision(DecisionKind.NODATA), True),
        (SERVES, Decision(DecisionKind.FALLBACK, (B,)), True),
        (Decision(DecisionKind.NODATA), Decision(DecisionKind.SERVFAIL), False),
        (replace(SERVES, pools=(NEAR,)), SERVES, False),
        (replace(SERVES, pools=(NEAR,)), Decision(DecisionKind.NODATA, pools=(NEAR,)), True),
        (Decision(DecisionKind.NODATA, pools=(NEAR,)), SERVES, False),
        (Decision(DecisionKind.NODATA, pools=(NEAR,)), Decision(DecisionKind.NODATA), True),
        (
            Decision(DecisionKind.NODATA, pools=(NEAR,)),
            Decision(DecisionKind.NODATA, pools=(RESORT,)),
            True,
        ),
    ],
)
def test_service_is_lost_where_some_clients_had_a_serving_member(
    before: Decision, after: Decision, loses: bool
) -> None:
    assert after.loses_service(before) is loses
