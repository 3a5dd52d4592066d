"""Answers that no cache holds: those that may not be cached, and floods of random names.

All take turns, as in versus.py. What is compared here is CPU time, that of the DNS server and
that of its backend, and how often the first asks the second.
"""

import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.contestants import (
    CACHES_OFF,
    CACHES_ON,
    SOA,
    Dest,
    Nothing,
    Settings,
    addresses,
    bind,
    configuration,
    gmysql_on,
    with_zone_file,
)
from tests.bench.load import full_speed, write_queries
from tests.pdns.serving import NAMES
from tests.pdns.shipped import text
from tests.rigs.daemon import Daemon
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.processes import processor_time, resident
from tests.rigs.server import Server, executable

WARM_UP = 0.5

FLOOD = 400_000
"""Random names in a turn: more than anyone of them that has a cache answers in it."""

YES: Settings = {"consistent-backends": "yes"}
NEAR = '[views.near]\nnetworks = ["127.0.0.0/8"]\n[views.far]\nnetworks = ["10.0.0.0/8"]\n'


class Turn(NamedTuple):
    """Queries a second; for each, lookups and the microseconds of the server and its backend."""

    rate: float
    lookups: float
    server: float
    backend: float


class Uncached(NamedTuple):
    """What one side did: its rate in each turn; for a query, the lookups that its backend counted
    and the microseconds of CPU of both; and the megabytes by which the DNS server grew in all.
    """

    name: str
    scene: str
    rates: list[float]
    lookups: float
    server: float
    backend: float
    megabytes: float

    @property
    def rate(self) -> float:
        return median(self.rates)

    def ratio(self, other: "Uncached") -> float:
        """The median of the ratios of each turn."""
        return median(mine / its for mine, its in zip(self.rates, other.rates, strict=True))


class GdnsdServer(Server):
    """gdnsd on a port of its own; the 200 names are `plugin` resources."""

    name = "gdnsd"

    def __init__(self, plugin: str) -> None:
        super().__init__()
        self.host, self.port = "127.0.0.1", free_port()
        self.plugin = plugin

    def command(self) -> list[str]:
        (zones := self.directory / "zones").mkdir(exist_ok=True)
        rows = "".join(f"n{number} 5 DYNA {self.plugin}!n{number}\n" for number in range(NAMES))
        (zones / "lb.example").write_text(f"@ 60 SOA {SOA}\n@ 60 NS ns1\nns1 60 A 1.2.3.4\n{rows}")
        folders = "".join(f"{each}_dir => {self.directory}/{each}\n" for each in ("run", "state"))
        resources = "".join(f"n{number} => {self._resource(number)}\n" for number in range(NAMES))
        (self.directory / "config").write_text(
            f"options => {{ listen => {self.host}:{self.port}\n{folders} }}\n"
            f"plugins => {{ {self.plugin} => {{ service_types => up\n{resources} }} }}\n"
        )
        return [executable("gdnsd"), "-c", str(self.directory), "start"]

    async def answers(self) -> bool:
        return "DNS listeners started" in self.latest_log

    def _resource(self, number: int) -> str:
        weight = self.plugin == "weighted"
        members = (
            f"m{place} => " + (f"[ {ip}, {place} ]" if weight else ip)
            for place, ip in enumerate(addresses(number), start=1)
        )
        return "{ " + ", ".join(members) + " }"


@dataclass(frozen=True, slots=True)
class Side:
    """A DNS server, and what it asks; None where that is itself."""

    server: PowerDNS | GdnsdServer
    backend: Server | None = None

    async def lookups(self) -> float:
        """Those that its backend counted so far."""
        if not isinstance(self.backend, Daemon):
            return 0
        _, shown = await self.backend.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(shown)
            if family.name == "dnslb_lookups"
            for sample in family.samples
        )


Open = Callable[[], AbstractAsyncContextManager[Side]]


# -- who takes part ---------------------------------------------------------------------


@asynccontextmanager
async def ours(
    shipped: str, settings: Settings, policy: str = "all", dest: Dest | None = None, more: str = ""
) -> AsyncIterator[Side]:
    pdns = PowerDNS(settings)
    path = f"{pdns.directory}/ours.sock"
    how = {"dest": dest} if dest else {}
    records = configuration(NAMES, path, str(pdns.control_socket), policy=policy, **how)
    async with Daemon(more + records) as daemon:
        port = int(daemon.http.rpartition(":")[2])
        is_http = shipped == "pdns-http.conf"
        pdns.conf = text(shipped, port=port) if is_http else text(shipped, path=path)
        async with pdns:
            yield Side(pdns, daemon)


def weighted(ip: str, place: int) -> str:
    return f'{{ host = "{ip}", weight = {place + 1} }}'


def viewed(ip: str, place: int) -> str:
    return f'{{ host = "{ip}", views = ["{"far" if place else "near"}"] }}'


@asynccontextmanager
async def nothing(settings: Settings) -> AsyncIterator[Side]:
    """A responder that knows no name, behind the same PowerDNS as ours."""
    async with Nothing(empty=True) as responder:
        pdns = PowerDNS(settings)
        pdns.conf = text("pdns-unix.conf", path=responder.path)
        async with pdns:
            yield Side(pdns, responder)


@asynccontextmanager
async def lua(function: str) -> AsyncIterator[Side]:
    """LUA records with shared state that choose one of three addresses; all caches on."""
    rows = ""
    for number in range(NAMES):
        weights = ", ".join(f"{{{n}, '{ip}'}}" for n, ip in enumerate(addresses(number), start=1))
        plain = ", ".join(f"'{ip}'" for ip in addresses(number))
        chosen = weights if function.startswith("pickw") else plain
        rows += f'n{number} 5 IN LUA A "{function}({{{chosen}}})"\n'
    async with with_zone_file(rows, {"enable-lua-records": "shared", **CACHES_ON}) as pdns:
        yield Side(pdns)


@asynccontextmanager
async def static(caches: Settings) -> AsyncIterator[Side]:
    async with bind(caches) as pdns:
        yield Side(pdns)


@asynccontextmanager
async def gmysql(caches: Settings) -> AsyncIterator[Side]:
    async with gmysql_on(16, caches) as (pdns, database):
        yield Side(pdns, database)


@asynccontextmanager
async def gdnsd(plugin: str) -> AsyncIterator[Side]:
    async with GdnsdServer(plugin) as server:
        yield Side(server)


UNIX, HTTP = "pdns-unix.conf", "pdns-http.conf"
WITH_YES = CACHES_ON | YES

POLICIES: dict[str, Open] = {
    "weighted, unix": lambda: ours(UNIX, CACHES_ON, "weighted", weighted),
    "weighted, unix, consistent=yes": lambda: ours(UNIX, WITH_YES, "weighted", weighted),
    "LUA pickwrandom": lambda: lua("pickwrandom"),
    "sticky, unix": lambda: ours(UNIX, CACHES_ON, "sticky", weighted),
    "sticky, unix, consistent=yes": lambda: ours(UNIX, WITH_YES, "sticky", weighted),
    "LUA pickwhashed": lambda: lua("pickwhashed"),
    "views, unix": lambda: ours(UNIX, CACHES_ON, "all", viewed, NEAR),
    "views, unix, consistent=yes": lambda: ours(UNIX, WITH_YES, "all", viewed, NEAR),
    "weighted, http": lambda: ours(HTTP, CACHES_ON, "weighted", weighted),
    "sticky, http": lambda: ours(HTTP, CACHES_ON, "sticky", weighted),
    "views, http": lambda: ours(HTTP, CACHES_ON, "all", viewed, NEAR),
    "gdnsd weighted": lambda: gdnsd("weighted"),
    "gdnsd multifo": lambda: gdnsd("multifo"),
}

FLOODS: dict[str, Open] = {
    "unix": lambda: ours(UNIX, CACHES_ON),
    "unix, does nothing": lambda: nothing(CACHES_ON),
    "bind": lambda: static(CACHES_ON),
    "unix, consistent=yes": lambda: ours(UNIX, WITH_YES),
    "unix, does nothing, consistent=yes": lambda: nothing(WITH_YES),
    "http": lambda: ours(HTTP, CACHES_ON),
    "gmysql": lambda: gmysql(CACHES_ON),
    "unix, caches off": lambda: ours(UNIX, CACHES_OFF),
    "gmysql, caches off": lambda: gmysql(CACHES_OFF),
    "bind, caches off": lambda: static(CACHES_OFF),
    "gdnsd": lambda: gdnsd("multifo"),
}


COMPARED = (
    ("weighted, unix", "weighted, unix, consistent=yes"),
    ("sticky, unix", "sticky, unix, consistent=yes"),
    ("views, unix", "views, unix, consistent=yes"),
    ("weighted, unix", "LUA pickwrandom"),
    ("sticky, unix", "LUA pickwhashed"),
    ("weighted, unix", "gdnsd weighted"),
    ("unix", "unix, does nothing"),
    ("unix, consistent=yes", "unix, does nothing, consistent=yes"),
    ("unix", "bind"),
    ("unix, consistent=yes", "bind"),
    ("unix", "gmysql"),
    ("unix, caches off", "gmysql, caches off"),
)


async def measure_policies(who: list[str], *, rounds: int, seconds: float) -> list[Uncached]:
    """The 200 names, where their answers may not be cached."""
    known = write_queries(Path(tempfile.mkdtemp(prefix="policies-")))
    return await _turns("policies", _chosen(POLICIES, who), known, lambda: known, rounds, seconds)


async def measure_floods(who: list[str], *, rounds: int, seconds: float) -> list[Uncached]:
    """Random names, each once."""
    directory = Path(tempfile.mkdtemp(prefix="floods-"))
    known = write_queries(directory)
    parties = _chosen(FLOODS, who)
    return await _turns("floods", parties, known, lambda: _random_names(directory), rounds, seconds)


def _chosen(parties: dict[str, Open], who: list[str]) -> dict[str, Open]:
    return {name: party for name, party in parties.items() if any(part in name for part in who)}


def _random_names(directory: Path) -> Path:
    path = directory / "random"
    path.write_text("".join(f"{secrets.token_hex(8)}.lb.example A\n" for _ in range(FLOOD)))
    return path


async def _turns(
    scene: str,
    parties: dict[str, Open],
    known: Path,
    queries: Callable[[], Path],
    rounds: int,
    seconds: float,
) -> list[Uncached]:
    found: dict[str, list[Turn]] = {name: [] for name in parties}
    grown = {}
    async with AsyncExitStack() as stack:
        sides = {name: await stack.enter_async_context(party()) for name, party in parties.items()}
        before = {name: resident(side.server.pid) for name, side in sides.items()}
        for _ in range(rounds):
            asked = queries()
            for name, side in sides.items():
                await full_speed(side.server, known, WARM_UP)
                found[name].append(await _turn(side, asked, seconds))
        for name, side in sides.items():
            grown[name] = resident(side.server.pid) - before[name]
    return [
        Uncached(
            name,
            scene,
            [turn.rate for turn in turns],
            median(turn.lookups for turn in turns),
            median(turn.server for turn in turns),
            median(turn.backend for turn in turns),
            grown[name],
        )
        for name, turns in found.items()
    ]


async def _turn(side: Side, queries: Path, seconds: float) -> Turn:
    pids = [side.server.pid, *([side.backend.pid] if side.backend else [])]
    lookups, cpu = await side.lookups(), [processor_time(pid) for pid in pids]
    run = await full_speed(side.server, queries, seconds)
    spent = [processor_time(pid) - earlier for pid, earlier in zip(pids, cpu, strict=True)]
    answered = run.sent - run.lost
    server, backend = (1e6 * each / answered for each in (*spent, 0.0)[:2])
    return Turn(run.rate, (await side.lookups() - lookups) / answered, server, backend)
