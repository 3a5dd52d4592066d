"""Addresses, ports and networks: what is read, how it is written, and what is refused."""

import re
from ipaddress import ip_network

import pytest

from dnslb_backend.network import (
    AddressPort,
    bracketed,
    contains,
    parse_address_port,
    parse_network,
    peer_address,
)

NETWORKS = tuple(map(ip_network, ("192.0.2.0/24", "2001:db8::/32", "fe80::/10")))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1:53", "192.0.2.1", 53),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[2001:DB8::1]:65535", "2001:db8::1", 65535),
        ("localhost:8054", "127.0.0.1", 8054),
    ],
)
def test_an_address_with_its_port_is_read_and_written(text: str, host: str, port: int) -> None:
    found = parse_address_port(text)
    assert found == AddressPort(host, port)
    assert parse_address_port(str(found)) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ""),
        ("8053", ""),
        ("192.0.2.1", "it needs a port: 192.0.2.1:PORT; "),
        (":8053", ""),
        ("ns1.example:8053", "names are not looked up; "),
        ("http://192.0.2.1:8053", "names are not looked up; "),
        ("::1:8053", "IPv6 addresses, and no others, are written in brackets; "),
        ("[127.0.0.1]:8053", "IPv6 addresses, and no others, are written in brackets; "),
        ("192.0.2.1:", "the port is 1 to 65535; "),
        ("192.0.2.1:0", "the port is 1 to 65535; "),
        ("192.0.2.1:65536", "the port is 1 to 65535; "),
        ("192.0.2.1:-1", "the port is 1 to 65535; "),
        ("192.0.2.1:\u0661", "the port is 1 to 65535; "),
        (f"192.0.2.1:{'1' * 5000}", "the port is 1 to 65535; "),
    ],
)
def test_what_is_not_an_address_with_a_port_is_refused_in_one_wording(text: str, why: str) -> None:
    examples = "examples: 192.0.2.1:8053, [2001:db8::1]:8053"
    with pytest.raises(ValueError, match="is not ADDRESS:PORT") as refused:
        parse_address_port(text, lowest=1)
    assert str(refused.value) == f"{text!r} is not ADDRESS:PORT; {why}{examples}"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"])
def test_a_network_is_read(text: str) -> None:
    assert str(parse_network(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ""),
        ("everybody", ""),
        ("10.0.0.0/33", ""),
        ("10.0.0.1/8", "it has host bits set, its network is 10.0.0.0/8; "),
    ],
)
def test_what_is_not_a_network_is_refused_in_one_wording(text: str, why: str) -> None:
    examples = "examples: 10.0.0.0/8, 2001:db8::/32, 192.0.2.1"
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a network; {why}{examples}")):
        parse_network(text)


@pytest.mark.parametrize(
    ("peer", "verdict"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.2.1", True),
        ("::ffff:192.0.3.1", False),
        ("::192.0.2.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", True),
        ("", False),
        ("localhost", False),
    ],
)
def test_only_peers_in_the_networks_that_are_named_are_allowed(peer: str, verdict: bool) -> None:
    assert contains(NETWORKS, peer_address(peer)) is verdict


def test_ipv6_is_written_in_brackets_where_a_port_may_follow() -> None:
    assert bracketed("2001:db8::1") == "[2001:db8::1]"
    assert bracketed("192.0.2.1") == "192.0.2.1"
