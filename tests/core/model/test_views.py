from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.model.clients import NO_CLIENT, ClientSubnet, Location
from dnslb_backend.core.model.views import View, ViewTable, build_table

NESTED = build_table(
    [
        View("wide", ("10.0.0.0/8", "2001:db8::/32")),
        View("middle", ("10.1.0.0/16",)),
        View("narrow", ("10.1.2.0/24",)),
    ]
)


def client(text: str, place: Location = Location()) -> ClientSubnet:  # noqa: B008 - it is immutable
    network = ip_network(text)
    return ClientSubnet(network.version, int(network.network_address), network.prefixlen, place)


@pytest.mark.parametrize(
    ("asker", "views", "scope"),
    [
        ("10.1.2.3/32", ("narrow", "middle", "wide"), 24),
        ("10.1.3.3/32", ("middle", "wide"), 24),
        ("10.200.0.1/32", ("wide",), 9),
        ("11.0.0.1/32", (), 8),
        ("192.0.2.1/32", (), 1),
        ("10.1.0.0/16", ("middle", "wide"), 23),
        ("10.0.0.0/7", (), 16),
        ("2001:db8::1/128", ("wide",), 32),
        ("2001:db9::1/128", (), 32),
    ],
)
def test_the_longest_prefix_is_tried_first(asker: str, views: tuple[str, ...], scope: int) -> None:
    chain = NESTED.match(client(asker))
    assert (chain.views, chain.scope) == (views, scope)


def test_a_lookup_for_nobody_is_in_no_view_but_that_of_everybody() -> None:
    assert NESTED.match(NO_CLIENT).views == ()
    assert build_table([View("all", ("0.0.0.0/0",))]).match(NO_CLIENT).views == ("all",)


def test_places_come_after_networks() -> None:
    table = build_table(
        [
            View("land", countries=frozenset({"NZ"})),
            View("part", continents=frozenset({"OC"})),
            View("as", asns=frozenset({64500})),
            View("net", ("192.0.2.0/24",)),
        ]
    )
    here = Location("NZ", "OC", 64500, 20)
    assert table.match(client("192.0.2.1/32", here)).views == ("net", "as", "land", "part")
    assert table.match(client("192.0.2.1/32", here)).scope == 24
    assert table.match(client("198.51.100.1/32", here)).scope == 20


BASE = int(IPv4Address("10.1.2.0"))
BLOCKS = st.builds(
    lambda offset, bits: str(IPv4Network((BASE ^ offset, bits), strict=False)),
    st.integers(0, 2**17),
    st.sampled_from([0, 8, 15, 16, 20, 24, 25, 28, 32]),
)
VIEWS = st.lists(st.lists(BLOCKS, max_size=4), min_size=1, max_size=4)


@given(VIEWS, st.integers(0, 2**18), st.integers(0, 2**32))
def test_finds_what_a_plain_search_finds_and_says_for_whom(
    written: list[list[str]], offset: int, other: int
) -> None:
    views = [View(str(index), tuple(networks)) for index, networks in enumerate(written)]
    table = build_table(views)
    address = IPv4Address(BASE ^ offset)
    chain = table.match(ClientSubnet(4, int(address), 32))
    around = {
        view.name: max(IPv4Network(n).prefixlen for n in view.networks if address in IPv4Network(n))
        for view in views
        if any(address in IPv4Network(n) for n in view.networks)
    }
    assert set(chain.views) == set(around)
    lengths = [around[view] for view in chain.views]
    assert lengths == sorted(lengths, reverse=True)
    block = IPv4Network((int(address), chain.scope), strict=False)
    neighbour = int(block.network_address) + other % block.num_addresses
    assert set(table.match(ClientSubnet(4, neighbour, 32)).views) == set(chain.views)


@given(VIEWS, st.integers(0, 2**18))
def test_the_scope_is_the_smallest(written: list[list[str]], offset: int) -> None:
    table = build_table([View(str(i), tuple(networks)) for i, networks in enumerate(written)])
    address = BASE ^ offset
    chain = table.match(ClientSubnet(4, address, 32))
    if chain.scope:
        wider = IPv4Network((address, chain.scope - 1), strict=False)
        edges = (int(wider.network_address), int(wider.broadcast_address))
        around = [_chain_of_block(table, edge, chain.scope) for edge in edges]
        assert any(views != chain.views for views in around)


def _chain_of_block(table: ViewTable, address: int, bits: int) -> tuple[str, ...]:
    """The chain of a block if all of it has the same, else one that nobody has."""
    block = IPv4Network((address, bits), strict=False)
    ends = (int(block.network_address), int(block.broadcast_address))
    chains = {table.match(ClientSubnet(4, end, 32)) for end in ends}
    found = chains.pop()
    return found.views if not chains and found.scope <= bits else ("nobody's",)
