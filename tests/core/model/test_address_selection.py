"""Which clients rule 9 of RFC 6724 sends to one server, against the standard library."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.model.address_selection import common_prefix, overlaps

# Close together, so that prefixes of every length occur.
FOUR = st.integers(0, 255).map(lambda last: str(IPv4Address(0xC0000200 + last)))
SIX = st.integers(0, 128).map(lambda bit: str(IPv6Address((1 << bit) % 2**128)))


@given(st.lists(FOUR, min_size=2, unique=True) | st.lists(SIX, min_size=2, unique=True))
def test_the_common_prefix_is_the_smallest_network_that_holds_all(addresses: list[str]) -> None:
    found = common_prefix(addresses)
    assert found is not None
    block = ip_network(found)
    assert all(ip_address(address) in block for address in addresses)
    for half in block.subnets():
        assert not all(ip_address(address) in half for address in addresses)


@pytest.mark.parametrize(
    "addresses",
    [[], ["192.0.2.1"], ["192.0.2.1", "192.0.2.1"], ["192.0.2.1", "::1"]],
)
def test_one_address_or_two_families_have_no_common_prefix(addresses: list[str]) -> None:
    assert common_prefix(addresses) is None


NETWORKS = st.builds(
    lambda value, bits: str(ip_network((value, bits), strict=False)),
    st.integers(0, 15).map(lambda number: number << 28),
    st.sampled_from([0, 1, 2, 3, 4, 32]),
)


@given(NETWORKS, NETWORKS)
def test_overlapping_is_what_the_standard_library_calls_it(one: str, other: str) -> None:
    assert overlaps(one, other) == ip_network(one).overlaps(ip_network(other))


@pytest.mark.parametrize(
    ("client", "is_inside"),
    [
        ("192.0.1.255", False),
        ("192.0.2.0", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("192.0.2.77/23", True),
        ("::192.0.2.1", False),
        ("::c000:200/120", False),
    ],
)
def test_a_client_at_the_edges_of_a_network(client: str, is_inside: bool) -> None:
    assert overlaps("192.0.2.0/24", client) is is_inside
