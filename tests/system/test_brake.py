"""Whose network failed: the node's own, which moves no answer, or that of a data centre."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cli.command import run_afresh
from tests.pdns.transports import unix_settings
from tests.rigs.daemon import Daemon
from tests.rigs.namespaces import Namespace
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until
from tests.system.serving import Serving
from tests.system.writing import config, record, table

EAST, WEST = "192.0.2.1", "192.0.2.2"
CUT = 4
"""Seconds for which the network is cut: several rounds."""

QUICK = {"interval": 1, "timeout": 0.6, "dns_timeout": 0.2}


@dataclass(frozen=True, slots=True)
class Site:
    """A node in a network of its own; two data centres and a canary outside."""

    node: Namespace
    served: Serving
    east: HttpTarget
    west: HttpTarget

    async def status(self) -> Any:
        """What an operator sees who is logged in on the node itself."""
        arguments = ("status", "--json", "-c", str(self.served.daemon.config_file))
        return json.loads((await run_afresh(*arguments, inside=self.node.inside)).out)

    async def page(self) -> str:
        arguments = ("status", "-c", str(self.served.daemon.config_file))
        return (await run_afresh(*arguments, inside=self.node.inside)).out

    async def health(self) -> set[str]:
        return {member["health"] for member in (await self.status())["members"]}


@pytest.fixture
async def site(namespace: Namespace) -> AsyncIterator[Site]:
    outer = namespace.outer
    async with HttpTarget(outer) as east, HttpTarget(outer) as west, HttpTarget(outer) as canary:
        places = ((EAST, east), (WEST, west))
        text = config(
            record(
                "www",
                dest=[
                    {"host": content, "check_address": outer, "check_port": target.port}
                    for content, target in places
                ],
                check={"type": "http", "url": "http://%(address)s/"},
            ),
            table("brake", canaries=[canary.address], hold=60),
            default=QUICK,
        )
        daemon = Daemon(text, ready=False, host=namespace.inner, inside=namespace.inside)
        path = str(daemon.directory / "pdns.sock")
        allowed = [f"{outer}/32", f"{namespace.inner}/32"]
        tables = table("server", unix=path, allow=allowed) + table("admin", allow=allowed)
        daemon.configure(text + tables)
        async with daemon:
            await daemon.ready()
            # Over its socket: what happens to the network does not come between the two.
            async with PowerDNS({**unix_settings(path), "cache-ttl": 0}) as pdns:
                yield Site(namespace, Serving(daemon, pdns), east, west)


async def test_the_nodes_own_network_is_cut_and_comes_back(site: Site) -> None:
    daemon = site.served.daemon
    await site.served.follows("www", {EAST, WEST})
    site.node.cut()
    told = await daemon.logged("no canary answers: our own network may be down")
    assert "holding" in told

    async def both_are_held() -> bool:
        return bool((await site.status())["details"]["brake"]["held"] == 2)

    await until(both_are_held, what="both members held")
    # Probes go on failing for a few seconds more, and nothing moves.
    while (await site.status())["details"]["brake"]["silent_for"] < CUT:
        assert await site.health() == {"UP"}
        assert (await site.served.ask("www")).addresses == {EAST, WEST}
    assert "2 DOWN held" in await site.page()
    site.node.heal()
    await daemon.logged("canaries answer again")

    async def is_released() -> bool:
        status = await site.status()
        return "brake" not in status["details"] and {m["health"] for m in status["members"]} == {
            "UP"
        }

    await until(is_released, what="nothing held any more")
    assert (await site.served.ask("www")).addresses == {EAST, WEST}
    assert "UP -> DOWN" not in daemon.log


async def test_a_data_centre_is_lost_while_a_canary_answers(site: Site) -> None:
    await site.served.follows("www", {EAST, WEST})
    await site.east.stop()
    await site.served.follows("www", {WEST})
    assert "no canary answers" not in site.served.daemon.log
