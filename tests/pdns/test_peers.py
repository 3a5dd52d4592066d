from ipaddress import ip_network

import pytest

from dnslb_backend.pdns.peers import is_allowed

NETWORKS = tuple(map(ip_network, ("192.0.2.0/24", "2001:db8::/32", "fe80::/10")))


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
def test_only_the_networks_that_are_named_may_ask(peer: str, verdict: bool) -> None:
    assert is_allowed(peer, NETWORKS) is verdict
