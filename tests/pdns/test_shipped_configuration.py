"""The files of pdns/ as they are shipped, in a real pdns_server."""

import asyncio
import re
from pathlib import Path

import pytest

from dnslb_backend.pdns.responder import Responder
from tests.pdns.served import Connectors, put_load
from tests.pdns.transports import serve_http
from tests.pdns.world import World
from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import until

SHIPPED = Path(__file__).parents[2] / "pdns"

PORT = "127.0.0.1:8053"
"""[server] http, as it is when nobody says otherwise."""


def text(name: str, port: int) -> str:
    """A shipped file that is told the port of this test instead of the usual one."""
    shipped = (SHIPPED / name).read_text()
    assert PORT in shipped
    return shipped.replace(PORT, f"127.0.0.1:{port}")


def settings(conf: str) -> dict[str, str | int]:
    """What stands in it: the rig has caches of its own mind."""
    pairs = re.findall(r"^([a-z-]+)=(.*)$", conf, re.MULTILINE)
    return {key: value for key, value in pairs if key.endswith("-ttl")}


@pytest.mark.parametrize("name", ["pdns-http.conf"])
async def test_a_whole_configuration_serves(name: str) -> None:
    world = World()
    async with serve_http(Responder(world.current)) as port:
        conf = text(name, port)
        async with PowerDNS(settings(conf), conf=conf) as pdns:
            assert (await pdns.ask("www.lb.example")).addresses == {"10.0.0.1", "10.0.0.2"}
            world.change("www", "A", "10.0.0.3")
            assert (await pdns.ask("www.lb.example")).addresses == {"10.0.0.3"}
            # What equals the default is printed as a comment.
            in_force = (await pdns.control("current-config")).replace("\n# ", "\n").splitlines()
            assert set(re.findall("^[a-z-]+=.+$", conf, re.MULTILINE)) <= set(in_force)


async def test_it_can_be_added_to_a_server_that_runs_already(tmp_path: Path) -> None:
    zones = tmp_path / "named.conf"
    zone = tmp_path / "zone"
    zone.write_text("@ 5 IN SOA ns. h. 1 2 3 4 5\n@ 5 IN NS ns.\nhere 5 IN A 192.0.2.200\n")
    zones.write_text(f'zone "bind.example" {{ type master; file "{zone}"; }};\n')
    async with serve_http(Responder(World().current)) as port:
        conf = f"launch=bind\nbind-config={zones}\n{text('include.conf', port)}"
        async with PowerDNS(settings(conf), conf=conf) as pdns:
            assert (await pdns.ask("here.bind.example")).addresses == {"192.0.2.200"}
            assert (await pdns.ask("v4.lb.example")).addresses == {"10.0.0.4"}
            assert (await pdns.ask("v4.lb.example", "AAAA")).is_nodata
            assert (await pdns.ask("nope.lb.example")).rcode == "NXDOMAIN"


async def test_powerdns_survives_a_daemon_that_does_not_move_under_load() -> None:
    async with Connectors() as connectors:
        conf = text("pdns-http.conf", connectors.port)
        async with PowerDNS(settings(conf), conf=conf) as pdns:
            load = asyncio.create_task(put_load(pdns.port, pdns.directory, seconds=6, rate=2000))
            await until(lambda: _asked(pdns))
            connectors.pause()
            asyncio.get_running_loop().call_later(3, connectors.resume)
            tally = await load
            assert pdns.alive
            assert tally.codes["NOERROR"] > 2000
            answer = await pdns.ask("www.lb.example")
            assert answer.rcode == "NOERROR"


async def _asked(pdns: PowerDNS) -> bool:
    return int((await pdns.control("show udp-queries")).strip()) > 500
