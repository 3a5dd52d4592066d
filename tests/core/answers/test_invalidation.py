from dataclasses import replace

import pytest

from dnslb_backend.core.answers.invalidation import (
    PurgeItem,
    References,
    find_references,
    purge_after_reload,
)
from dnslb_backend.core.answers.name_index import NameIndex, build_name_index
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import Dest, RecordKey
from dnslb_backend.core.model.zones import ResourceRecord
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
) -> tuple[Plan, NameIndex, References]:
    """`balanced` are relative names; every zone but the first has an alias of www."""
    rows = [
        ResourceRecord(f"{owner}.{ZONE}", qtype, content, 60) for owner, qtype, content in static
    ]
    alias = ResourceRecord(f"abroad.{OTHER}", "CNAME", f"www.{ZONE}.", 60)
    all_zones = {ZONE: zone(ZONE, rows), OTHER: zone(OTHER, [alias])}
    all_zones |= {name: zone(name) for name in zones}
    keys = [RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in balanced]
    plan = Plan(all_zones, {key: record("192.0.2.9", key=key) for key in keys})
    layout = build_name_index(plan)
    return plan, layout, find_references(plan, layout)


@pytest.fixture(scope="module")
def dependents() -> References:
    return build("www", "*.apps", "leaf.stem")[2]


def test_a_name_takes_those_along_that_show_its_rows(dependents: References) -> None:
    assert dependents.names_to_purge([f"www.{ZONE}"]) == {
        PurgeItem(f"www.{ZONE}"),
        PurgeItem(f"alias.{ZONE}"),
        PurgeItem(f"far.{ZONE}"),
        PurgeItem(f"any.{ZONE}", below=True),
        PurgeItem(f"to-any.{ZONE}"),
        PurgeItem(f"mail.{ZONE}"),
        PurgeItem(f"_x._tcp.{ZONE}"),
        PurgeItem(f"svc.{ZONE}"),
        PurgeItem(f"sub.{ZONE}", below=True),
        PurgeItem(f"abroad.{OTHER}"),
    }


def test_a_wildcard_answers_for_all_below_its_parent(dependents: References) -> None:
    assert dependents.names_to_purge([f"*.apps.{ZONE}"]) == {
        PurgeItem(f"apps.{ZONE}", below=True),
        PurgeItem(f"to-app.{ZONE}"),
    }


def test_a_dname_shows_what_lies_below_its_target(dependents: References) -> None:
    assert dependents.names_to_purge([f"leaf.stem.{ZONE}"]) == {
        PurgeItem(f"leaf.stem.{ZONE}"),
        PurgeItem(f"tree.{ZONE}", below=True),
        PurgeItem(f"to-tree.{ZONE}"),
    }


def test_a_serial_is_not_urgent_unless_the_apex_is_balanced_itself(
    dependents: References,
) -> None:
    assert dependents.names_to_purge([ZONE]) == {PurgeItem(ZONE, is_urgent=False)}
    plan, layout, _ = build("www")
    key = RecordKey(ZONE, ZONE, "A")
    plan = replace(plan, records={**plan.records, key: record("192.0.2.9", key=key)})
    assert find_references(plan, layout).names_to_purge([ZONE]) == {PurgeItem(ZONE)}


@pytest.mark.parametrize("name", ["alone", "text", "nothing-there", "far"])
def test_what_nobody_refers_to_stands_alone(dependents: References, name: str) -> None:
    assert dependents.names_to_purge([f"{name}.{ZONE}"]) == {PurgeItem(f"{name}.{ZONE}")}


def test_a_loop_ends(dependents: References) -> None:
    both = {PurgeItem(f"loop1.{ZONE}"), PurgeItem(f"loop2.{ZONE}")}
    assert dependents.names_to_purge([f"loop1.{ZONE}"]) == both


def test_contents_of_balanced_records_refer_as_well() -> None:
    plan, _, _ = build("www")
    key = RecordKey(ZONE, f"mx.{ZONE}", "MX")
    dest = Dest("192.0.2.3", is_literal=True, content=f"10 www.{ZONE}.")
    plan = replace(plan, records={**plan.records, key: replace(record(key=key), dests=(dest,))})
    stale = find_references(plan, build_name_index(plan)).names_to_purge([f"www.{ZONE}"])
    assert PurgeItem(f"mx.{ZONE}") in stale


def reload(
    before: tuple[Plan, NameIndex, References],
    after: tuple[Plan, NameIndex, References],
    *changed: str,
) -> frozenset[PurgeItem]:
    names = {f"{name}.{ZONE}" for name in changed}
    return purge_after_reload(before[1], after[1], names, (before[2], after[2]))


def test_a_reload_that_only_changes_answers_touches_no_others() -> None:
    alias = (("alias", "CNAME", f"www.{ZONE}."),)
    moved = (("alias", "CNAME", f"alone.{ZONE}."),)
    before, after = build("www", static=alias), build("www", static=moved)
    assert reload(before, after, "alias") == {PurgeItem(f"alias.{ZONE}")}
    gone = {PurgeItem(f"www.{ZONE}"), PurgeItem(f"alias.{ZONE}"), PurgeItem(f"abroad.{OTHER}")}
    assert reload(before, after, "www") == gone


def test_names_that_come_or_go_change_what_lies_below_and_what_a_wildcard_covers() -> None:
    few, many = build("www"), build("www", "a.b.c")
    for before, after in ((few, many), (many, few)):
        stale = reload(before, after, "a.b.c", "www")
        assert stale == {PurgeItem(ZONE, below=True), PurgeItem(f"abroad.{OTHER}")}


def test_zones_that_come_or_go_are_forgotten_whole() -> None:
    few, many = build("www"), build("www", zones=("new.example",))
    for before, after in ((few, many), (many, few)):
        assert reload(before, after) == {PurgeItem("new.example", below=True)}


@pytest.mark.parametrize(
    ("qtype", "content"),
    [
        *((qtype, f"www.{ZONE}.") for qtype in ("CNAME", "ALIAS", "NS")),
        *((qtype, f"10 www.{ZONE}.") for qtype in ("MX", "KX", "AFSDB", "SVCB", "HTTPS")),
        ("SRV", f"1 2 443 www.{ZONE}."),
        ("NAPTR", f'100 10 "S" "SIP+D2U" "" www.{ZONE}.'),
    ],
)
def test_every_type_that_names_another_is_purged_with_it(qtype: str, content: str) -> None:
    references = build("www", static=(("user", qtype, content),))[2]
    names = {item.name for item in references.names_to_purge([f"www.{ZONE}"])}
    assert names >= {f"www.{ZONE}", f"user.{ZONE}"}


@pytest.mark.parametrize(
    ("qtype", "content"),
    [
        ("MX", "10"),
        ("SRV", "1 2 443"),
        ("CNAME", ""),
        ("TXT", f"www.{ZONE}."),
        ("A", f"www.{ZONE}"),
    ],
)
def test_a_content_that_names_no_other_refers_to_nothing(qtype: str, content: str) -> None:
    references = build("www", static=(("user", qtype, content),))[2]
    assert f"user.{ZONE}" not in {item.name for item in references.names_to_purge([f"www.{ZONE}"])}


def test_a_name_below_the_apex_has_no_reference_through_the_apex() -> None:
    """The apex is no DNAME, and its serial changes all the time."""
    references = build("www", static=(("user", "CNAME", f"nothing.here.{ZONE}."),))[2]
    assert {item.name for item in references.names_to_purge([ZONE])} == {ZONE}


def test_what_covers_a_missing_name_is_the_nearest_above_it() -> None:
    static = (
        ("*.deep.wild", "A", "192.0.2.1"),
        ("*.wild", "A", "192.0.2.2"),
        ("near", "CNAME", f"x.deep.wild.{ZONE}."),
        ("far", "CNAME", f"x.shallow.wild.{ZONE}."),
    )
    references = build("www", static=static)[2]

    def users(name: str) -> set[str]:
        return {item.name for item in references.names_to_purge([f"{name}.{ZONE}"])}

    assert users("*.deep.wild") == {f"deep.wild.{ZONE}", f"near.{ZONE}"}
    assert users("*.wild") == {f"wild.{ZONE}", f"far.{ZONE}"}
