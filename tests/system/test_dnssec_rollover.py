"""Keys are replaced with pdnsutil, and a validating resolver never notices.

The parent zone is here as well: it holds the DS record, and its key is what the resolver trusts.
Every step waits for as long as caches may hold what was before it, as an operator has to.
"""

import asyncio
from itertools import count

from tests.rigs.daemon import with_setting
from tests.rigs.validators import Unbound, delegation_signers
from tests.rigs.waiting import passes, until
from tests.system.signed import Signed, shows, signed

PARENT, CHILD = "example", "lb.example"
TTL = 1.0
WAIT = TTL + 0.2
"""Seconds after which nobody has anything that was there before."""

CONFIG = """
[global]
domain_name = "lb.example"

[zones."lb.example"]
soa = { minimum = 1, ttl = 1 }
static = [ { name = "*.wild", type = "A", content = "192.0.2.77" } ]
"""

PARENT_CONFIG = """
[global]
domain_name = "example"

[zones.example]
soa = { minimum = 1, ttl = 1 }
static = [
  { name = "lb", type = "NS", content = "ns1.lb.example.", ttl = 1 },
  { name = "ns1.lb", type = "A", content = "127.0.0.1", ttl = 1 },
#DS
]
"""


class Watch:
    """Asks a validating resolver for names that it cannot know yet, all the time."""

    def __init__(self, unbound: Unbound) -> None:
        self._unbound = unbound
        self._numbers = count()
        self.asked = 0

    async def run(self) -> None:
        while True:
            await self.look()

    async def look(self) -> None:
        number = next(self._numbers)
        for name, rcode in ((f"x{number}.wild", "NOERROR"), (f"x{number}", "NXDOMAIN")):
            answer = await self._unbound.ask(f"{name}.{CHILD}")
            assert (answer.rcode, "ad" in answer.flags) == (rcode, True), (
                f"{answer.message}\n{self._unbound.log_tail}"
            )
            self.asked += 1
        # A few dozen a second are enough to meet every moment of a rollover.
        await passes(0.02)


async def add(made: Signed, *words: str) -> str:
    """The number of a new key."""
    return (await made.util("add-zone-key", CHILD, *words, "ecdsa256")).split()[-1]


async def entrust(parent: Signed, signer: str) -> None:
    """The parent has just this DS record from now on."""
    row = f'  {{ name = "lb", type = "DS", content = "{signer}", ttl = 1 }},'
    config = PARENT_CONFIG.replace("#DS", row)
    parent.daemon.configure(with_setting(config, "server", "http_keys", True))
    parent.daemon.reload()

    async def entrusted() -> bool:
        answer = await parent.pdns.ask(CHILD, "DS")
        return [content.lower() for content in answer.contents] == [signer]

    await until(entrusted, what="the DS record")


async def test_rollovers_are_not_noticed() -> None:
    async with (
        signed("off", PARENT_CONFIG, PARENT) as parent,
        signed("on", CONFIG, CHILD, is_secured=False) as made,
    ):
        old_ksk = await add(made, "ksk", "active")
        old_zsk = await add(made, "zsk", "active")
        await shows(made.pdns, CHILD, "DNSKEY", 2)
        (old_signer,) = await delegation_signers(made.pdns, CHILD)
        await entrust(parent, old_signer)
        servers = {PARENT: parent.pdns, CHILD: made.pdns}
        async with Unbound(servers, parent.trusted) as unbound:
            watch = Watch(unbound)
            await watch.look()
            watching = asyncio.create_task(watch.run())

            # The key of the zone: published before it signs (RFC 6781, section 4.1.1.1).
            new_zsk = await add(made, "zsk", "inactive")
            await shows(made.pdns, CHILD, "DNSKEY", 3)
            await passes(WAIT)
            await made.util("activate-zone-key", CHILD, new_zsk)
            await made.util("deactivate-zone-key", CHILD, old_zsk)
            await passes(WAIT)
            await made.util("remove-zone-key", CHILD, old_zsk)
            await shows(made.pdns, CHILD, "DNSKEY", 2)
            await passes(WAIT)

            # The key of the keys: both sign until the parent refers to the new one (4.1.2).
            new_ksk = await add(made, "ksk", "active")
            await shows(made.pdns, CHILD, "DNSKEY", 3)
            await passes(WAIT)
            signers = await delegation_signers(made.pdns, CHILD)
            (new_signer,) = (signer for signer in signers if signer != old_signer)
            await entrust(parent, new_signer)
            await passes(WAIT)
            await made.util("remove-zone-key", CHILD, old_ksk)
            await shows(made.pdns, CHILD, "DNSKEY", 2)
            await passes(WAIT)

            assert not watching.done(), watching.exception()
            watching.cancel()
            assert watch.asked > 50
            keys = await made.util("list-keys", CHILD)
            assert new_ksk in keys
            assert new_zsk in keys
            assert old_ksk not in keys
            assert old_zsk not in keys
