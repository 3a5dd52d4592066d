"""What is answered to whom: policies, views and limits laid over one decision."""

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import dns.edns
import dns.message
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnslb_backend.core.answers.dynamic import DynamicAnswer
from dnslb_backend.core.answers.policies import scramble
from dnslb_backend.core.answers.selectors import ONE_QUERY, Selector, answer_limit
from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.model.clients import NO_CLIENT, ClientSubnet
from dnslb_backend.core.model.records import Dest, Policy, Record, RecordKey
from dnslb_backend.core.model.views import View, build_table
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NotReadyError
from tests.core.building import KEY, ZONE, record

UDP_BYTES = 1232
"""What DNS flag day 2020 recommends."""

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SERVE = Decision(DecisionKind.SERVE, (A, B, C), 1, (1, 1, 2))
TABLE = build_table([View("office", ("10.0.0.0/8",)), View("lab", ("10.1.0.0/16",))])
OFFICE, LAB, OUTSIDE = (
    ClientSubnet(4, 10 << 24 | 9 << 16 | 1, 32),
    ClientSubnet(4, 10 << 24 | 1 << 16 | 1, 32),
    ClientSubnet(4, 192 << 24 | 1, 32),
)


def contents(
    menu: Selector, client: ClientSubnet = NO_CLIENT, seed: int = 0
) -> tuple[list[str], int]:
    pick = menu.select(client, seed)
    return [row.content for row in menu.rows(pick)], pick.scope


def with_policy(policy: Policy, max_answers: int | None = None) -> Record:
    return replace(record(A, B, C), policy=policy, max_answers=max_answers)


def test_all_is_the_same_for_everybody() -> None:
    assert Selector(record(A, B, C), SERVE, None).is_static


def test_weighted_gives_one_by_default_and_no_cache_may_keep_it() -> None:
    menu = Selector(with_policy(Policy.WEIGHTED), SERVE, None)
    assert not menu.is_static
    found = [contents(menu, seed=scramble(i)) for i in range(4000)]
    assert {(len(rows), scope) for rows, scope in found} == {(1, ONE_QUERY)}
    share = sum(rows == [C] for rows, _ in found) / len(found)
    assert share == pytest.approx(0.5, abs=0.03)


def test_weighted_with_room_for_all_is_the_same_for_everybody() -> None:
    assert Selector(with_policy(Policy.WEIGHTED, 3), SERVE, None).is_static


def test_sticky_follows_the_network_of_the_client() -> None:
    menu = Selector(with_policy(Policy.STICKY), SERVE, None)
    near = [contents(menu, ClientSubnet(4, 10 << 24 | last, 32)) for last in range(20)]
    assert len({tuple(rows) for rows, _ in near}) == 1
    assert {scope for _, scope in near} == {24}
    far = {tuple(contents(menu, ClientSubnet(4, net << 8, 24))[0]) for net in range(50)}
    assert len(far) == 3


def test_a_limit_gives_a_random_part() -> None:
    menu = Selector(with_policy(Policy.ALL, 2), SERVE, None)
    found = {tuple(contents(menu, seed=scramble(i))[0]) for i in range(200)}
    assert found == {(A, B), (A, C), (B, C)}


def test_an_answer_stays_below_what_udp_carries() -> None:
    many = tuple(sorted(f"10.{i // 250}.{i % 250}.1" for i in range(1000)))
    decision = Decision(DecisionKind.SERVE, many, 1, (1,) * 1000)
    rows, scope = contents(Selector(record(*many), decision, None))
    assert 12 + 11 + len(KEY.name) + 6 + 16 * len(rows) <= 1232
    assert len(rows) > 60
    assert scope == ONE_QUERY


def test_the_limit_knows_the_size_of_addresses() -> None:
    aaaa = replace(record("2001:db8::1"), key=KEY._replace(type="AAAA"))
    assert answer_limit(aaaa) < answer_limit(record(A))


def with_pools(kind: DecisionKind = DecisionKind.SERVE) -> Selector:
    common = (A,) if kind is DecisionKind.SERVE else ()
    pools = (Pool("office", (B,), (1,)), Pool("lab", (C,), (1,)))
    return Selector(record(A, B, C), Decision(kind, common, 1, (1,) * len(common), pools), TABLE)


@pytest.mark.parametrize(
    ("client", "expected", "scope"),
    [(OFFICE, [B], 13), (LAB, [C], 16), (OUTSIDE, [A], 1), (NO_CLIENT, [A], 5)],
)
def test_each_view_has_its_own_members(
    client: ClientSubnet, expected: list[str], scope: int
) -> None:
    assert contents(with_pools(), client) == (expected, scope)


def test_who_is_far_from_every_view_is_not_cached_for_those_inside() -> None:
    six = ClientSubnet(6, 0x20010DB8 << 96, 56)
    assert contents(with_pools(), six) == ([A], ONE_QUERY)


def test_the_scope_counts_the_bits_in_front_of_the_address() -> None:
    inside = ClientSubnet(4, LAB.value, 32, mapped_prefix=96)
    assert contents(with_pools(), inside) == ([C], 112)


def test_a_view_whose_members_are_down_falls_through() -> None:
    decision = Decision(DecisionKind.SERVE, (A,), 1, (1,), (Pool("office", (B,), (1,)),))
    assert contents(Selector(record(A, B), decision, TABLE), LAB)[0] == [B]


def test_where_the_truth_is_not_known_only_the_views_that_serve_are_told() -> None:
    menu = with_pools(DecisionKind.SERVFAIL)
    assert contents(menu, OFFICE)[0] == [B]
    with pytest.raises(NotReadyError):
        menu.select(OUTSIDE, 0)


def render(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    return json.dumps([[row.qtype, row.content, row.scope] for row in rows]).encode()


EMPTY = ResourceRecord("www.lb.example", "ENT", "", 0)


def test_no_data_for_some_clients_is_not_cached_for_others() -> None:
    choice = DynamicAnswer((), [with_pools(DecisionKind.NODATA)], EMPTY, 1, render)
    assert json.loads(choice.answer(OUTSIDE, 0)) == [["ENT", "", 1]]
    assert json.loads(choice.answer(OFFICE, 0)) == [["A", B, 13]]
    assert choice.answer(OFFICE, 0) is choice.answer(OFFICE, 5)


def test_what_stands_beside_no_data_for_some_is_for_those_as_well() -> None:
    text = ResourceRecord("www.lb.example", "TXT", '"x"', 60)
    choice = DynamicAnswer([text], [with_pools(DecisionKind.NODATA)], EMPTY, 1, render)
    assert json.loads(choice.answer(OUTSIDE, 0)) == [["TXT", '"x"', 1]]
    assert json.loads(choice.answer(OFFICE, 0)) == [["TXT", '"x"', 0], ["A", B, 13]]


def test_a_cname_is_one() -> None:
    names = Decision(DecisionKind.SERVE, ("a.example.", "b.example."), 1, (1, 1))
    alias = replace(record(A), key=KEY._replace(type="CNAME"))
    menu = Selector(alias, names, None)
    assert menu.is_static
    assert len(menu.all_rows()) == 1
    drawn = Selector(replace(alias, policy=Policy.WEIGHTED, max_answers=5), names, None)
    assert len(contents(drawn)[0]) == 1


# -- limits ---------------------------------------------------------------------------------


def wire_size(name: str, qtype: str, rows: int) -> int:
    """Bytes of such an answer to a client behind a resolver that sends subnet and cookie."""
    message = dns.message.make_query(f"{name}.", qtype)
    response = dns.message.make_response(message)
    start = 0xC0000000 if qtype == "A" else 0x20010DB8 << 96
    texts = [str(ip_address(start + number)) for number in range(rows)]
    if rows:
        response.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", qtype, texts))
    subnet = dns.edns.ECSOption("2001:db8::1", 128, 128)
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes(24))
    response.use_edns(0, options=[subnet, cookie])
    return len(response.to_wire(max_size=65535))


@given(
    st.sampled_from(["A", "AAAA"]),
    st.lists(st.integers(1, 63).map("a".__mul__), max_size=3),
)
@example("A", ["aaaa"])
@example("AAAA", ["a" * 20])
def test_an_answer_has_as_many_addresses_as_fit_and_no_more(qtype: str, labels: list[str]) -> None:
    name = ".".join([*labels, ZONE])
    limit = answer_limit(record(A, key=RecordKey(ZONE, name, qtype)))
    assert wire_size(name, qtype, limit) <= UDP_BYTES < wire_size(name, qtype, limit + 1)


@pytest.mark.parametrize(
    ("policy", "wanted", "limit"),
    [
        (Policy.ALL, None, 71),
        (Policy.ALL, 2, 2),
        (Policy.ALL, 500, 71),
        (Policy.WEIGHTED, None, 1),
        (Policy.WEIGHTED, 3, 3),
        (Policy.STICKY, None, 1),
    ],
)
def test_the_limit_is_what_is_wanted_and_fits(
    policy: Policy, wanted: int | None, limit: int
) -> None:
    assert answer_limit(with_policy(policy, wanted)) == limit


def test_contents_of_any_length_have_at_least_one_row() -> None:
    def limit(*contents: str | None) -> int:
        dests = tuple(Dest("x", content=content) for content in contents)
        return answer_limit(replace(record(A), key=KEY._replace(type="TXT"), dests=dests))

    assert limit("x" * 4000) == limit("y", "x" * 4000) == 1
    assert limit("x" * 200) < limit("x" * 20) < limit(None)
    fitting = limit("x" * 200)
    assert fitting * (12 + 200) < UDP_BYTES


# -- weights and views ----------------------------------------------------------------------


def test_a_member_of_weight_zero_is_out_of_what_may_be_given() -> None:
    decision = Decision(DecisionKind.SERVE, (A, B, C), 1, (1, 0, 2))
    for policy in (Policy.WEIGHTED, Policy.STICKY):
        chosen = Selector(with_policy(policy, 3), decision, None)
        assert not chosen.is_static
        assert [row.content for row in chosen.all_rows()] == [A, C]
        assert chosen.common_rows() == chosen.all_rows()
        assert contents(chosen)[0] == [A, C]
        assert not chosen.is_random("")
    alike = Selector(with_policy(Policy.ALL), decision, None)
    assert [row.content for row in alike.all_rows()] == [A, B, C]


def test_where_all_have_weight_zero_all_may_be_given() -> None:
    decision = Decision(DecisionKind.SERVE, (A, B), 1, (0, 0))
    chosen = Selector(with_policy(Policy.WEIGHTED), decision, None)
    assert [row.content for row in chosen.all_rows()] == [A, B]
    assert chosen.is_random("")


def test_without_weights_all_are_equal() -> None:
    decision = Decision(DecisionKind.FALLBACK, (A, B))
    chosen = Selector(with_policy(Policy.WEIGHTED), decision, None)
    assert {tuple(contents(chosen, seed=scramble(i))[0]) for i in range(50)} == {(A,), (B,)}


def test_the_last_resort_of_a_view_is_for_clients_whom_no_other_view_serves() -> None:
    pools = (Pool("office", (B,), (1,)), Pool("lab", (C,), (1,), is_last_resort=True))
    chosen = Selector(record(A, B, C), Decision(DecisionKind.NODATA, pools=pools), TABLE)
    assert contents(chosen, LAB)[0] == [B], "the office serves, and lab lies in it"
    only = Selector(record(A, B, C), Decision(DecisionKind.NODATA, pools=pools[1:]), TABLE)
    assert contents(only, LAB)[0] == [C]
    assert contents(only, OFFICE)[0] == []


def test_rows_have_the_ttl_of_the_decision_or_the_configured_one() -> None:
    for ttl, expected in ((None, 5), (0, 0), (60, 60)):
        decision = Decision(DecisionKind.SERVE, (A,), 1, (1,), ttl=ttl)
        (row,) = Selector(record(A), decision, None).all_rows()
        assert (row.qname, row.qtype, row.ttl, row.auth) == (KEY.name, "A", expected, True)


def test_selectors_are_equal_if_record_decision_and_table_are() -> None:
    chosen = Selector(record(A, B), SERVE, None)
    assert chosen == Selector(record(A, B), SERVE, None)
    assert chosen != Selector(record(A), SERVE, None)
    assert chosen != Selector(record(A, B), Decision(DecisionKind.NODATA), None)
    pooled = Decision(DecisionKind.NODATA, pools=(Pool("office", (B,), (1,)),))
    other = build_table([View("office", ("10.2.0.0/16",))])
    assert Selector(record(A), pooled, TABLE) != Selector(record(A), pooled, other)
    assert chosen != SERVE


@pytest.mark.parametrize(
    ("policy", "views", "is_random", "is_static"),
    [
        (Policy.ALL, False, False, True),
        (Policy.ALL, True, False, False),
        (Policy.WEIGHTED, False, True, False),
        (Policy.WEIGHTED, True, True, False),
        (Policy.STICKY, False, False, False),
    ],
)
def test_it_says_what_its_answers_depend_on(
    policy: Policy, views: bool, is_random: bool, is_static: bool
) -> None:
    pools = (Pool("office", (B,), (1,)),) if views else ()
    chosen = Selector(with_policy(policy), replace(SERVE, pools=pools), TABLE)
    assert (chosen.uses_seed, chosen.is_random("")) == (is_random, is_random)
    assert (chosen.is_static, chosen.is_for_views) == (is_static, views)
    assert not chosen.needs_location
