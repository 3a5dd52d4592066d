from dataclasses import replace

import pytest

from dnslb_backend.core.dependents import Dependents, Stale, find_dependents, stale_after_reload
from dnslb_backend.core.layout import Layout, lay_out
from dnslb_backend.core.plan import Plan
from dnslb_backend.core.records import Dest, RecordKey
from dnslb_backend.core.zones import Row
from tests.core.building import ZONE, record, zone

STATIC = (
    ("alias", "CNAME", f"WWW.{ZONE}."),
    ("far", "CNAME", f"alias.{ZONE}."),
    ("loop1", "CNAME", f"loop2.{ZONE}."),
    ("loop2", "CNAME", f"loop1.{ZONE}."),
    ("*.any", "CNAME", f"www.{ZONE}."),
    ("to-any", "CNAME", f"x.y.any.{ZONE}."),
    ("to-app", "CNAME", f"blue.apps.{ZONE}."),
    ("mail", "MX", f"10 www.{ZONE}."),
    ("_x._tcp", "SRV", f"1 2 443 www.{ZONE}."),
    ("svc", "HTTPS", f"1 www.{ZONE}. alpn=h2"),
    ("sub", "NS", f"www.{ZONE}."),
    ("tree", "DNAME", f"stem.{ZONE}."),
    ("to-tree", "CNAME", f"leaf.tree.{ZONE}."),
    ("alone", "A", "192.0.2.1"),
    ("text", "TXT", f'"www.{ZONE}."'),
    ("dangling", "CNAME", f"nothing.{ZONE}."),
)

OTHER = "other.example"


def build(
    *balanced: str, static: tuple[tuple[str, str, str], ...] = STATIC, zones: tuple[str, ...] = ()
) -> tuple[Plan, Layout, Dependents]:
    """`balanced` are relative names; every zone but the first has an alias of www."""
    rows = [Row(f"{owner}.{ZONE}", qtype, content, 60) for owner, qtype, content in static]
    alias = Row(f"abroad.{OTHER}", "CNAME", f"www.{ZONE}.", 60)
    all_zones = {ZONE: zone(ZONE, rows), OTHER: zone(OTHER, [alias])}
    all_zones |= {name: zone(name) for name in zones}
    keys = [RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in balanced]
    plan = Plan(all_zones, {key: record("192.0.2.9", key=key) for key in keys})
    layout = lay_out(plan)
    return plan, layout, find_dependents(plan, layout)


@pytest.fixture(scope="module")
def dependents() -> Dependents:
    return build("www", "*.apps", "leaf.stem")[2]


def test_a_name_takes_those_along_that_show_its_rows(dependents: Dependents) -> None:
    assert dependents.stale([f"www.{ZONE}"]) == {
        Stale(f"www.{ZONE}"),
        Stale(f"alias.{ZONE}"),
        Stale(f"far.{ZONE}"),
        Stale(f"any.{ZONE}", below=True),
        Stale(f"to-any.{ZONE}"),
        Stale(f"mail.{ZONE}"),
        Stale(f"_x._tcp.{ZONE}"),
        Stale(f"svc.{ZONE}"),
        Stale(f"sub.{ZONE}", below=True),
        Stale(f"abroad.{OTHER}"),
    }


def test_a_wildcard_answers_for_all_below_its_parent(dependents: Dependents) -> None:
    assert dependents.stale([f"*.apps.{ZONE}"]) == {
        Stale(f"apps.{ZONE}", below=True),
        Stale(f"to-app.{ZONE}"),
    }


def test_a_dname_shows_what_lies_below_its_target(dependents: Dependents) -> None:
    assert dependents.stale([f"leaf.stem.{ZONE}"]) == {
        Stale(f"leaf.stem.{ZONE}"),
        Stale(f"tree.{ZONE}", below=True),
        Stale(f"to-tree.{ZONE}"),
    }


def test_a_serial_is_not_urgent_unless_the_apex_is_balanced_itself(
    dependents: Dependents,
) -> None:
    assert dependents.stale([ZONE]) == {Stale(ZONE, is_urgent=False)}
    plan, layout, _ = build("www")
    key = RecordKey(ZONE, ZONE, "A")
    plan = replace(plan, records={**plan.records, key: record("192.0.2.9", key=key)})
    assert find_dependents(plan, layout).stale([ZONE]) == {Stale(ZONE)}


@pytest.mark.parametrize("name", ["alone", "text", "nothing-there", "far"])
def test_what_nobody_refers_to_stands_alone(dependents: Dependents, name: str) -> None:
    assert dependents.stale([f"{name}.{ZONE}"]) == {Stale(f"{name}.{ZONE}")}


def test_a_loop_ends(dependents: Dependents) -> None:
    both = {Stale(f"loop1.{ZONE}"), Stale(f"loop2.{ZONE}")}
    assert dependents.stale([f"loop1.{ZONE}"]) == both


def test_contents_of_balanced_records_refer_as_well() -> None:
    plan, _, _ = build("www")
    key = RecordKey(ZONE, f"mx.{ZONE}", "MX")
    dest = Dest("192.0.2.3", is_literal=True, content=f"10 www.{ZONE}.")
    plan = replace(plan, records={**plan.records, key: replace(record(key=key), dests=(dest,))})
    stale = find_dependents(plan, lay_out(plan)).stale([f"www.{ZONE}"])
    assert Stale(f"mx.{ZONE}") in stale


def reload(
    before: tuple[Plan, Layout, Dependents],
    after: tuple[Plan, Layout, Dependents],
    *changed: str,
) -> frozenset[Stale]:
    names = {f"{name}.{ZONE}" for name in changed}
    return stale_after_reload(before[1], after[1], names, (before[2], after[2]))


def test_a_reload_that_only_changes_answers_touches_no_others() -> None:
    alias = (("alias", "CNAME", f"www.{ZONE}."),)
    moved = (("alias", "CNAME", f"alone.{ZONE}."),)
    before, after = build("www", static=alias), build("www", static=moved)
    assert reload(before, after, "alias") == {Stale(f"alias.{ZONE}")}
    gone = {Stale(f"www.{ZONE}"), Stale(f"alias.{ZONE}"), Stale(f"abroad.{OTHER}")}
    assert reload(before, after, "www") == gone


def test_names_that_come_or_go_change_what_lies_below_and_what_a_wildcard_covers() -> None:
    few, many = build("www"), build("www", "a.b.c")
    for before, after in ((few, many), (many, few)):
        stale = reload(before, after, "a.b.c", "www")
        assert stale == {Stale(ZONE, below=True), Stale(f"abroad.{OTHER}")}


def test_zones_that_come_or_go_are_forgotten_whole() -> None:
    few, many = build("www"), build("www", zones=("new.example",))
    for before, after in ((few, many), (many, few)):
        assert reload(before, after) == {Stale("new.example", below=True)}
