"""A daemon behind a real pdns_server, whose caches are off or kept coherent by purges.

Clients are told apart by their own address or by the client subnet they send along. Everything
in 127.0.0.0/8 is at hand as the source of a question.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import dns.asyncquery
import dns.edns
import dns.message

from tests.rigs.daemon import Daemon, with_setting
from tests.rigs.dig import Answer, read
from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import until

KEPT = {"cache_ttl": 60, "query_cache_ttl": 60, "negquery_cache_ttl": 60}
"""Longer than any test: what is cached wrongly stays wrong."""

CACHES = ("off", "on")


@dataclass(frozen=True, slots=True)
class Serving:
    """What a test asks, and what answers."""

    daemon: Daemon
    pdns: PowerDNS

    async def ask(
        self,
        name: str,
        type: str = "A",  # noqa: A002 - what DNS calls it
        *,
        source: str | None = None,
        ecs: str = "",
        edns: bool = True,
        tcp: bool = False,
    ) -> Answer:
        """Ask for a name of lb.example, from the address `source`, on behalf of `ecs`."""
        options = [dns.edns.ECSOption.from_text(ecs)] if ecs else []
        full = f"{name}.lb.example".removeprefix("@.")
        query = dns.message.make_query(full, type, use_edns=edns, options=options)
        exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return read(
            await exchange(query, self.pdns.host, timeout=5, port=self.pdns.port, source=source)
        )

    async def follows(self, name: str, addresses: set[str], *, source: str | None = None) -> Answer:
        """Ask until the answer holds exactly `addresses`, and return that answer."""

        async def followed() -> Answer | None:
            answer = await self.ask(name, source=source)
            return answer if answer.addresses == addresses else None

        answer = await until(followed, what=f"{name} = {sorted(addresses)}")
        assert answer is not None
        return answer


@asynccontextmanager
async def serving(config: str, caches: str = "on", **settings: object) -> AsyncIterator[Serving]:
    """The daemon with `config`; caches that are on are purged over the control socket."""
    daemon = Daemon(config, ready=False)
    kept = KEPT if caches == "on" else {}
    pdns = daemon.powerdns(**{"edns_subnet_processing": "yes", **kept, **settings})
    if caches == "on":
        daemon.configure(with_setting(config, "pdns", "control_socket", str(pdns.control_socket)))
    async with daemon, pdns:
        # A thousand members on a busy machine take their time.
        await daemon.ready(within=45)
        yield Serving(daemon, pdns)
