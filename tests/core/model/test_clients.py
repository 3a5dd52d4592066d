"""The network of a client, cut to what is known of it."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.model.clients import BITS, NO_CLIENT, NO_LOCATION, ClientSubnet


@given(st.sampled_from([4, 6]), st.data())
def test_the_leading_bits_of_an_address_are_those_of_its_network(
    version: int, data: st.DataObject
) -> None:
    width = BITS[version]
    known = data.draw(st.integers(0, width))
    value = data.draw(st.integers(0, 2**width - 1)) >> (width - known) << (width - known)
    bits = data.draw(st.integers(0, width))
    client = ClientSubnet(version, value, known)
    network = ip_network(str(client))
    assert (network.version, network.prefixlen) == (version, known)
    assert int(network.network_address) == value
    wider = network.supernet(new_prefix=min(bits, known))
    assert client.network(bits) == (
        version,
        int(wider.network_address) >> (width - min(bits, known)),
    )


@pytest.mark.parametrize("bits", [0, 24])
def test_nothing_is_known_of_no_client(bits: int) -> None:
    assert NO_CLIENT.network(bits) == (4, 0)
    assert str(NO_CLIENT) == "0.0.0.0/0"
    assert NO_CLIENT.location == NO_LOCATION == ("", "", 0, 0)
    assert NO_CLIENT.mapped_prefix == 0
