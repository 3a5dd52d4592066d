"""A secondary: Knot DNS, which transfers a zone after a NOTIFY."""

from collections.abc import Sequence
from typing import ClassVar

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from tests.rigs.dig import Answer, ask
from tests.rigs.ports import free_port
from tests.rigs.server import Server, executable

CONFIGURATION = """
server:
  rundir: "{directory}"
  listen: "{host}@{port}"
  tcp-workers: 1
  udp-workers: 1
  background-workers: 1
database:
  storage: "{directory}"
log:
  - target: stderr
    any: info
remote:
  - id: primary
    address: "{primary}"
acl:
  - id: notify
    address: "{primary_host}"
    action: notify
  - id: anybody
    address: "127.0.0.0/8"
    action: transfer
template:
  - id: default
    storage: "{directory}"
    master: primary
    acl: [notify, anybody]
    zonefile-load: none
    zonefile-sync: -1
    journal-content: none
    semantic-checks: {checks}
zone:
{zones}
"""


class Secondary(Server):
    """knotd on a free port, secondary of `zones` at a primary that may be started later.

    It has nothing but what it was given in transfers, and forgets that when it ends. Unless
    `checks` are on, it takes zones that no careful operator would write.
    """

    name: ClassVar[str] = "knot"

    def __init__(self, zones: Sequence[str], *, checks: bool = False) -> None:
        super().__init__()
        self.zones = list(zones)
        self.host = "127.0.0.1"
        self.port = free_port(self.host)
        self.checks = checks
        self.primary = ("127.0.0.1", 53)

    @property
    def address(self) -> str:
        """As PowerDNS writes it in also-notify."""
        return f"{self.host}:{self.port}"

    def command(self) -> list[str]:
        host, port = self.primary
        text = CONFIGURATION.format(
            directory=self.directory,
            host=self.host,
            port=self.port,
            primary=f"{host}@{port}",
            primary_host=host,
            checks="on" if self.checks else "off",
            zones="".join(f"  - domain: {zone}\n" for zone in self.zones),
        )
        path = self.directory / "knot.conf"
        path.write_text(text)
        return [executable("knotd"), "--config", str(path)]

    async def answers(self) -> bool:
        """It answers SERVFAIL for a zone that it has not transferred yet."""
        try:
            query = dns.message.make_query(self.zones[0], "SOA")
            await dns.asyncquery.udp(query, self.host, timeout=1, port=self.port)
        except (OSError, dns.exception.Timeout):
            return False
        return True

    async def ask(
        self,
        name: str,
        type: str = "A",  # noqa: A002 - what DNS calls it
    ) -> Answer:
        return await ask((self.host, self.port), name, type, tcp=True)

    async def has(self, zone: str) -> bool:
        """Whether it has transferred a zone."""
        return (await self.ask(zone, "SOA")).rcode == "NOERROR"
