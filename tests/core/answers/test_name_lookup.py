"""Names as operators write them, in one zone and in several."""

import dataclasses

import pytest

from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.name_lookup import exists, resolve_name
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.decision import PENDING
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NameFormatError, UnresolvedNameError
from tests.core.building import ZONE, plan, record, zone

OTHER = "other.example"
STATIC = [
    ResourceRecord(f"ns1.{ZONE}", "A", "192.0.2.53", 300),
    ResourceRecord(f"*.wild.{ZONE}", "A", "192.0.2.99", 300),
    ResourceRecord(f"sub.{ZONE}", "NS", f"ns.sub.{ZONE}.", 300),
]


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """`www` in one zone, `ns1` in both."""
    one = plan(record("192.0.2.1"), static=STATIC)
    other = zone(OTHER, [ResourceRecord(f"ns1.{OTHER}", "A", "192.0.2.54", 300)])
    both = dataclasses.replace(one, zones={**one.zones, OTHER: other})
    return build_snapshot(
        build_name_index(both), lambda key: PENDING, lambda rows, number: b"", 1.0
    )[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("www", f"www.{ZONE}"),
        ("WWW", f"www.{ZONE}"),
        (f"www.{ZONE}", f"www.{ZONE}"),
        (f"www.{ZONE}.", f"www.{ZONE}"),
        ("a.b.wild", f"a.b.wild.{ZONE}"),
        ("host.sub", f"host.sub.{ZONE}"),
        (f"nope.{ZONE}", f"nope.{ZONE}"),
        ("www.", "www"),
        (OTHER, OTHER),
    ],
)
def test_what_is_clear(snapshot: Snapshot, written: str, meant: str) -> None:
    assert resolve_name(snapshot, written) == meant


@pytest.mark.parametrize("written", ["nope", "www.example.net", "x" * 63 + ".y" * 90])
def test_what_is_in_no_zone_is_refused(snapshot: Snapshot, written: str) -> None:
    with pytest.raises(UnresolvedNameError, match="no such record: ") as refused:
        resolve_name(snapshot, written)
    assert refused.value.found == ()


def test_what_is_in_several_zones_is_refused_with_their_names(snapshot: Snapshot) -> None:
    with pytest.raises(UnresolvedNameError, match="give the full name") as refused:
        resolve_name(snapshot, "ns1")
    assert refused.value.found == (f"ns1.{ZONE}", f"ns1.{OTHER}")


@pytest.mark.parametrize("written", ["www", "WWW", f"www.{ZONE}", f"www.{ZONE}."])
def test_a_balanced_record(snapshot: Snapshot, written: str) -> None:
    assert resolve_name(snapshot, written, is_balanced=True) == f"www.{ZONE}"


@pytest.mark.parametrize("written", ["ns1", f"ns1.{ZONE}", ZONE, "a.b.wild", f"nope.{ZONE}"])
def test_a_name_without_a_balanced_record_is_none_to_those_who_want_one(
    snapshot: Snapshot, written: str
) -> None:
    with pytest.raises(UnresolvedNameError):
        resolve_name(snapshot, written, is_balanced=True)


@pytest.mark.parametrize("written", ["x" * 64, "a..b", "." * 3])
def test_what_is_no_name(snapshot: Snapshot, written: str) -> None:
    with pytest.raises(NameFormatError):
        resolve_name(snapshot, written)


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        (ZONE, True),
        (f"www.{ZONE}", True),
        (f"a.b.wild.{ZONE}", True),
        (f"host.sub.{ZONE}", True),
        (f"nope.{ZONE}", False),
        ("www.example.net", False),
        ("", False),
    ],
)
def test_a_name_exists_unless_it_is_nxdomain_or_in_no_zone(
    snapshot: Snapshot, name: str, is_there: bool
) -> None:
    assert exists(snapshot, name) is is_there
