"""A fleet: in each place a daemon, its PowerDNS and a member of Galera, asked all the time.

Targets are outside, at addresses of their own. `all` answers with every target that is well,
`first` with the first of them.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.chaos.load import Observed, asking
from tests.rigs.daemon import Daemon
from tests.rigs.galera import Galera, Member
from tests.rigs.places import Bridge, Place
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import passes, until
from tests.system.fleet_truth import NOERROR, Truth, seen
from tests.system.wall_clock import WallClock
from tests.system.writing import config, http, record, table

INTERVAL, TIMEOUT = 2.0, 1.5
FRESH, HOLD = 10, 30
EVERY = 0.02
"""Seconds between two questions for a name, at each node."""

NAMES = ("all.lb.example", "first.lb.example")
QUORUM: Mapping[str, object] = {"fresh": FRESH, "hold": HOLD}

STEADY = 60.0
"""Seconds within which a fleet is whole again on a busy machine: Galera joins, voters count."""


@dataclass(slots=True)
class Node:
    """A name server of the fleet."""

    name: str
    place: Place
    daemon: Daemon
    pdns: PowerDNS
    member: Member
    clock: WallClock
    observed: Observed = field(default_factory=Observed)
    excused: list[tuple[float, float]] = field(default_factory=list)
    """When its daemon was restarted: PowerDNS has nobody to ask then."""

    async def restart(self, config: str | None = None) -> None:
        """Restart the daemon, with another configuration if one is given."""
        if config is not None:
            self.daemon.configure(config)
        began = time.monotonic()
        await self.daemon.restart()
        self.excused.append((began, time.monotonic() + 1))

    def answers(self, name: str, wanted: frozenset[str], since: float) -> float | None:
        """When it answered so for the first time since then."""
        return seen(self.observed.changes, name, wanted, since)

    def latest(self, name: str) -> frozenset[str] | None:
        """Its last answer, None before the first and while it fails."""
        of_name = (change for change in reversed(self.observed.changes) if change.name == name)
        latest = next(of_name, None)
        return latest.addresses if latest is not None and latest.rcode == NOERROR else None

    @property
    def voters(self) -> set[str]:
        """The other nodes whose votes count here, as it last said."""
        found = re.findall(r"voters besides this node: (.*)", self.daemon.latest_log)
        return set(found[-1].split(", ")) - {"none"} if found else set()


@dataclass(slots=True)
class Fleet:
    """All that a scene may touch."""

    bridge: Bridge
    cluster: Galera
    nodes: Sequence[Node]
    targets: Sequence[HttpTarget]
    truth: Truth
    quorum: Mapping[str, object] | None

    def text(
        self, node: Node, *, name: str = "", timeout: float = TIMEOUT, votes: bool = True
    ) -> str:
        """The configuration of a node; without `votes` it has no [quorum]."""
        own, quorum = node.place.address, self.quorum if votes else None
        tables = [
            table(
                "mysql",
                host=[own, *self.bridge.others(node.place)] if quorum is not None else own,
                port=self.cluster.port,
                user="dnslb",
                database="fleet",
                connect_timeout=2,
            ),
            *(table(listener, allow=["100.64.0.0/10"]) for listener in ("server", "admin")),
            *([table("quorum", **quorum)] if quorum is not None else []),
        ]
        hosts = [target.host for target in self.targets]
        in_turn = [{"host": host, "prio": 9 - place} for place, host in enumerate(hosts)]
        check = http(self.targets[0].port)
        records = [
            record("all", dest=hosts, check=check),
            record("first", dest=in_turn, check=check),
        ]
        default = {"interval": INTERVAL, "timeout": timeout}
        return config(*tables, *records, default=default, node=name or node.name)

    async def fall_ill(self, target: HttpTarget) -> float:
        """The moment from which it refuses."""
        due = self.truth.now(self.truth.well - {target.host})
        await target.stop()
        return due

    async def recover(self, target: HttpTarget) -> float:
        await target.start()
        return self.truth.now(self.truth.well | {target.host})

    async def follow(self, nodes: Sequence[Node], due: float, within: float) -> list[list[float]]:
        """Wait until these answer what is true since `due`: for each name, how long each took."""
        return [
            [await self._followed(node, name, due, within) - due for node in nodes]
            for name in NAMES
        ]

    async def _followed(self, node: Node, name: str, due: float, within: float) -> float:
        wanted = self.truth.answer(name)
        at = await until(
            lambda: node.answers(name, wanted, due),
            within=within,
            what=f"{name} = {sorted(wanted)} at {node.name}",
        )
        assert at is not None
        return at

    async def steady(self) -> None:
        """Wait until all is whole: the cluster, the voters, and every answer."""
        await self.cluster.complete(within=STEADY)
        for node in self.nodes:
            others = {other.name for other in self.nodes if other is not node}
            voters = others if self.quorum is not None else set()
            await until(lambda: node.voters == voters, within=STEADY, what=f"voters of {node.name}")  # noqa: B023 - it is awaited here
            for name in NAMES:
                await until(
                    lambda: node.latest(name) == self.truth.answer(name),  # noqa: B023 - as above
                    within=STEADY,
                    what=f"{name} at {node.name}",
                )


async def watch(seconds: float) -> None:
    """Let the load ask for so long: what happens meanwhile is judged afterwards."""
    await passes(seconds)


@asynccontextmanager
async def fleet(
    bridge: Bridge, directory: Path, quorum: Mapping[str, object] | None = QUORUM
) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        places = [(place.address, place.inside) for place in bridge.places]
        cluster = await stack.enter_async_context(Galera(places))
        await _make_schema(cluster)
        port = free_port(*bridge.targets)
        targets = [
            await stack.enter_async_context(HttpTarget(host, port)) for host in bridge.targets
        ]
        truth = Truth(
            {
                "all.lb.example": lambda well: well,
                "first.lb.example": lambda well: frozenset(sorted(well)[:1]),
            }
        )
        truth.now(bridge.targets)
        nodes = [
            _node(number, place, member, directory)
            for number, (place, member) in enumerate(
                zip(bridge.places, cluster.members, strict=True), 1
            )
        ]
        stage = Fleet(bridge, cluster, nodes, targets, truth, quorum)
        for node in nodes:
            node.daemon.configure(stage.text(node))
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                group.create_task(stack.enter_async_context(node.daemon))
        for node in nodes:
            await stack.enter_async_context(node.pdns)
            rate = round(len(NAMES) / EVERY)
            await stack.enter_async_context(asking(node.pdns.address, rate, NAMES, node.observed))
        await stage.steady()
        yield stage


def _node(number: int, place: Place, member: Member, directory: Path) -> Node:
    folder = directory / f"ns{number}"
    folder.mkdir()
    clock = WallClock(folder)
    daemon = Daemon(
        config(), host=place.address, inside=place.inside, environment=clock.environment
    )
    remote = f"http:url=http://{daemon.http}/dns,timeout=2000"
    settings = {"launch": "remote", "remote-connection-string": remote}
    pdns = PowerDNS(settings, host=place.address, inside=place.inside)
    return Node(f"ns{number}", place, daemon, pdns, member, clock)


async def _make_schema(cluster: Galera) -> None:
    first = cluster.members[0]
    await first.query("CREATE DATABASE fleet")
    await first.query("CREATE USER dnslb@'%'")
    await first.query("GRANT ALL ON fleet.* TO dnslb@'%'")
    await apply(MysqlSettings(unix_socket=str(first.socket), user="root", database="fleet"))
