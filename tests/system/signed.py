"""A zone that is signed live, with all that a proof can be about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.rigs.daemon import Daemon, with_setting
from tests.rigs.dig import ask
from tests.rigs.powerdns import PowerDNS
from tests.rigs.validators import Anchor, anchors
from tests.rigs.waiting import until
from tests.system.serving import KEPT

ZONE = "lb.example"

FAULTY = "fault.example"
"""A zone with a name that has nothing, and one that nobody knows anything of."""

MODES = {"nsec": [], "nsec3": ["1 0 3 aabbccdd"], "narrow": ["1 0 0 -", "narrow"]}
"""How absence is proved, and what set-nsec3 is told for it."""

SIGNS = {"nsec": " IN NSEC ", "nsec3": " IN NSEC3 1 0 3 aabbccdd ", "narrow": " IN NSEC3 1 0 0 - "}
"""What the proofs of each can be known by."""

CONFIG = """
[global]
domain_name = "lb.example"

[zones."lb.example"]
ns  = ["ns1.lb.example."]
soa = { mname = "ns1.lb.example.", rname = "admin.lb.example.", minimum = 1, ttl = 1 }
static = [
  { name = "ns1", type = "A", content = "192.0.2.53" },
  { name = "*.wild", type = "A", content = "192.0.2.77" },
  { name = "Leaf.b.deep", type = "TXT", content = "x" },
  { name = "alias", type = "CNAME", content = "www.lb.example." },
  { name = "a\\\\.b", type = "A", content = "192.0.2.78" },
  { name = "\\\\000\\\\255z", type = "A", content = "192.0.2.79" },
  { name = "sub", type = "NS", content = "ns.deep.sub.lb.example." },
  { name = "ns.deep.sub", type = "A", content = "192.0.2.99" },
  { name = "subtle", type = "A", content = "192.0.2.80" },
  { name = "safe", type = "NS", content = "ns.deep.sub.lb.example." },
  { name = "safe", type = "DS", content = "1 13 2 %(digest)s" },
]

[default]
ttl = 1
interval = 0.2
timeout = 0.1
dns_timeout = 0.05
check = { type = "static", result = "pass" }

[records.www.A]
dest = ["127.0.0.1"]

[zones."plain.example"]
soa = { minimum = 60, ttl = 60 }
static = [
  { name = "*.wild", type = "A", content = "192.0.2.77" },
  { name = "leaf.b.deep", type = "TXT", content = "x" },
]

[zones."plain.example".records.none.A]
dest = ["127.0.0.1"]
check = { type = "static", result = "fail" }

[zones."fault.example"]
soa = { minimum = 1, ttl = 1 }

[zones."fault.example".records.none.A]
dest = ["127.0.0.1"]
check = { type = "static", result = "fail" }

[zones."fault.example".records.unknown.A]
dest = ["127.0.0.1"]
check = { type = "static", result = "fail" }
all_down = "servfail"
""".replace("%(digest)s", "ab" * 32)


@dataclass(frozen=True, slots=True)
class Signed:
    """The daemon, the server that signs, and what its keys are known by."""

    daemon: Daemon
    pdns: PowerDNS
    trusted: list[Anchor]

    async def prove_by(self, mode: str, zone: str = ZONE) -> None:
        """One of MODES from now on, while the server runs."""
        order = "set-nsec3" if MODES[mode] else "unset-nsec3"
        await self.util(order, zone, *MODES[mode])

        async def proved() -> bool:
            answer = await ask(self.pdns.address, f"no-such-name.{zone}", wants_proof=True)
            return any(SIGNS[mode] in rrset.to_text() for rrset in answer.message.authority)

        await until(proved, what=f"proofs by {mode}")

    async def util(self, *words: str) -> str:
        """What pdnsutil says, which must not be that it failed."""
        code, told = await self.pdns.util(*words)
        assert code == 0, told
        return told


@asynccontextmanager
async def signed(
    caches: str = "off",
    config: str = CONFIG,
    zone: str = ZONE,
    *,
    is_secured: bool = True,
    **settings: object,
) -> AsyncIterator[Signed]:
    """PowerDNS hears of new keys and metadata by being purged, whatever its caches.

    The zone has one key, unless `is_secured` is false.
    """
    daemon = Daemon(config := with_setting(config, "server", "http_keys", True))
    kept = KEPT if caches == "on" else {}
    pdns = daemon.powerdns(**{"remote_dnssec": "yes", "8bit_dns": "yes", **kept, **settings})
    daemon.configure(with_setting(config, "pdns", "control_socket", str(pdns.control_socket)))
    async with daemon, pdns:
        made = Signed(daemon, pdns, [])
        if is_secured:
            await made.util("secure-zone", zone)
            await shows(pdns, zone, "DNSKEY")
        yield Signed(daemon, pdns, await anchors(pdns, zone))


async def shows(pdns: PowerDNS, zone: str, type: str, count: int = 1) -> None:  # noqa: A002
    """Wait until so many records of a type stand at the apex: the purge has come through."""

    async def shown() -> bool:
        return len((await pdns.ask(zone, type)).contents) == count

    await until(shown, what=f"{count} {type} at {zone}")
