"""What is compared: PowerDNS with one backend after another, each with the same 200 names."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pdns.served import ROOT
from tests.pdns.serving import NAMES
from tests.pdns.shipped import text
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import Server

Settings = dict[str, str | int]

CACHES_ON: Settings = {"cache-ttl": 60, "query-cache-ttl": 60, "negquery-cache-ttl": 60}
CACHES_OFF: Settings = {"cache-ttl": 0, "query-cache-ttl": 0, "negquery-cache-ttl": 0}

SCHEMA = Path("/usr/share/pdns-backend-mysql/schema/schema.mysql.sql")
SOA = "ns1.lb.example. hostmaster.lb.example. 1 7200 3600 1209600 5"

Open = Callable[[], AbstractAsyncContextManager[PowerDNS]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One set-up; `kind` is the question of the benchmark that it belongs to."""

    name: str
    kind: str
    open: Open


def addresses(number: int) -> list[str]:
    return [f"10.1.{number}.{last}" for last in (1, 2, 3)]


# -- (a) the ceiling --------------------------------------------------------------------


@asynccontextmanager
async def bind(caches: Settings) -> AsyncIterator[PowerDNS]:
    """Static zones from a file: what PowerDNS can do at all."""
    rows = (f"n{number} 5 IN A {ip}\n" for number in range(NAMES) for ip in addresses(number))
    async with with_zone_file("".join(rows), caches) as pdns:
        yield pdns


@asynccontextmanager
async def with_zone_file(rows: str, settings: Settings) -> AsyncIterator[PowerDNS]:
    pdns = PowerDNS({"launch": "bind", **settings})
    zone, conf = pdns.directory / "zone", pdns.directory / "named.conf"
    zone.write_text(f"$ORIGIN lb.example.\n@ 60 IN SOA {SOA}\n@ 60 IN NS ns1\n{rows}")
    conf.write_text(f'zone "lb.example" {{ type master; file "{zone}"; }};\n')
    pdns.settings["bind-config"] = str(conf)
    async with pdns:
        yield pdns


# -- (b) what a user would pick instead -------------------------------------------------


@asynccontextmanager
async def gmysql(threads: int) -> AsyncIterator[PowerDNS]:
    """Rows in MariaDB, and no caches."""
    async with gmysql_on(threads, CACHES_OFF) as (pdns, _):
        yield pdns


@asynccontextmanager
async def gmysql_on(threads: int, caches: Settings) -> AsyncIterator[tuple[PowerDNS, MariaDB]]:
    """Rows in MariaDB, with the columns that dnslb added to the tables of PowerDNS."""
    async with MariaDB(options=["--innodb-buffer-pool-size=256M"]) as database:
        await database.query("create database pdns")
        async with database.connection("pdns") as connection, connection.cursor() as cursor:
            for statement in schema():
                await cursor.execute(statement)
            await cursor.execute(
                "alter table records add last_lb_check int, add last_lb_check_result int"
            )
            await cursor.execute("insert into domains (name, type) values ('lb.example', 'NATIVE')")
            await cursor.executemany(
                "insert into records (domain_id, name, type, content, ttl, prio, auth,"
                " last_lb_check, last_lb_check_result) values (1, %s, %s, %s, 5, 1, 1, 1, 0)",
                [("lb.example", "SOA", SOA), ("lb.example", "NS", "ns1.lb.example")]
                + [
                    (f"n{number}.lb.example", "A", ip)
                    for number in range(NAMES)
                    for ip in addresses(number)
                ],
            )
        settings: Settings = {
            "launch": "gmysql",
            "gmysql-socket": str(database.socket),
            "gmysql-user": "root",
            "gmysql-dbname": "pdns",
            "distributor-threads": threads,
        }
        async with PowerDNS({**settings, **caches}) as pdns:
            yield pdns, database


@asynccontextmanager
async def lua(mode: str) -> AsyncIterator[PowerDNS]:
    """LUA records that look whether a port is open; `mode` is yes or shared."""

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    # All of 127.0.0.0/8 is this host, so that every target is up.
    targets = await asyncio.start_server(accept, "0.0.0.0", 0)
    port = targets.sockets[0].getsockname()[1]

    def row(number: int) -> str:
        ips = ", ".join(f"'127.1.{number}.{last}'" for last in (1, 2, 3))
        return f"n{number} 5 IN LUA A \"ifportup({port}, {{{ips}}}, {{selector='all'}})\"\n"

    rows = "".join(row(number) for number in range(NAMES))
    async with targets, with_zone_file(rows, {"enable-lua-records": mode, **CACHES_OFF}) as pdns:
        yield pdns


def schema() -> list[str]:
    """The tables of PowerDNS, as its package creates them."""
    return [part for part in SCHEMA.read_text().split(";") if part.strip()]


# -- (c) ours ---------------------------------------------------------------------------


Dest = Callable[[str, int], str]
"""The TOML of a destination, from its address and its place in the record."""


def configuration(
    records: int,
    path: str = "",
    control_socket: str = "",
    *,
    policy: str = "all",
    dest: Dest = lambda ip, _: f'"{ip}"',
) -> str:
    """A dnslb.toml with so many records, whose checks ask nobody."""
    lines = [
        '[global]\ndomain_name = "lb.example"\nmax_record_checks = 1000',
        "[default]\nttl = 5\ninterval = 60\ntimeout = 2\ndns_timeout = 1",
        'check = { type = "static" }',
        f'[server]\nunix = "{path}"',
    ]
    if control_socket:
        lines.append(f'[pdns]\ncontrol_socket = "{control_socket}"')
    for number in range(records):
        ips = (f"10.{number >> 8 & 255}.{number & 255}.{last}" for last in (1, 2, 3))
        dests = ", ".join(dest(ip, place) for place, ip in enumerate(ips))
        lines.append(f'[records."n{number}".A]\npolicy = "{policy}"\ndest = [{dests}]')
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def ours(shipped: str, caches: Settings) -> AsyncIterator[PowerDNS]:
    """The daemon behind a configuration of pdns/; with caches it keeps them coherent."""
    pdns = PowerDNS(caches)
    control_socket = str(pdns.control_socket) if caches == CACHES_ON else ""
    path = f"{pdns.directory}/ours.sock"
    async with Daemon(configuration(NAMES, path, control_socket)) as daemon:
        port = int(daemon.http.rpartition(":")[2])
        is_http = shipped == "pdns-http.conf"
        pdns.conf = text(shipped, port=port) if is_http else text(shipped, path=path)
        async with pdns:
            yield pdns


# -- the same with a responder that does nothing ----------------------------------------


class Nothing(Server):
    """tests.bench.responders in a process of its own; `empty`: it knows no name but the zone's."""

    name = "nothing"

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__(environment={"PYTHONPATH": str(ROOT)})
        self.more = ["--empty"] if empty else []
        self.port = free_port()
        self.path = f"{self.directory}/nothing.sock"

    def command(self) -> list[str]:
        where = ["--http", str(self.port), "--unix", self.path, *self.more]
        return [sys.executable, "-m", "tests.bench.responders", *where]

    async def answers(self) -> bool:
        return "serving" in self.latest_log


@asynccontextmanager
async def nothing(kind: str) -> AsyncIterator[PowerDNS]:
    async with Nothing() as responder:
        pdns = PowerDNS(CACHES_OFF)
        pdns.conf = (
            text("pdns-http.conf", port=responder.port)
            if kind == "http"
            else text("pdns-unix.conf", path=responder.path)
        )
        async with pdns:
            yield pdns


# Those that are compared with each other stand side by side, and so run in the same weather.
CONTESTANTS = [
    Contestant("bind, caches off", "ceiling", lambda: bind(CACHES_OFF)),
    Contestant("http, coherent", "ours", lambda: ours("pdns-http.conf", CACHES_ON)),
    Contestant("bind, caches on", "ceiling", lambda: bind(CACHES_ON)),
    Contestant("unix, coherent", "ours", lambda: ours("pdns-unix.conf", CACHES_ON)),
    Contestant("pipe, coherent", "ours", lambda: ours("pdns-pipe.conf", CACHES_ON)),
    Contestant("LUA ifportup", "instead", lambda: lua("yes")),
    Contestant("LUA ifportup, shared", "instead", lambda: lua("shared")),
    Contestant("gmysql, 16 threads", "instead", lambda: gmysql(16)),
    Contestant("gmysql, 3 threads", "instead", lambda: gmysql(3)),
    Contestant("http, caches off", "ours", lambda: ours("pdns-http.conf", CACHES_OFF)),
    Contestant("http, does nothing", "nothing", lambda: nothing("http")),
    Contestant("unix, caches off", "ours", lambda: ours("pdns-unix.conf", CACHES_OFF)),
    Contestant("unix, does nothing", "nothing", lambda: nothing("unix")),
    Contestant("pipe, caches off", "ours", lambda: ours("pdns-pipe.conf", CACHES_OFF)),
    Contestant(
        "launch=pipe, caches off", "ours", lambda: ours("pdns-launch-pipe.conf", CACHES_OFF)
    ),
]
