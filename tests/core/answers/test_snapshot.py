import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from dnslb_backend.core.answers.name_index import build_name_index, differing_names
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind, Pool
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import Policy, RecordKey
from dnslb_backend.core.model.zones import ResourceRecord, next_serial
from dnslb_backend.errors import NotReadyError
from tests.core.building import KEY, ZONE, plan, record

NOW = 1_700_000_000.0
SERVE = Decision(DecisionKind.SERVE, ("192.0.2.1", "192.0.2.2"))
AAAA = KEY._replace(type="AAAA")


def render(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    return json.dumps([[row.qname, row.qtype, row.content] for row in rows]).encode()


def build(
    layout: Plan, decisions: Mapping[RecordKey, Decision], before: Snapshot | None = None
) -> Snapshot:
    return build_snapshot(build_name_index(layout), decisions.__getitem__, render, NOW, before)[0]


def ask(snapshot: Snapshot, name: str, qtype: str = "ANY") -> list[list[str]]:
    answer = snapshot.lookup(name, qtype)
    assert isinstance(answer, bytes)
    found: list[list[str]] = json.loads(answer)
    return found


STATIC = [
    ResourceRecord(f"ns1.{ZONE}", "A", "192.0.2.53", 300),
    ResourceRecord(f"deep.er.{ZONE}", "TXT", '"x"', 300),
    ResourceRecord(f"*.wild.{ZONE}", "A", "192.0.2.99", 300),
    ResourceRecord(f"sub.{ZONE}", "NS", f"ns.sub.{ZONE}.", 300),
    ResourceRecord(f"sub.{ZONE}", "DS", "1 13 2 00", 300),
    ResourceRecord(f"ns.sub.{ZONE}", "A", "192.0.2.54", 300),
]
EVERYTHING = plan(record("192.0.2.1"), static=STATIC)


@pytest.fixture
def snapshot() -> Snapshot:
    return build(EVERYTHING, {KEY: SERVE})


def test_a_balanced_name_answers_with_what_was_decided(snapshot: Snapshot) -> None:
    name = f"www.{ZONE}"
    assert ask(snapshot, name) == [[name, "A", "192.0.2.1"], [name, "A", "192.0.2.2"]]
    assert ask(snapshot, name, "A") == ask(snapshot, name)


def test_an_unknown_name_is_nothing_and_a_missing_type_is_no_data(snapshot: Snapshot) -> None:
    name = f"www.{ZONE}"
    assert ask(snapshot, f"nope.{ZONE}") == []
    assert ask(snapshot, "other.example") == []
    assert ask(snapshot, name, "AAAA") == [[name, "ENT", ""]]
    assert ask(snapshot, f"er.{ZONE}") == [[f"er.{ZONE}", "ENT", ""]]
    assert ask(snapshot, f"wild.{ZONE}") == [[f"wild.{ZONE}", "ENT", ""]]


def test_a_search_for_the_apex_finds_it_only_there(snapshot: Snapshot) -> None:
    assert ask(snapshot, f"www.{ZONE}", "SOA") == []
    ((name, qtype, _),) = ask(snapshot, ZONE, "SOA")
    assert (name, qtype) == (ZONE, "SOA")


def test_the_apex_has_soa_and_ns(snapshot: Snapshot) -> None:
    assert [row[1] for row in ask(snapshot, ZONE)] == ["SOA", "NS"]


def test_nobody_serving_is_no_data() -> None:
    snapshot = build(EVERYTHING, {KEY: Decision(DecisionKind.NODATA)})
    assert ask(snapshot, f"www.{ZONE}") == [[f"www.{ZONE}", "ENT", ""]]


def test_what_is_not_known_is_a_fault_for_its_type_and_any() -> None:
    both = plan(record("192.0.2.1"), record("192.0.2.1", key=AAAA))
    snapshot = build(both, {KEY: SERVE, AAAA: PENDING})
    assert len(ask(snapshot, f"www.{ZONE}", "A")) == 2
    for qtype in ("AAAA", "ANY"):
        with pytest.raises(NotReadyError):
            snapshot.lookup(f"www.{ZONE}", qtype)
    assert ask(snapshot, ZONE, "SOA")
    with pytest.raises(NotReadyError):
        snapshot.rows(ZONE)


@pytest.mark.parametrize(("name", "is_apex"), [(ZONE, True), (KEY.name, False)])
def test_an_error_names_the_consequence_of_an_unknown_apex(name: str, is_apex: bool) -> None:
    key = KEY._replace(name=name)
    snapshot = build(plan(record("192.0.2.1", key=key)), {key: PENDING})
    with pytest.raises(
        NotReadyError, match=f"^{re.escape(name)}: health is not known yet"
    ) as error:
        snapshot.lookup(name, "ANY")
    assert ("whole zone is SERVFAIL" in str(error.value)) is is_apex


@pytest.mark.parametrize(
    ("name", "is_authoritative"),
    [
        pytest.param(f"er.{ZONE}", True, id="a name that only has names below it"),
        pytest.param(KEY.name, False, id="a balanced record without a serving member"),
    ],
)
def test_the_row_of_an_empty_name_is_authoritative_unless_it_has_records(
    name: str, is_authoritative: bool
) -> None:
    nodata = Decision(DecisionKind.NODATA)
    snapshot, _ = build_snapshot(
        build_name_index(EVERYTHING),
        lambda _: nodata,
        lambda rows, _: json.dumps([[row.qtype, row.auth] for row in rows]).encode(),
        NOW,
    )
    assert ask(snapshot, name) == [["ENT", is_authoritative]]


def test_rows_below_a_delegation_are_not_ours(snapshot: Snapshot) -> None:
    auth = {(row.qname, row.qtype): row.auth for row in snapshot.rows(ZONE)}
    assert not auth[f"sub.{ZONE}", "NS"]
    assert auth[f"sub.{ZONE}", "DS"]
    assert not auth[f"ns.sub.{ZONE}", "A"]
    assert auth[f"ns1.{ZONE}", "A"]


def test_a_transfer_has_every_row_once_and_the_soa_first(snapshot: Snapshot) -> None:
    rows = snapshot.rows(ZONE)
    assert rows[0].qtype == "SOA"
    assert len(rows) == len(set(rows)) == 2 + len(STATIC) + 2


def test_a_transfer_reads_as_its_rows_do(snapshot: Snapshot) -> None:
    shown = [item for name in snapshot.transfer(ZONE) for item in json.loads(name)]
    assert shown == [[row.qname, row.qtype, row.content] for row in snapshot.rows(ZONE)]


def test_a_transfer_has_what_was_known_last_of_what_is_not_known(snapshot: Snapshot) -> None:
    fault = Decision(DecisionKind.SERVFAIL)
    after, _ = snapshot.with_answers([KEY.name], lambda _: fault, NOW + 1)
    assert set(after.rows(ZONE)[1:]) == set(snapshot.rows(ZONE)[1:])
    assert f" {after.serials[ZONE]} " in after.rows(ZONE)[0].content


def test_a_transfer_after_a_reload_has_what_was_known_before_it(snapshot: Snapshot) -> None:
    after = build(EVERYTHING, {KEY: PENDING}, snapshot)
    assert set(after.rows(ZONE)[1:]) == set(snapshot.rows(ZONE)[1:])


def test_a_transfer_says_that_a_name_exists_where_nobody_may_serve(snapshot: Snapshot) -> None:
    nobody, _ = snapshot.with_answers([KEY.name], lambda _: Decision(DecisionKind.NODATA), NOW + 1)
    sign = ResourceRecord(KEY.name, "TYPE65280", "\\# 0", 5)
    assert set(nobody.rows(ZONE)[1:]) - set(snapshot.rows(ZONE)[1:]) == {sign}
    assert ask(nobody, KEY.name) == [[KEY.name, "ENT", ""]]
    fault, _ = nobody.with_answers([KEY.name], lambda _: Decision(DecisionKind.SERVFAIL), NOW + 2)
    assert sign in fault.rows(ZONE)
    back, _ = fault.with_answers([KEY.name], lambda _: SERVE, NOW + 3)
    assert set(back.rows(ZONE)[1:]) == set(snapshot.rows(ZONE)[1:])


def test_a_transfer_does_not_wait_for_what_a_reload_brought(snapshot: Snapshot) -> None:
    new = KEY._replace(name=f"new.{ZONE}")
    more = plan(record("192.0.2.1"), record("192.0.2.1", key=new), static=STATIC)
    after = build(more, {KEY: SERVE, new: PENDING}, snapshot)
    assert set(after.rows(ZONE)[1:]) == set(snapshot.rows(ZONE)[1:])


def test_a_transfer_has_what_clients_in_no_view_may_be_given() -> None:
    weighted = replace(record("192.0.2.1"), policy=Policy.WEIGHTED, max_answers=1)
    members = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    pool = Pool("office", ("10.0.0.1",), (1,))
    decision = Decision(DecisionKind.SERVE, members, weights=(3, 1, 0), pools=(pool,))
    snapshot = build(plan(weighted), {KEY: decision})
    assert [row.content for row in snapshot.rows(ZONE)[2:]] == ["192.0.2.1", "192.0.2.2"]


def test_search_takes_globs_over_names_and_contents(snapshot: Snapshot) -> None:
    found = {(row.qname, row.qtype) for _, row in snapshot.search("NS.SUB.*", 10)}
    assert found == {(f"ns.sub.{ZONE}", "A"), (f"sub.{ZONE}", "NS")}
    assert {row.content for _, row in snapshot.search("192.0.2.?", 10)} == set(SERVE.contents)
    assert len(snapshot.search("*", 3)) == 3
    assert snapshot.search("[a-z]*", 10) == []


def test_a_change_touches_its_name_and_the_serial(snapshot: Snapshot) -> None:
    down = Decision(DecisionKind.NODATA)
    after, changed = snapshot.with_answers([KEY.name], lambda _: down, NOW + 1)
    assert changed == {KEY.name, ZONE}
    assert after.serials[ZONE] == int(NOW) + 1
    assert after.names[f"ns1.{ZONE}"] is snapshot.names[f"ns1.{ZONE}"]
    assert len(ask(snapshot, KEY.name)) == 2, "the old snapshot has not changed"


def test_an_answer_that_reads_the_same_changes_nothing(snapshot: Snapshot) -> None:
    after, changed = snapshot.with_answers([KEY.name], lambda _: SERVE, NOW + 1)
    assert changed == frozenset()
    assert after.serials == snapshot.serials


@pytest.mark.parametrize(
    ("previous", "wall", "expected"),
    [
        (0, NOW, int(NOW)),
        (100, 500.9, 500),
        (100, 100.9, 101),
        (100, 50.0, 101),
        # A clock that was far ahead, and one that is: secondaries would see a step back.
        (4_000_000_000, NOW, 4_000_000_001),
        (5, 2_500_000_000.0, 6),
        (int(NOW), 2.0**32 + 7, int(NOW) + 1),
        # The numbers end, and begin again with 1: 0 is said to be none.
        (2**32 - 1, 2.0**32 - 5, 1),
        (2**32 - 2, 2.0**32 - 5, 2**32 - 1),
        (2**32 - 1, 2.0**32 + 7, 1),
    ],
)
def test_the_serial_rises_whatever_the_clock_does(
    previous: int, wall: float, expected: int
) -> None:
    assert next_serial(previous, wall) == expected


def test_a_reload_that_changes_nothing_keeps_the_serial(snapshot: Snapshot) -> None:
    after, changed = build_snapshot(
        build_name_index(EVERYTHING), {KEY: SERVE}.__getitem__, render, NOW + 9, snapshot
    )
    assert changed == frozenset()
    assert after.serials == snapshot.serials


def test_a_reload_names_what_came_and_went(snapshot: Snapshot) -> None:
    fewer = plan(record("192.0.2.1"), static=STATIC[1:])
    after, changed = build_snapshot(
        build_name_index(fewer), {KEY: SERVE}.__getitem__, render, NOW + 9, snapshot
    )
    assert changed == {f"ns1.{ZONE}", ZONE}
    assert after.serials[ZONE] > snapshot.serials[ZONE]


def test_a_serial_never_goes_back_over_a_restart() -> None:
    later = int(NOW) + 500
    snapshot, _ = build_snapshot(
        build_name_index(EVERYTHING), {KEY: SERVE}.__getitem__, render, NOW, serials={ZONE: later}
    )
    assert snapshot.serials[ZONE] == later + 1


def test_a_zone_that_comes_back_does_not_go_back(snapshot: Snapshot) -> None:
    other = RecordKey("other.example", "www.other.example", "A")
    both = plan(record("192.0.2.1"), record("192.0.2.1", key=other))
    decisions = {KEY: SERVE, other: SERVE}
    there = build(both, decisions)
    gone = build(EVERYTHING, decisions, there)
    again = build(both, decisions, gone)
    assert again.serials["other.example"] > there.serials["other.example"]


def test_a_reload_builds_only_the_names_that_differ(snapshot: Snapshot) -> None:
    before = build_name_index(EVERYTHING)
    assert differing_names(before, build_name_index(EVERYTHING)) == set()
    again = build_name_index(EVERYTHING, before).entries
    assert all(again[name] is entry for name, entry in before.entries.items())
    slower = replace(EVERYTHING.records[KEY], ttl=99)
    after = build_name_index(replace(EVERYTHING, records={KEY: slower}))
    differing = differing_names(before, after)
    assert differing == {KEY.name}
    decide = {KEY: SERVE}.__getitem__
    whole, changed = build_snapshot(after, decide, render, NOW + 9, snapshot)
    found = build_snapshot(after, decide, render, NOW + 9, snapshot, differing=differing)
    assert (dict(found[0].names), found[1]) == (dict(whole.names), changed)
    kept = next(name for name in before.entries if name not in changed)
    assert found[0].names[kept] is snapshot.names[kept]


def test_names_of_another_zone_or_of_none_differ() -> None:
    before = build_name_index(EVERYTHING)
    zone = EVERYTHING.zones[KEY.zone]
    other_soa = replace(zone, soa=replace(zone.soa, minimum=zone.soa.minimum + 1))
    after = build_name_index(replace(EVERYTHING, zones={**EVERYTHING.zones, zone.name: other_soa}))
    assert differing_names(before, after) >= {*before.names[zone.name]}
    fewer = build_name_index(replace(EVERYTHING, records={}))
    assert differing_names(before, fewer) == {KEY.name}
    assert differing_names(fewer, before) == {KEY.name}
