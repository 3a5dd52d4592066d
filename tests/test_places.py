"""Places on a bridge reach each other and the targets, except where a test cuts or delays them."""

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from tests.rigs.capture import capture
from tests.rigs.namespaces import ForbiddenError
from tests.rigs.places import Bridge, Place, places
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import TcpTarget

CONNECT = "import socket; socket.create_connection(({host!r}, {port}), timeout={limit})"


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    try:
        with places(2) as bridge:
            yield bridge
    except ForbiddenError as reason:
        pytest.skip(str(reason))


async def connects(place: Place, host: str, port: int, *, limit: float = 5) -> bool:
    """Whether a connection from there succeeds; an error other than silence fails the test."""
    code = CONNECT.format(host=host, port=port, limit=limit)
    status, _, errors = await capture(*place.inside, sys.executable, "-c", code)
    assert status == 0 or b"timed out" in errors, errors.decode()
    return status == 0


async def test_a_place_is_cut_from_targets_and_still_reaches_the_others(bridge: Bridge) -> None:
    first, second = bridge.places
    async with (
        PowerDNS({"launch": "bind"}, host=second.address, inside=second.inside) as pdns,
        TcpTarget(bridge.targets[0]) as target,
    ):
        assert await connects(first, target.host, target.port)
        first.cut(bridge.target_network)
        assert not await connects(first, target.host, target.port, limit=0.5)
        assert await connects(second, target.host, target.port)
        assert await connects(first, second.address, pdns.port)
        first.heal()
        first.cut(*bridge.others(first))
        assert await connects(first, target.host, target.port)
        assert not await connects(first, second.address, pdns.port, limit=0.5)
        # This machine reaches every place, whatever is cut.
        assert (await pdns.ask("elsewhere.example")).rcode == "REFUSED"
        first.heal()
        assert await connects(first, second.address, pdns.port)


async def test_a_place_is_slow_until_it_is_healed(bridge: Bridge) -> None:
    first, second = bridge.places
    async with TcpTarget(bridge.targets[0]) as target:
        await asyncio.to_thread(first.delay, 1.0, bridge.target_network)
        began = time.monotonic()
        assert await connects(first, target.host, target.port)
        assert time.monotonic() - began >= 1
        first.heal()
        assert await connects(first, target.host, target.port, limit=5)
        assert await connects(second, target.host, target.port)
