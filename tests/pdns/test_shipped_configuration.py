"""The files of pdns/ as they are shipped, in a real pdns_server."""

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.demo.settings import POWERDNS
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.served import Connectors, put_load, queries_seen
from tests.pdns.shipped import BY_SOCKET, SHIPPED, settings, text
from tests.pdns.transports import serve_http, serve_unix
from tests.pdns.world import World
from tests.rigs.powerdns import PowerDNS, conf_here, is_older_than
from tests.rigs.waiting import until


@pytest.mark.parametrize("name", ["pdns-http.conf", *BY_SOCKET])
async def test_a_whole_configuration_serves(name: str) -> None:
    world = World()
    responder = Responder(world.current)
    async with serve_http(responder) as port, serve_unix(responder) as path:
        conf = text(name, path=path) if name in BY_SOCKET else text(name, port=port)
        async with PowerDNS(settings(conf), conf=conf) as pdns:
            assert (await pdns.ask("www.lb.example")).addresses == {"10.0.0.1", "10.0.0.2"}
            world.change("www", "A", "10.0.0.3")
            await pdns.purge("")  # as the daemon does, where caches are on
            assert (await pdns.ask("www.lb.example")).addresses == {"10.0.0.3"}
            await check_unknown_apex(world, pdns)
            # What equals the default is printed as a comment.
            in_force = (await pdns.control("current-config")).replace("\n# ", "\n").splitlines()
            assert set(re.findall("^[a-z-]+=.+$", conf_here(conf), re.MULTILINE)) <= set(in_force)


def test_no_shipped_file_goes_untried() -> None:
    elsewhere = {"break-glass-gmysql.conf"}
    tried = {"pdns-http.conf", "include.conf", *BY_SOCKET} | elsewhere
    assert {path.name for path in SHIPPED.glob("*.conf")} == tried


async def test_it_can_be_added_to_a_server_that_runs_already(tmp_path: Path) -> None:
    zones = tmp_path / "named.conf"
    zone = tmp_path / "zone"
    zone.write_text("@ 5 IN SOA ns. h. 1 2 3 4 5\n@ 5 IN NS ns.\nhere 5 IN A 192.0.2.200\n")
    zones.write_text(f'zone "bind.example" {{ type master; file "{zone}"; }};\n')
    async with AsyncExitStack() as daemon:
        port = await daemon.enter_async_context(serve_http(Responder(World().current)))
        conf = f"launch=bind\nbind-config={zones}\n{text('include.conf', port=port)}"
        async with PowerDNS(settings(conf), conf=conf) as pdns:
            assert (await pdns.ask("here.bind.example")).addresses == {"192.0.2.200"}
            assert (await pdns.ask("v4.lb.example")).addresses == {"10.0.0.4"}
            assert (await pdns.ask("v4.lb.example", "AAAA")).is_nodata
            assert (await pdns.ask("nope.lb.example")).rcode == "NXDOMAIN"
            # What exists in other zones does not depend on the daemon.
            await daemon.aclose()
            assert (await pdns.ask("v4.lb.example")).rcode == "SERVFAIL"
            if is_older_than(4, 5):  # It knows no zones by heart: every backend is asked.
                return
            assert (await pdns.ask("here.bind.example")).addresses == {"192.0.2.200"}
            assert (await pdns.ask("here.bind.example", "AAAA")).is_nodata


async def check_unknown_apex(world: World, pdns: PowerDNS) -> None:
    """What is not known at the name of a zone costs that name's answers, and no others."""
    world.add("", "A", Decision(DecisionKind.PENDING))
    world.rebuild()
    await pdns.purge("")
    for name in ("", "pending."):
        assert (await pdns.ask(f"{name}lb.example")).rcode == "SERVFAIL"
    assert (await pdns.ask("lb.example", "SOA")).contents
    assert (await pdns.ask("v4.lb.example")).addresses == {"10.0.0.4"}
    assert (await pdns.ask("v4.lb.example", "AAAA")).is_nodata
    assert (await pdns.ask("far-alias.lb.example")).addresses == (
        await pdns.ask("www.lb.example")
    ).addresses
    assert (await pdns.ask("x.wild.lb.example")).addresses == {"192.0.2.77"}
    assert (await pdns.ask("nope.lb.example")).rcode == "NXDOMAIN"
    referral = (await pdns.ask("x.sub.lb.example")).message
    assert [rrset.to_text().split()[-1] for rrset in referral.authority] == ["ns.sub.lb.example."]


def test_powerdns_asks_for_a_zone_by_type_in_all_that_is_shipped() -> None:
    root = SHIPPED.parent
    texts = {
        path: path.read_text() for path in [*SHIPPED.glob("*.conf"), *root.glob("configs/*/*")]
    }
    texts[root / "demo"] = POWERDNS
    asking = {
        path: text for path, text in texts.items() if re.search(r"launch=(remote|pipe)", text)
    }
    assert len(asking) >= 8
    assert [path for path, text in asking.items() if "consistent-backends=no\n" not in text] == []


async def test_powerdns_survives_a_daemon_that_does_not_move_under_load() -> None:
    async with Connectors() as connectors:
        conf = text("pdns-http.conf", port=connectors.port)
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
    return await queries_seen(pdns) > 500
