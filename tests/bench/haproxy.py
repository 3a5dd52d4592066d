"""HAProxy in the measurements of probes: as every target, and as a peer that checks them."""

import asyncio
from collections.abc import Iterator, Sequence

import trustme

from tests.rigs.ports import free_port
from tests.rigs.server import Server, executable

SITE = "www.lb.example"
ANSWER = 'http-request return status 200 content-type text/plain string "ok"'

HEAD = """
global
    nbthread 1
    maxconn 2000
    stats socket {directory}/stats
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
"""


class HAProxy(Server):
    """One process with one thread; `sections` follow its global settings."""

    name = "haproxy"

    def __init__(self, sections: str = "") -> None:
        super().__init__()
        self.sections = sections

    def command(self) -> list[str]:
        path = self.directory / "haproxy.cfg"
        path.write_text(HEAD.format(directory=self.directory) + self.sections)
        return [executable("haproxy"), "-db", "-f", str(path)]

    async def answers(self) -> bool:
        return (self.directory / "stats").is_socket()

    async def statuses(self) -> list[str]:
        """What it says of each server that it checks: `UP`, `DOWN 1/2`, …"""
        reader, writer = await asyncio.open_unix_connection(str(self.directory / "stats"))
        writer.write(b"show stat -1 4 -1\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        place = lines[0].split(",").index("status")
        return [line.split(",")[place] for line in lines[1:] if line]


class Targets(HAProxy):
    """Every address of 127.0.0.0/8 at once, healthy: `port` answers 200, `tls_port` over TLS."""

    def __init__(self) -> None:
        super().__init__()
        self.port, self.tls_port = free_port("127.0.0.1"), free_port("127.0.0.1")
        authority = trustme.CA()
        self.ca_file = self.directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        chain = self.directory / "site.pem"
        authority.issue_cert(SITE).private_key_and_cert_chain_pem.write_to_path(chain)
        self.sections = f"""
frontend targets
    bind 0.0.0.0:{self.port} backlog 8192
    bind 0.0.0.0:{self.tls_port} ssl crt {chain} backlog 8192
    {ANSWER}
"""


def checker(kind: str, addresses: Sequence[str], interval: float, targets: Targets) -> HAProxy:
    """HAProxy that checks these addresses every `interval` s: by `tcp`, `http` or `https`."""
    return HAProxy("\n".join(_backend(kind, addresses, interval, targets)) + "\n")


def _backend(
    kind: str, addresses: Sequence[str], interval: float, targets: Targets
) -> Iterator[str]:
    yield "backend checked"
    tls = ""
    if kind == "https":
        tls = f"check-ssl check-sni {SITE} verifyhost {SITE} verify required"
        tls = f"{tls} ca-file {targets.ca_file}"
    if kind != "tcp":
        yield "    option httpchk"
        yield f"    http-check send meth GET uri /health ver HTTP/1.1 hdr Host {SITE}"
    yield f"    default-server check inter {interval:g}s {tls}"
    port = targets.tls_port if tls else targets.port
    for number, address in enumerate(addresses):
        yield f"    server s{number} {address}:{port}"
