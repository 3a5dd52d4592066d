"""What the chaos run plays on: one daemon with PowerDNS and MariaDB, targets, and a load."""

import asyncio
import itertools
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.chaos.load import Observed, asking, helper
from tests.chaos.victims import Victim
from tests.rigs.daemon import ROOT, Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.nameserver import NameServer
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.system.scripts import Scripts
from tests.system.writing import config, http, record, table

ZONE = "lb.example"
HEALTHY = [f"127.0.1.{number}" for number in range(1, 51)]
VICTIMS = [f"127.0.2.{number}" for number in range(1, 11)]
RESOLVER = "127.0.3.53"
MANY = "many.targets.example"
INTERVAL, TIMEOUT = 1.0, 1.5
RATE = 2000
CACHES = {"cache-ttl": 60, "query-cache-ttl": 60, "negquery-cache-ttl": 60}
"""They stay on, and are purged: the second way of the shipped configuration."""
TOKEN = "operate-chaos-0123456789"


@dataclass(slots=True)
class Stage:
    """All that scenes may touch. `chance` is seeded; `excused` are spans of stops and stalls."""

    daemon: Daemon
    pdns: PowerDNS
    database: MariaDB
    resolver: NameServer
    scripts: Scripts
    victims: list[Victim]
    directory: Path
    chance: random.Random
    observed: Observed = field(default_factory=Observed)
    excused: list[tuple[float, float]] = field(default_factory=list)
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever stops or stalls the daemon."""
    outage: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever stops or stalls MariaDB, or ends its connections."""
    files: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever makes the configuration one that no daemon starts with, and by who starts."""
    variants: Iterator[int] = field(default_factory=itertools.count)
    played: list[str] = field(default_factory=list)

    @property
    def drop_ins(self) -> Path:
        return self.directory / "records.d"

    @property
    def unix(self) -> str:
        return str(self.directory / "pdns.sock")

    @contextmanager
    def excuse(self, afterwards: float) -> Iterator[None]:
        """The daemon does not answer meanwhile, nor needs to for so many seconds more."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.excused.append((began - 0.5, time.monotonic() + afterwards))

    def is_excused(self, moment: float) -> bool:
        return any(began <= moment <= ended for began, ended in self.excused)

    def text(self, extra: str = "") -> str:
        """The configuration; `extra` is one record that comes and goes."""
        return _text(self, extra)


def healthy_records(port: int, scripts: Scripts, directory: Path) -> list[str]:
    """Ten records of five targets each, checked in five ways."""
    http_check = http(port)
    tcp = {"type": "tcp", "port": port}
    file = {"type": "file", "path": str(directory / "well"), "expect": "well"}
    both = {"type": "http", "url": f"http://%(address)s:{port}/", "body": "^ok"}
    command: object = {"type": "exec", "argv": scripts.argv, "expect": "OK"}
    checks = [http_check, http_check, http_check, http_check, tcp, tcp, file, both, both, command]
    return [
        record(f"h{number}", dest=HEALTHY[5 * number : 5 * number + 5], check=check)
        for number, check in enumerate(checks)
    ]


def weighted_records(port: int) -> list[str]:
    """Two records whose answers PowerDNS may not cache: each question is one for the daemon."""
    return [
        record(f"w{n}", dest=HEALTHY[5 * n : 5 * n + 5], check=http(port), policy="weighted")
        for n in range(2)
    ]


def _text(stage: Stage, extra: str) -> str:
    directory, scripts, port = stage.directory, stage.scripts, stage.victims[0].port
    records = healthy_records(port, scripts, directory) + weighted_records(port)
    # Each victim's record has one healthy target beside it.
    records += [
        record(f"v{n}", dest=[HEALTHY[n], victim], check=http(port))
        for n, victim in enumerate(VICTIMS)
    ]
    records.append(record("many", dest=[MANY], check={"type": "tcp", "port": port}))
    records.append(
        record("scripts", dest=["192.0.2.1", "192.0.2.2"], check=scripts.argv, all_down="all")
    )
    records.append(record("spare", dest=["192.0.2.9", "192.0.2.8"], check={"type": "static"}))
    tables = [
        table(
            "mysql",
            unix_socket=str(stage.database.socket),
            user="root",
            database="mirror",
            connect_timeout=2,
        ),
        table("server", unix=stage.unix),
        table("pdns", control_socket=str(stage.pdns.control_socket)),
        table("admin", token_file=str(directory / "tokens")),
    ]
    default = {"ttl": 5, "interval": INTERVAL, "timeout": TIMEOUT, "dns_timeout": 0.5}
    drop_ins = [str(directory / "records.d" / "*.toml")]
    return config(*tables, *records, extra, default=default, load_records=drop_ins)


@asynccontextmanager
async def staged(directory: Path, chance: random.Random) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        port = free_port(*VICTIMS, *HEALTHY)
        (directory / "well").write_text("well")
        (directory / "records.d").mkdir()
        tokens = directory / "tokens"
        tokens.write_text(f"operate {TOKEN} chaos\n")
        tokens.chmod(0o600)
        scripts = Scripts(directory / "checks")
        for address in [*HEALTHY, "192.0.2.1", "192.0.2.2"]:
            scripts.say(address, "OK")
        resolver = await stack.enter_async_context(NameServer(RESOLVER))
        resolver.addresses[MANY] = HEALTHY[:2]
        resolv_conf = directory / "resolv.conf"
        resolv_conf.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
        database = await stack.enter_async_context(MariaDB())
        await database.query("CREATE DATABASE mirror")
        settings = MysqlSettings(unix_socket=str(database.socket), user="root", database="mirror")
        await apply(settings)
        victims = [await stack.enter_async_context(Victim(address, port)) for address in VICTIMS]
        await stack.enter_async_context(
            helper(["tests.chaos.healthy", str(port), *HEALTHY], wait_for=b"ready\n")
        )
        mount = f'mount --bind {resolv_conf} /etc/resolv.conf && exec "$@"'
        daemon = Daemon(config(), inside=["unshare", "--mount", "sh", "-c", mount, "sh"])
        shipped = (ROOT / "pdns" / "pdns-unix.conf").read_text()
        remote = f"unix:path={directory / 'pdns.sock'}"
        pdns = PowerDNS({"remote-connection-string": remote, **CACHES}, conf=shipped)
        stage = Stage(daemon, pdns, database, resolver, scripts, victims, directory, chance)
        daemon.configure(stage.text())
        await stack.enter_async_context(daemon)
        await stack.enter_async_context(pdns)
        numbered = [(kind, number) for kind in "hv" for number in range(10)]
        names = [f"{kind}{number}.{ZONE}" for kind, number in [*numbered, ("w", 0), ("w", 1)]]
        await stack.enter_async_context(asking(pdns.address, RATE, names, stage.observed))
        yield stage


async def connect(address: str) -> socket.socket:
    """A connection to HOST:PORT, or to a unix socket by its path."""
    host, _, port = address.rpartition(":")
    family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET
    sock = socket.socket(family)
    sock.setblocking(False)
    where: object = address if family == socket.AF_UNIX else (host, int(port))
    try:
        await asyncio.get_running_loop().sock_connect(sock, where)  # type: ignore[arg-type]
    except OSError:
        sock.close()
        raise
    return sock
