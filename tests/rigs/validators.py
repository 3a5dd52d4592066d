"""DNSSEC validators: delv for one query, unbound as a caching resolver."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.capture import capture
from tests.rigs.dig import Answer, ask
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import Server, executable

_DNSKEY = re.compile(r"^(?:CSK|KSK) DNSKEY = (\S+) IN DNSKEY (\d+) (\d+) (\d+) (\S+)", re.MULTILINE)
_DS = re.compile(r"^DS = \S+ IN DS (\d+ \d+ 2 \S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A trust anchor, or its DNSKEY record to publish elsewhere."""

    zone: str
    flags: str
    protocol: str
    algorithm: str
    key: str

    @property
    def rdata(self) -> str:
        return f"{self.flags} {self.protocol} {self.algorithm} {self.key}"


async def anchors(pdns: PowerDNS, zone: str) -> list[Anchor]:
    """The key-signing keys, as `pdnsutil show-zone` prints them."""
    code, output = await pdns.util("show-zone", zone)
    assert code == 0, output
    return [Anchor(*found) for found in _DNSKEY.findall(output)]


async def delegation_signers(pdns: PowerDNS, zone: str) -> list[str]:
    """For the parent: the contents of the DS records with SHA-256."""
    code, output = await pdns.util("show-zone", zone)
    assert code == 0, output
    return _DS.findall(output)


@dataclass(frozen=True, slots=True)
class Verdict:
    """delv's result for an answer; `outcome` is "found", "nodata", "nxdomain" or "failed"."""

    is_valid: bool
    outcome: str
    text: str

    def __str__(self) -> str:
        return f"{self.outcome}, {'valid' if self.is_valid else 'not valid'}:\n{self.text}"


async def delv(
    pdns: PowerDNS,
    trusted: Iterable[Anchor],
    name: str,
    type: str = "A",  # noqa: A002 - what DNS calls it
) -> Verdict:
    """Query a name server, and validate with the trust anchors `trusted`."""
    known = list(trusted)
    lines = "".join(
        f'{a.zone} static-key {a.flags} {a.protocol} {a.algorithm} "{a.key}";\n' for a in known
    )
    path = Path(pdns.directory) / "anchors"
    path.write_text(f"trust-anchors {{\n{lines}}};\n")
    _, output, _ = await capture(
        executable("delv"),
        *(f"@{pdns.host}", "-p", str(pdns.port), "-a", str(path), f"+root={known[0].zone}"),
        *(f"{name}.", type),
        merge=True,
    )
    text = output.decode()
    outcome = "found"
    if "ncache nxdomain" in text:
        outcome = "nxdomain"
    elif "ncache nxrrset" in text:
        outcome = "nodata"
    elif "resolution failed" in text:
        outcome = "failed"
    return Verdict("fully validated" in text, outcome, text)


class Unbound(Server):
    """A validating resolver with the name servers of these zones, and nothing else.

    Aggressive use of what it has cached (RFC 8198) is on: a wrong proof does its worst.
    """

    name = "unbound"

    def __init__(
        self,
        zones: Mapping[str, PowerDNS],
        trusted: Iterable[Anchor],
        *,
        source: str = "127.0.0.1",
    ) -> None:
        super().__init__()
        self.port = free_port()
        keys = "".join(f"{anchor.zone} DNSKEY {anchor.rdata}\n" for anchor in trusted)
        (self.directory / "anchors").write_text(keys)
        stubs = "".join(
            f'stub-zone:\n  name: "{zone}."\n  stub-addr: {pdns.host}@{pdns.port}\n'
            for zone, pdns in zones.items()
        )
        (self.directory / "unbound.conf").write_text(
            f"""
server:
  interface: 127.0.0.1@{self.port}
  outgoing-interface: {source}
  directory: "{self.directory}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  val-log-level: 2
  num-threads: 1
  module-config: "validator iterator"
  do-not-query-localhost: no
  do-ip6: no
  trust-anchor-file: "{self.directory}/anchors"
  aggressive-nsec: yes
  val-bogus-ttl: 0
  infra-host-ttl: 1
  cache-max-negative-ttl: 5
remote-control:
  control-enable: no
{stubs}"""
        )

    def command(self) -> list[str]:
        return [executable("unbound"), "-d", "-c", str(self.directory / "unbound.conf")]

    async def answers(self) -> bool:
        return "start of service" in self.latest_log

    async def ask(
        self,
        name: str,
        type: str = "A",  # noqa: A002 - what DNS calls it
    ) -> Answer:
        """SERVFAIL if the validation fails; "ad" in the flags if it succeeds."""
        return await ask(("127.0.0.1", self.port), name, type, wants_proof=True, timeout=5)
