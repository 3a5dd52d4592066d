"""Answers that depend on the client or on a seed are the ones that the selectors give afresh."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.dynamic import CACHE_SIZE, DynamicAnswer
from dnslb_backend.core.answers.selectors import Selector
from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.model.clients import ClientSubnet, Location
from dnslb_backend.core.model.records import Policy
from dnslb_backend.core.model.views import View, build_table
from dnslb_backend.core.model.zones import ResourceRecord
from tests.core.building import KEY, record

A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
TEXT = ResourceRecord(KEY.name, "TXT", '"x"', 60)
EMPTY = ResourceRecord(KEY.name, "ENT", "", 0)
TABLE = build_table([View("office", ("10.0.0.0/8",)), View("abroad", countries=frozenset(["NL"]))])
POOLS = (Pool("office", (C, D), (1, 3)), Pool("abroad", (A, B, C), (1, 1, 0)))
SERVE = Decision(DecisionKind.SERVE, (A, B, C, D), 1, (1, 2, 3, 0))


def render(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    return json.dumps([zone_id, *([row.qtype, row.content, row.scope] for row in rows)]).encode()


def selector(policy: Policy, kind: str, *, views: bool) -> Selector:
    item = replace(record(A), key=KEY._replace(type=kind), policy=policy, max_answers=2)
    decision = replace(SERVE, pools=POOLS) if views else SERVE
    return Selector(item, decision, TABLE if views else None)


SELECTORS = st.builds(
    selector,
    st.sampled_from(Policy),
    st.sampled_from(["A", "AAAA", "CNAME"]),
    views=st.booleans(),
)
CLIENTS = st.builds(
    lambda network, last, country: ClientSubnet(4, network << 24 | last, 32, Location(country)),
    st.sampled_from([10, 172]),
    st.integers(0, 9),
    st.sampled_from(["", "NL"]),
)


@given(
    st.lists(SELECTORS, min_size=1, max_size=3),
    st.lists(st.tuples(CLIENTS, st.integers(0, 2**64 - 1)), max_size=20),
)
def test_a_cached_answer_is_the_one_that_selectors_give_afresh(
    selectors: list[Selector], queries: list[tuple[ClientSubnet, int]]
) -> None:
    answer = DynamicAnswer([TEXT], selectors, EMPTY, 7, render)
    for client, seed in [*queries, *queries]:
        fresh = [TEXT]
        for each in selectors:
            fresh += each.rows(each.select(client, seed))
        assert answer.answer(client, seed) == render(fresh, 7)


@given(st.lists(SELECTORS, min_size=1, max_size=3), CLIENTS, st.integers(0, 2**64 - 1))
def test_an_answer_that_is_not_random_ignores_the_seed(
    selectors: list[Selector], client: ClientSubnet, seed: int
) -> None:
    answer = DynamicAnswer([], selectors, EMPTY, 7, render)
    if not answer.is_random:
        assert answer.answer(client, seed) == answer.answer(client, 0)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("views", [False, True])
def test_it_says_whether_seed_and_location_matter(policy: Policy, views: bool) -> None:
    answer = DynamicAnswer([], [selector(policy, "A", views=views)], EMPTY, 7, render)
    assert answer.is_random is (policy is not Policy.STICKY)
    assert answer.needs_location is views


@pytest.mark.parametrize("policy", [Policy.WEIGHTED, Policy.STICKY])
def test_answers_stay_right_when_there_are_more_than_are_cached(policy: Policy) -> None:
    contents = tuple(f"192.0.2.{number}" for number in range(60))
    decision = Decision(DecisionKind.SERVE, contents, 1, (1,) * len(contents))
    item = replace(record(A), policy=policy, max_answers=2, sticky_bits=(32, 128))
    chosen = Selector(item, decision, None)
    answer = DynamicAnswer([], [chosen], EMPTY, 7, render)
    for number in range(2 * CACHE_SIZE + 10):
        client, seed = ClientSubnet(4, number, 32), number << 54
        assert answer.answer(client, seed) == render(chosen.rows(chosen.select(client, seed)), 7)


def test_each_of_several_random_records_is_picked_by_the_same_seed() -> None:
    both = [selector(Policy.WEIGHTED, kind, views=False) for kind in ("A", "AAAA")]
    answer = DynamicAnswer([], both, EMPTY, 7, render)
    client = ClientSubnet(4, 0, 0)
    assert {answer.answer(client, seed << 56) for seed in range(64)} == {
        render([row for each in both for row in each.rows(each.select(client, seed << 56))], 7)
        for seed in range(64)
    }
