"""Clients as PowerDNS writes them, and the chance that one query is given."""

from ipaddress import ip_network

import pytest

from dnslb_backend.core.model.clients import NO_CLIENT, Location
from dnslb_backend.pdns.methods.client_cache import (
    CACHE_SIZE,
    SAME_QUERY,
    ClientCache,
    parse_client,
)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("fe80::1%eth1", "fe80::1/128"),
        ("fe80::1%eth1/64", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0.0.0.0/90", "::ffc0:0:0/90"),
    ],
)
def test_a_client_is_the_network_that_is_known_of_it(text: str, network: str) -> None:
    assert str(parse_client(text)) == str(ip_network(network))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.0.0.0/0",
        "::/0",
        "::ffff:0.0.0.0/96",
        "192.0.2.1/33",
        "192.0.2.1/-1",
        "192.0.2.1/x",
        "192.0.2",
        "192.0.2.256",
        "2001:db8::1/129",
        "fe80::1/64%eth1",
        "localhost",
        "\0",
        "1" * 10_000,
        "192.0.2.1/" + "9" * 5000,
    ],
)
def test_what_is_no_client_is_nobody(text: str) -> None:
    assert parse_client(text) is NO_CLIENT


def test_an_address_in_another_counts_the_bits_in_front_of_it() -> None:
    assert parse_client("::ffff:192.0.2.1").mapped_prefix == 96
    assert parse_client("192.0.2.1").mapped_prefix == parse_client("2001:db8::1").mapped_prefix == 0


def test_a_place_is_asked_for_in_plain_form() -> None:
    asked: list[str] = []

    def locate(address: str) -> Location:
        asked.append(address)
        return Location("NZ")

    for text in ("::ffff:192.0.2.1/128", "fe80::1%eth1", "192.0.2.0/24"):
        assert parse_client(text, locate).location.country == "NZ"
    assert asked == ["192.0.2.1", "fe80::1", "192.0.2.0"]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.drawn = 0

    def mono(self) -> float:
        return self.now

    def draw(self) -> int:
        self.drawn += 1
        return self.drawn


def test_lookups_of_one_query_are_given_one_draw() -> None:
    clock = Clock()
    askers = ClientCache(clock.mono, clock.draw)
    first = askers.query_seed("www.", "192.0.2.1")
    clock.now += SAME_QUERY / 2
    assert askers.query_seed("www.", "192.0.2.1") == first
    others = {askers.query_seed("www.", "192.0.2.2"), askers.query_seed("api.", "192.0.2.1")}
    assert len(others | {first}) == 3
    clock.now += SAME_QUERY
    assert askers.query_seed("www.", "192.0.2.1") not in {*others, first}


def test_clients_are_read_again_where_places_are_new() -> None:
    clock = Clock()
    askers = ClientCache(clock.mono, clock.draw)
    assert askers.client("192.0.2.1").location == Location()
    askers.use_locator(lambda _: Location("NZ"))
    assert askers.client("192.0.2.1").location == Location("NZ")
    askers.use_locator(None)
    assert askers.client("192.0.2.1").location == Location()


def test_it_remembers_no_more_than_it_should() -> None:
    clock = Clock()
    askers = ClientCache(clock.mono, clock.draw)
    for number in range(3 * CACHE_SIZE):
        askers.client(f"2001:db8::{number:x}")
        askers.query_seed("www.", f"2001:db8::{number:x}")
    assert len(askers._clients) <= CACHE_SIZE
    assert len(askers._query_seeds) <= CACHE_SIZE


def test_what_is_longer_than_any_address_is_not_remembered() -> None:
    clock = Clock()
    askers = ClientCache(clock.mono, clock.draw)
    longest = "fe80:0000:0000:0000:0000:ffff:255.255.255.255%enp0s31f6.12345/128"
    assert askers.client(longest).prefix_length == 128
    for number in range(10):
        long = f"fe80::1%{number}{'x' * 60_000}"
        assert askers.client(long) == NO_CLIENT
        askers.query_seed(long, long)
    assert sum(map(len, askers._clients)) < 200
    assert sum(len(name) + len(client) for name, client in askers._query_seeds) < 20_000
