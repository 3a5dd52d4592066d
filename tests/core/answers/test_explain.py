"""What is explained is what is answered."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.dynamic import DynamicAnswer
from dnslb_backend.core.answers.explain import (
    LONGEST_CHAIN,
    Explanation,
    Question,
    explain,
    mark_down,
)
from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.model.clients import NO_CLIENT, ClientSubnet
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import AllDown, Policy, Record
from dnslb_backend.core.model.views import View
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NotReadyError
from tests.core.building import KEY, ZONE, Driver, at, plan, record

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
PASS, FAIL, ERROR = passed(), failed(1, "exit code 1"), check_error("no such program")
VIEWS = {"office": View("office", ("10.0.0.0/8",)), "lab": View("lab", ("10.1.0.0/16",))}
STATIC = [
    ResourceRecord(f"alias.{ZONE}", "CNAME", f"www.{ZONE}.", 60),
    ResourceRecord(f"*.{ZONE}", "TXT", '"any"', 60),
    ResourceRecord(f"deep.er.{ZONE}", "A", "192.0.2.9", 60),
    ResourceRecord(f"sub.{ZONE}", "NS", f"ns.sub.{ZONE}.", 60),
]


def render(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    return json.dumps([[row.qtype, row.content, row.ttl, row.scope] for row in rows]).encode()


class World:
    """One record whose members answered, the snapshot of it, and questions about both."""

    def __init__(
        self,
        base: Record,
        results: dict[str, Result],
        static: Sequence[ResourceRecord] = STATIC,
    ) -> None:
        self.driver = Driver(base)
        self.driver.round(results)
        built = replace(plan(base, static=static), views=VIEWS)
        self.snapshot = self._snapshot(built)

    def _snapshot(self, built: Plan) -> Snapshot:
        def decide(key: object) -> object:
            return self.driver.health_map.records[KEY].decision

        return build_snapshot(build_name_index(built), decide, render, 1.0)[0]  # type: ignore[arg-type]

    def explain(self, question: Question) -> Explanation:
        return explain(self.driver.health_map, self.snapshot, question)

    def answer(self, question: Question) -> list[tuple[str, str, int, int]] | None:
        """What a lookup gets, None for a fault."""
        try:
            found = self.snapshot.lookup(question.name, question.qtype)
            if isinstance(found, DynamicAnswer):
                found = found.answer(question.client, question.seed)
        except NotReadyError:
            return None
        return [tuple(row) for row in json.loads(found) if row[0] != "ENT"]


def ask(client: ClientSubnet = NO_CLIENT, **options: object) -> Question:
    return Question(KEY.name, "A", client, **options)  # type: ignore[arg-type]


CLIENTS = st.sampled_from(
    [NO_CLIENT]
    + [
        ClientSubnet(4, first << 24 | second << 16 | 5, 32)
        for first in (10, 11)
        for second in (1, 2)
    ]
    + [ClientSubnet(6, 0x20010DB8 << 96, 56)]
)
RECORDS = st.builds(
    lambda policy, limit, minimum, all_down, views: replace(
        record(f"{A}@2", f"{B}@1", f"{C}@1", prio_min_cnt=minimum, fallback=["192.0.2.99"]),
        policy=policy,
        max_answers=limit,
        all_down=all_down,
        dests=tuple(
            replace(dest, views=views[index], weight=index + 1)
            for index, dest in enumerate(record(f"{A}@2", f"{B}@1", f"{C}@1").dests)
        ),
    ),
    st.sampled_from(Policy),
    st.none() | st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(AllDown),
    st.lists(
        st.sampled_from([(), ("office",), ("lab",), ("lab", "office")]), min_size=3, max_size=3
    ),
)


@given(
    RECORDS,
    st.lists(st.sampled_from([PASS, FAIL, ERROR]), min_size=3, max_size=3),
    CLIENTS,
    st.integers(0, 2**64 - 1),
)
def test_what_is_explained_is_what_is_answered(
    base: Record, results: list[Result], client: ClientSubnet, seed: int
) -> None:
    world = World(base, dict(zip((A, B, C), results, strict=True)))
    question = ask(client, seed=seed)
    told = world.explain(question)
    (part,) = told.records
    answer = world.answer(question)
    if answer is None:
        assert told.verdict == "SERVFAIL"
        return
    assert [(r.qtype, r.content, r.ttl, r.scope) for r in told.rows] == answer
    assert told.verdict == ("NOERROR" if answer else "NODATA")
    picked = {c.status.member.content for c in part.members if c.is_picked}
    assert picked == {content for _, content, _, _ in answer}
    assert all(c.why for c in part.members if not c.is_picked)


@pytest.fixture
def world() -> World:
    return World(record(f"{A}@2", f"{B}@1", C), {A: PASS, B: PASS, C: FAIL})


def test_every_member_has_its_reason(world: World) -> None:
    (part,) = world.explain(ask()).records
    assert [(c.status.member.content, c.is_picked, c.why) for c in part.members] == [
        (A, True, "serves"),
        (B, False, "standby (priority 2 is serving)"),
        (C, False, "exit code 1"),
    ]


def test_what_if_a_member_were_down(world: World) -> None:
    told = world.explain(ask(supposed=mark_down(A)))
    assert [row.content for row in told.rows] == [B]
    assert [row.content for row in world.explain(ask()).rows] == [A], "it was only supposed"


def test_what_if_all_were_down(world: World) -> None:
    assert world.explain(ask(supposed=mark_down("10.*"))).verdict == "NODATA"


@pytest.mark.parametrize(
    ("name", "qtype", "verdict", "via"),
    [
        ("www.other.example", "A", "REFUSED", ()),
        (f"x.er.{ZONE}", "A", "NXDOMAIN", ()),
        (f"er.{ZONE}", "A", "NODATA", ()),
        (f"nope.{ZONE}", "TXT", "NOERROR", (f"*.{ZONE}",)),
        (f"nope.{ZONE}", "A", "NODATA", (f"*.{ZONE}",)),
        (f"WWW.{ZONE}.", "AAAA", "NODATA", ()),
        (f"alias.{ZONE}", "A", "NOERROR", (f"alias.{ZONE}",)),
        (ZONE, "SOA", "NOERROR", ()),
        (f"x.sub.{ZONE}", "A", f"referral to sub.{ZONE}", ()),
        (f"sub.{ZONE}", "A", f"referral to sub.{ZONE}", ()),
    ],
)
def test_the_way_of_a_name(
    world: World, name: str, qtype: str, verdict: str, via: tuple[str, ...]
) -> None:
    told = world.explain(Question(name, qtype))
    assert (told.verdict, told.via) == (verdict, via)


def test_a_client_among_its_servers_is_warned() -> None:
    world = World(record("10.0.0.159", "10.0.0.160"), {"10.0.0.159": PASS, "10.0.0.160": PASS})
    near = ClientSubnet(4, 10 << 24 | 130, 32)
    (part,) = world.explain(ask(near)).records
    assert any("rule 9" in warning for warning in part.warnings)
    (part,) = world.explain(ask(ClientSubnet(4, 10 << 24 | 200, 32))).records
    assert part.warnings == ()


def test_the_decision_and_the_tiers_are_those_of_the_view_that_serves() -> None:
    base = record(f"{A}@1", f"{B}@5", f"{C}@3")
    views = (("office",), (), ("office",))
    dests = tuple(replace(d, views=v) for d, v in zip(base.dests, views, strict=True))
    world = World(replace(base, dests=dests), {A: PASS, B: FAIL, C: PASS})
    office, nobody = ask(ClientSubnet(4, 10 << 24 | 5, 32)), ask(ClientSubnet(4, 11 << 24 | 5, 32))
    (inside,), (outside,) = world.explain(office).records, world.explain(nobody).records
    assert (inside.view, inside.kind, inside.threshold) == ("office", DecisionKind.SERVE, 3)
    assert (outside.view, outside.kind, outside.threshold) == ("", DecisionKind.NODATA, None)
    why = {contender.status.member.content: contender.why for contender in inside.members}
    assert why[A] == "standby (priority 3 is serving)"


def test_of_one_member_that_has_weight_nothing_is_by_chance() -> None:
    base = replace(record(A, B), policy=Policy.WEIGHTED)
    dests = (replace(base.dests[0], weight=0), base.dests[1])
    for results, by_chance in (({A: PASS, B: PASS}, False), ({A: FAIL, B: PASS}, False)):
        world = World(replace(base, dests=dests), results)
        assert world.explain(ask()).records[0].is_random is by_chance
    assert World(base, {A: PASS, B: PASS}).explain(ask()).records[0].is_random


def test_each_client_reads_why_a_member_is_not_for_it() -> None:
    base = record(A, B, C)
    views: tuple[tuple[str, ...], ...] = (("office", "lab"), (), ())
    dests = tuple(replace(d, views=v) for d, v in zip(base.dests, views, strict=True))
    item = replace(base, dests=dests, policy=Policy.WEIGHTED, max_answers=1)
    world = World(item, {A: PASS, B: PASS, C: FAIL})
    (outside,) = world.explain(ask(ClientSubnet(4, 11 << 24 | 5, 32))).records
    assert [member.why for member in outside.members] == [
        "only for office, lab",
        "serves",
        FAIL.text,
    ]
    (inside,) = world.explain(ask(ClientSubnet(4, 10 << 24 | 5, 32))).records
    assert [member.why for member in inside.members] == [
        "serves",
        "not in view office",
        "not in view office",
    ]
    assert (inside.views, outside.views) == (("office",), ())


def test_a_member_that_was_not_picked_is_eligible() -> None:
    item = replace(record(A, B), policy=Policy.WEIGHTED)
    (part,) = World(item, {A: PASS, B: PASS}).explain(ask()).records
    assert sorted((member.is_picked, member.why) for member in part.members) == [
        (False, "eligible, but the policy picked others"),
        (True, "serves"),
    ]
    assert (part.limit, part.ttl, len(part.rows)) == (1, 5, 1)


def test_a_member_with_an_override_reads_as_that() -> None:
    world = World(record(A, B), {A: PASS, B: FAIL})
    world.driver.health_map.set_overrides([Override("1", A, Action.DOWN)], at(9))
    (part,) = world.explain(ask()).records
    assert [member.why for member in part.members] == ["override down", FAIL.text]
    (part,) = world.explain(ask(supposed=mark_down(B.upper()))).records
    assert part.members[0].why == "override down", "what is supposed comes on top"


def test_unknown_health_is_servfail_with_a_warning() -> None:
    world = World(record(A, B), {A: ERROR, B: ERROR})
    told = world.explain(ask())
    (part,) = told.records
    assert (told.verdict, told.rows) == ("SERVFAIL", ())
    assert any("SERVFAIL" in warning for warning in part.warnings)
    assert World(record(A), {A: FAIL}).explain(ask()).records[0].warnings == ()


@pytest.mark.parametrize(
    ("client", "answers", "is_warned"),
    [
        (ClientSubnet(4, 10 << 24 | 2, 32), 2, True),
        (ClientSubnet(4, 10 << 24, 24), 2, True),
        (ClientSubnet(4, 10 << 24 | 2, 32), 1, False),
        (NO_CLIENT, 2, False),
    ],
)
def test_only_a_known_client_of_several_servers_is_warned(
    client: ClientSubnet, answers: int, is_warned: bool
) -> None:
    item = record(*(A, B)[:answers])
    (part,) = World(item, {A: PASS, B: PASS}).explain(ask(client)).records
    assert bool(part.warnings) is is_warned


ALIASES = [
    *(ResourceRecord(f"c{n}.{ZONE}", "CNAME", f"c{n + 1}.{ZONE}.", 60) for n in range(20)),
    ResourceRecord(f"loop.{ZONE}", "CNAME", f"loop.{ZONE}.", 60),
    ResourceRecord(f"away.{ZONE}", "CNAME", "www.other.example.", 60),
    ResourceRecord(f"*.wild.{ZONE}", "CNAME", f"www.{ZONE}.", 60),
]


@pytest.mark.parametrize(
    ("name", "qtype", "last", "steps", "verdict"),
    [
        ("away", "A", "www.other.example", 1, "REFUSED"),
        ("away", "CNAME", f"away.{ZONE}", 0, "NOERROR"),
        ("away", "ANY", f"away.{ZONE}", 0, "NOERROR"),
        ("x.wild", "A", f"www.{ZONE}", 2, "NOERROR"),
        ("loop", "A", f"loop.{ZONE}", LONGEST_CHAIN, "NODATA"),
        ("c0", "A", f"c{LONGEST_CHAIN}.{ZONE}", LONGEST_CHAIN, "NODATA"),
        ("c13", "A", f"c20.{ZONE}", 7, "NXDOMAIN"),
    ],
)
def test_cnames_are_followed_to_an_end(
    name: str, qtype: str, last: str, steps: int, verdict: str
) -> None:
    world = World(record(A), {A: PASS}, ALIASES)
    told = world.explain(Question(f"{name}.{ZONE}", qtype))
    assert (told.name, len(told.via), told.verdict) == (last, steps, verdict)


def test_the_answer_has_the_rows_that_dig_shows(world: World) -> None:
    def rows(name: str, qtype: str) -> list[tuple[str, str, str]]:
        told = world.explain(Question(name, qtype))
        return [(row.qname, row.qtype, row.content) for row in told.rows]

    apex = world.snapshot.names[ZONE].rows
    assert rows(ZONE, "SOA") == [(r.qname, r.qtype, r.content) for r in apex if r.qtype == "SOA"]
    assert len(rows(ZONE, "SOA")) == 1
    assert rows(ZONE, "ANY") == [(r.qname, r.qtype, r.content) for r in apex]
    assert rows(f"www.{ZONE}", "SOA") == []
    assert rows(f"nope.{ZONE}", "TXT") == [(f"nope.{ZONE}", "TXT", '"any"')]
    alias = (f"alias.{ZONE}", "CNAME", f"www.{ZONE}.")
    assert rows(f"alias.{ZONE}", "A") == [alias, (f"www.{ZONE}", "A", A)]
    assert rows(f"alias.{ZONE}", "AAAA") == [alias]


def test_any_explains_every_record_of_a_name() -> None:
    told = World(record(A), {A: PASS}).explain(Question(f"{KEY.name}."))
    assert (told.zone, told.name, told.verdict) == (ZONE, KEY.name, "NOERROR")
    assert [part.record.key for part in told.records] == [KEY]
    assert World(record(A), {A: PASS}).explain(Question(KEY.name, "AAAA")).records == ()
