"""Zones: ids and serials that never surprise PowerDNS or a secondary."""

import zlib
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnslb_backend.core.model.zones import MAX_TTL, Soa, assign_ids, next_serial
from tests.core.building import zone

SERIALS = st.integers(0, 2**32 - 1)


@given(SERIALS.filter(bool), st.floats(0, 2**33))
@example(1, 1 + 2**31)
@example(1, 2**31)
@example(2**32 - 1, 0.0)
@example(2**32 - 1, 5.0)
@example(7, 7.9)
def test_a_serial_rises_as_secondaries_count(previous: int, wall: float) -> None:
    after = next_serial(previous, wall)
    assert 0 < after < 2**32
    assert 0 < (after - previous) % 2**32 < 2**31, "RFC 1982 would call it older"


@given(SERIALS, st.integers(1, 2**31 - 1))
def test_a_serial_follows_the_clock_where_it_can(previous: int, ahead: int) -> None:
    wall = previous + ahead
    if wall < 2**32:
        assert next_serial(previous, wall) == wall


@pytest.mark.parametrize(
    ("previous", "wall", "after"),
    [(0, 1_700_000_000.9, 1_700_000_000), (0, 2.0**32, 1), (0, 2.0**32 + 5, 5), (9, 9.0, 10)],
)
def test_serials_at_the_bounds(previous: int, wall: float, after: int) -> None:
    assert next_serial(previous, wall) == after


def test_a_ttl_has_31_bits() -> None:
    assert MAX_TTL == 0x7FFFFFFF


@given(st.sets(st.text("abc.", min_size=1), max_size=20))
def test_zone_ids_are_positive_and_distinct_in_any_order(names: set[str]) -> None:
    ids = assign_ids(list(names))
    assert ids == assign_ids(sorted(names, reverse=True))
    assert len(set(ids.values())) == len(names)
    assert all(0 < number < 2**31 for number in ids.values())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mike-golf-sierra-911.example", "oscar-delta-bravo-509.example"),
        ("alpha-november-golf-619.example", "romeo-india-bravo-64.example"),
    ],
)
def test_only_the_later_name_of_a_collision_gets_another_id(first: str, second: str) -> None:
    (alone,) = {assign_ids([name])[name] for name in (first, second)}
    both = assign_ids([second, first])
    assert both[first] == alone
    assert both[second] != alone


def test_no_zone_has_the_id_0() -> None:
    """PowerDNS takes a zone without an id for none. The checksum of this name is 0x80000000."""
    name = "acaccaacaaccacacaccaaccaaaaaccacaaaaaaaa.example"
    assert zlib.crc32(name.encode()) & 0x7FFFFFFF == 0
    assert assign_ids([name]) == {name: 1}


def test_zones_keep_their_ids_when_others_come() -> None:
    names = [f"zone{number}.example" for number in range(50)]
    alone = {name: assign_ids([name])[name] for name in names}
    assert assign_ids(names) == alone
    assert all(alone[one] != alone[other] for one, other in combinations(names, 2))


def test_metadata_has_only_what_is_configured() -> None:
    plain = zone()
    assert plain.metadata == {}
    soa = Soa("ns1.lb.example", "hostmaster.lb.example", 1, 2, 3, 4)
    assert soa.content(9) == "ns1.lb.example. hostmaster.lb.example. 9 1 2 3 4"
