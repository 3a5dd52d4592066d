"""What the votes of several nodes make of a target."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import Vote
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.tally import (
    UNDECIDED,
    AgreedHealth,
    Basis,
    CastVote,
    Circumstances,
    Tally,
    judge,
    needed,
    ruled,
    tally,
)
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.model.quorum import Needed
from tests.core.building import at

UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN
NOW = at(100)
OWN_UP = TargetState(UP, result=passed("fine"), last_check=NOW.wall, last_change=7.0)
OWN_DOWN = TargetState(DOWN, result=failed(-2, "timed out"), last_check=NOW.wall, last_change=7.0)
HELD_FOR = Circumstances(hold=30)


def vote(says: Health, priority: int | None = None, weight: int | None = None) -> Vote:
    code, text = (0, "fine there") if says is UP else (-4, "refused there")
    return Vote(says, code, text, priority, weight, 5.0, "192.0.2.1", "tcp")


def votes(*said: Health, sites: str = "") -> list[CastVote]:
    """Votes of ns0, ns1, …, each at a site of its own unless `sites` has a letter for it."""
    return [
        CastVote(f"ns{n}", sites[n] if sites else f"ns{n}", vote(says))
        for n, says in enumerate(said)
    ]


def verdict(
    cast: list[CastVote],
    own: TargetState = OWN_UP,
    before: AgreedHealth = UNDECIDED,
    down: Needed = "majority",
    enough: int = 2,
    circumstances: Circumstances = HELD_FOR,
    now: Instant = NOW,
) -> AgreedHealth:
    return judge(cast, own, before, down, enough, circumstances, now)


# -- enough votes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("down", "said", "health"),
    [
        ("majority", "UD", UP),
        ("majority", "UDD", DOWN),
        ("majority", "UUDD", UP),
        ("majority", "UUDDD", DOWN),
        ("all", "UDDD", UP),
        ("all", "DDDD", DOWN),
        ("any", "UUUD", DOWN),
        ("any", "UUUU", UP),
        (2, "UUUDD", DOWN),
        (2, "UUUUD", UP),
        (3, "DD", DOWN),
        (3, "UD", UP),
    ],
)
def test_so_many_sites_must_say_down(down: Needed, said: str, health: Health) -> None:
    found = verdict(votes(*({"U": UP, "D": DOWN}[each] for each in said)), down=down)
    assert (found.basis, found.health) == (Basis.AGREED, health)
    assert found.tally == (said.count("U"), said.count("D"))


@pytest.mark.parametrize(
    ("said", "sites", "counted"),
    [
        ((DOWN, DOWN, DOWN, UP, UP), "aaabc", (2, 1)),
        ((DOWN, UP), "aa", (1, 0)),
        ((DOWN, DOWN, UP, UP), "aaab", (1, 1)),
    ],
)
def test_the_nodes_of_one_site_have_one_vote(
    said: tuple[Health, ...], sites: str, counted: tuple[int, int]
) -> None:
    assert tally(votes(*said, sites=sites)) == counted


def test_one_vote_is_enough_where_only_one_site_may_judge() -> None:
    assert verdict(votes(DOWN), enough=1).health is DOWN
    assert verdict(votes(DOWN)).basis is Basis.OWN


def test_the_most_frequent_priority_counts_and_the_lowest_of_several() -> None:
    def agreed(*priorities: int | None) -> int | None:
        cast = [CastVote(f"ns{n}", f"ns{n}", vote(UP, each)) for n, each in enumerate(priorities)]
        cast.append(CastVote("ns9", "ns9", vote(DOWN, 1)))
        return verdict(cast).priority

    assert agreed(5, 7, 7) == 7
    assert agreed(7, 5, 9) == 5
    assert agreed(None, 5) == 5
    assert agreed(None, None, 5) is None


def test_the_weight_is_this_nodes_own_else_the_first_ones() -> None:
    cast = [
        CastVote("ns1", "ns1", vote(DOWN, weight=1)),
        CastVote("ns2", "ns2", vote(UP, weight=2)),
        CastVote("ns3", "ns3", vote(UP, weight=3)),
    ]
    assert verdict(cast, OWN_UP._replace(weight=9)).weight == 9
    assert verdict(cast, OWN_DOWN._replace(weight=9)).weight == 2


SAID = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from((UP, DOWN))), min_size=2, max_size=6
)
RULES: st.SearchStrategy[Needed] = st.sampled_from(("majority", "all", "any", 1, 2, 3))
PASTS = st.builds(
    AgreedHealth,
    st.sampled_from(list(Basis)),
    st.sampled_from(list(Health)),
    changed=st.just(3.0),
    lost=st.sampled_from((None, 90.0)),
)


def cast_by(said: list[tuple[str, Health]]) -> list[CastVote]:
    return [CastVote(f"ns{n}", site, vote(says)) for n, (site, says) in enumerate(said)]


@given(SAID, RULES, st.sampled_from((OWN_UP, OWN_DOWN, NEVER_PROBED)), PASTS, st.randoms())
def test_neither_the_order_of_nodes_nor_names_of_sites_nor_the_past_change_a_verdict(
    said: list[tuple[str, Health]],
    down: Needed,
    own: TargetState,
    past: AgreedHealth,
    random: object,
) -> None:
    if len({site for site, _ in said}) < 2:
        return
    found = verdict(cast_by(said), own, down=down)
    for shuffled in list(permutations(said))[:24]:
        renamed = [(site.upper() + "x", says) for site, says in shuffled]
        again = verdict(cast_by(renamed), own, past, down)
        assert (again.basis, again.health, again.tally) == (found.basis, found.health, found.tally)


@given(SAID, RULES, st.sampled_from("abcdefgh"))
def test_one_more_down_never_makes_a_target_up(
    said: list[tuple[str, Health]], down: Needed, site: str
) -> None:
    cast = cast_by(said)
    if sum(tally(cast)) < 2:
        return
    if verdict(cast, down=down).health is DOWN:
        more = [*cast, CastVote("ns9", site, vote(DOWN))]
        assert verdict(more, down=down).health is DOWN


@given(RULES, st.integers(1, 20))
def test_no_rule_needs_more_sites_than_vote_nor_fewer_than_one(down: Needed, sites: int) -> None:
    assert 1 <= needed(down, sites) <= sites


# -- too few ---------------------------------------------------------------------------------


AGREED_UP = AgreedHealth(Basis.AGREED, UP, Tally(3, 0), changed=3.0)
AGREED_DOWN = AgreedHealth(Basis.AGREED, DOWN, Tally(0, 3), changed=3.0)


def test_what_was_agreed_is_held_for_a_while_and_then_this_node_decides() -> None:
    held = verdict(votes(DOWN), OWN_DOWN, AGREED_UP)
    assert (held.basis, held.health, held.lost) == (Basis.HELD, UP, 100)
    later = verdict(votes(DOWN), OWN_DOWN, held, now=at(129))
    assert (later.basis, later.health, later.lost) == (Basis.HELD, UP, 100)
    over = verdict(votes(DOWN), OWN_DOWN, later, now=at(130))
    assert (over.basis, over.health) == (Basis.OWN, DOWN)
    assert verdict(votes(UP), OWN_UP, over, now=at(131)).health is UP


def test_own_downs_count_at_once_where_something_vouches_for_this_network() -> None:
    vouched = HELD_FOR._replace(is_connected=True)
    found = verdict(votes(DOWN), OWN_DOWN, AGREED_UP, circumstances=vouched)
    assert (found.basis, found.health) == (Basis.OWN, DOWN)


def test_a_target_that_came_back_meanwhile_is_up_at_once() -> None:
    back = HELD_FOR._replace(came_back=True)
    found = verdict(votes(UP), OWN_UP, AGREED_DOWN, circumstances=back)
    assert (found.basis, found.health, found.changed) == (Basis.HELD, UP, NOW.wall)
    assert verdict(votes(UP), OWN_UP, AGREED_DOWN).health is DOWN


def test_without_any_agreement_this_node_decides_but_a_down_waits_after_the_start() -> None:
    assert verdict([], OWN_DOWN).health is DOWN
    waiting = HELD_FOR._replace(is_waiting=True)
    assert verdict([], OWN_DOWN, circumstances=waiting).health is UNKNOWN
    assert verdict([], OWN_UP, circumstances=waiting).health is UP


def test_a_follower_never_decides_by_itself() -> None:
    follower = HELD_FOR._replace(is_follower=True, is_connected=True)
    held = verdict([], NEVER_PROBED, AGREED_UP, circumstances=follower)
    assert held.basis is Basis.HELD
    later = verdict([], NEVER_PROBED, held, circumstances=follower, now=at(1e6))
    assert (later.basis, later.health) == (Basis.HELD, UP)
    assert verdict([], OWN_UP, circumstances=follower).health is UNKNOWN


def test_a_target_that_nobody_knows_any_more_keeps_its_place() -> None:
    held = verdict([], NEVER_PROBED, AGREED_UP)
    assert verdict([], NEVER_PROBED, held, now=at(1e6)).health is UP


def test_votes_that_are_back_decide_whatever_was_held() -> None:
    held = verdict(votes(DOWN), OWN_DOWN, AGREED_UP)
    found = verdict(votes(DOWN, DOWN), OWN_DOWN, held)
    assert (found.basis, found.health, found.lost) == (Basis.AGREED, DOWN, None)


# -- the state that counts -------------------------------------------------------------------


def test_text_and_code_are_this_nodes_own_where_it_says_the_same() -> None:
    state = ruled(OWN_DOWN, verdict(votes(DOWN, DOWN), OWN_DOWN), NOW)
    assert state.result == OWN_DOWN.result
    outvoted = ruled(OWN_UP, verdict(votes(DOWN, DOWN), OWN_UP), NOW)
    assert (outvoted.health, outvoted.last_change) == (DOWN, NOW.wall)
    assert outvoted.result is not None
    assert (outvoted.result.code, outvoted.result.text) == (-4, "refused there")


def test_what_others_know_is_not_stale_here() -> None:
    stale = OWN_UP._replace(stale=True)
    assert ruled(stale, verdict(votes(UP, UP), stale), NOW).health is UP
    held = verdict([], stale, AGREED_UP, now=at(1e6))
    assert (held.basis, ruled(stale, held, NOW).health) == (Basis.HELD, UP)


def test_own_states_are_themselves() -> None:
    assert ruled(OWN_DOWN, verdict([], OWN_DOWN), NOW) is OWN_DOWN


def test_the_state_that_counts_says_how_the_sites_voted_and_since_when() -> None:
    own = OWN_UP._replace(last_up=2.0, priority=4)
    agreed = verdict(votes(DOWN, DOWN, UP), own, AGREED_UP)
    state = ruled(own, agreed, NOW)
    assert state.votes == (1, 2, False)
    assert (state.last_change, state.last_up, state.last_check) == (NOW.wall, 2.0, NOW.wall)
    assert state.priority == 4
    again = verdict(votes(DOWN, DOWN, UP), OWN_UP, agreed, now=at(105))
    assert again.changed == NOW.wall
    assert ruled(OWN_UP, again, at(105)).last_change == NOW.wall


def test_a_target_that_others_brought_up_was_up_now() -> None:
    agreed = verdict([CastVote("ns1", "a", vote(UP, 3, 8)), *votes(UP, sites="b")], OWN_DOWN)
    state = ruled(OWN_DOWN._replace(last_check=None, suppressed_until=200.0), agreed, NOW)
    assert (state.health, state.last_up, state.last_check) == (UP, NOW.wall, NOW.wall)
    assert (state.priority, state.weight, state.suppressed_until) == (3, 8, None)
    assert state.votes == (2, 0, False)


def test_what_is_held_says_so_and_keeps_since_when_it_was_agreed() -> None:
    held = verdict(votes(DOWN), OWN_DOWN, AGREED_UP)
    state = ruled(OWN_DOWN, held, NOW)
    assert state.votes == (0, 1, True)
    assert (state.health, state.last_change) == (UP, 3.0)


def test_a_verdict_on_what_a_node_decided_itself_dates_from_then() -> None:
    alone = verdict(votes(DOWN), OWN_DOWN)
    assert verdict(votes(DOWN, DOWN), OWN_DOWN, alone).changed == OWN_DOWN.last_change
    assert verdict(votes(DOWN, DOWN), OWN_UP, alone).changed == NOW.wall


def test_what_waits_for_votes_is_unknown_whatever_this_node_knew() -> None:
    waiting = verdict([], OWN_DOWN, circumstances=HELD_FOR._replace(is_waiting=True))
    state = ruled(OWN_DOWN._replace(stale=True), waiting, NOW)
    assert (state.last_known, state.stale) == (UNKNOWN, False)
