"""Every alert rule fires in its fault: real daemons that suffer it, a real Prometheus that looks.

The expressions are those that are shipped; only their waiting times are cut to nothing.
"""

import asyncio
import itertools
import re
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.schema import VERSION
from dnslb_backend.store.settings import MysqlSettings
from tests.admin.node import OPERATE_TOKEN, TOKENS
from tests.admin.prometheus import Prometheus
from tests.admin.test_monitoring import RULES
from tests.checkers.conftest import Authority
from tests.checkers.schedule.test_brake import silent
from tests.checkers.servers import ScriptedServer, hang
from tests.rigs import namespaces
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.nameserver import NameServer
from tests.rigs.ports import free_port
from tests.rigs.server import executable
from tests.rigs.targets import TcpTarget
from tests.rigs.waiting import passes, until
from tests.system.wall_clock import WallClock
from tests.system.writing import config, record, table

WITHIN = 20.0
"""Seconds until an alert must fire: a rate needs two scrapes that differ."""

HOST = "web.targets.example"
STATIC = {"type": "static"}
VOTERS = ("v1", "v2", "v3")
FLOCK = [f"127.0.1.{number}" for number in range(1, 61)]
WIDE = [f"10.1.{number >> 8}.{number & 255}" for number in range(2000)]
"""So many members that a lookup takes long: whoever stops the daemon meets it in one."""


@dataclass
class Stage:
    """Daemons that are well at first, what they depend on, and the Prometheus that scrapes them.

    `well` stays so. `farm` has targets and checks that can fail, `node` can be starved, `mortal`
    can be killed, `edge` depends on PowerDNS, MariaDB and canaries. `named` depends on a
    resolver; it is missing where no network namespace can be made for it.
    """

    folder: Path
    flock: TcpTarget
    pet: TcpTarget
    old: ScriptedServer
    ca_file: str
    mariadb: MariaDB
    clock: WallClock
    well: Daemon
    farm: Daemon
    node: Daemon
    mortal: Daemon
    edge: Daemon
    named: Daemon | None
    resolver: NameServer | None
    voters: list[Daemon]
    prometheus: Prometheus
    staged: dict[str, Daemon] = field(default_factory=dict)

    async def suffer(self, fault: "Fault") -> Daemon:
        """Who suffers it; a fault that shows in several ways is staged once."""
        name = fault.__name__
        if name not in self.staged:
            self.staged[name] = await fault(self)
        return self.staged[name]


Fault = Callable[[Stage], Coroutine[Any, Any, Daemon]]


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("alerts")
    clock = WallClock(folder, monotonic=True)
    (folder / "tokens").write_text(TOKENS)
    (folder / "tokens").chmod(0o640)
    shutil.copy(executable("true"), folder / "check")
    async with AsyncExitStack() as stack:
        flock = await stack.enter_async_context(TcpTarget("0.0.0.0"))
        pet = await stack.enter_async_context(TcpTarget())
        authority = Authority(trustme.CA(), folder)
        tls = authority.server(HOST, days=3)
        old = await stack.enter_async_context(ScriptedServer(hang, tls=tls))
        mariadb = await stack.enter_async_context(MariaDB())
        await mariadb.query("CREATE DATABASE mirror")
        login = {"unix_socket": str(mariadb.socket), "user": "root", "database": "mirror"}
        await apply(MysqlSettings.model_validate(login))
        canary = stack.enter_context(silent())[1]
        well = Daemon(config(record("www", dest=["192.0.2.1"], check=STATIC)))
        farm = Daemon(_farm(folder, flock))
        node = Daemon(_node(), inside=[executable("prlimit"), "--nofile=128:128"])
        mortal = Daemon(config(record("www", dest=["192.0.2.1"], check=STATIC)))
        edge = Daemon(_edge(folder, pet, login, canary), environment=clock.environment)
        named, resolver = await _named(stack)
        voters = [Daemon(_voter(folder, login, name)) for name in VOTERS]
        daemons = [well, farm, node, mortal, edge, *voters, *([named] if named else [])]
        async with asyncio.TaskGroup() as starts:
            for daemon in daemons:
                starts.create_task(stack.enter_async_context(daemon))
        prometheus = Prometheus([daemon.admin for daemon in daemons], RULES)
        await stack.enter_async_context(prometheus)
        yield Stage(
            folder=folder,
            flock=flock,
            pet=pet,
            old=old,
            ca_file=authority.ca_file,
            mariadb=mariadb,
            clock=clock,
            well=well,
            farm=farm,
            node=node,
            mortal=mortal,
            edge=edge,
            named=named,
            resolver=resolver,
            voters=voters,
            prometheus=prometheus,
        )
        # None of them is worth a farewell: they are in the middle of their faults.
        for daemon in daemons:
            await daemon.kill()


def _farm(folder: Path, flock: TcpTarget, *more: str) -> str:
    check = {"type": "tcp", "port": flock.port}
    return config(
        table("admin", token_file=str(folder / "tokens")),
        record("flock", dest=FLOCK, check=check),
        record("spare", dest=FLOCK, check=check, fallback="192.0.2.9"),
        record("odd", dest=["192.0.2.1"], check=[str(folder / "check")], stale_after=1),
        table("notify.webhooks.gone", url=f"http://127.0.0.1:{free_port()}/"),
        *more,
    )


def _voter(folder: Path, login: dict[str, str], name: str) -> str:
    """Its check passes, unless the file `cut` is there and it is v1: what it is given is secret."""
    script = f'[ ! -e {folder}/cut ] || [ "$1" != --key=v1 ]'
    check = {"type": "exec", "argv": ["sh", "-c", script, "ask", f"--key={name}"]}
    return config(
        table("mysql", **login),
        table("quorum", fresh=10, hold=3),
        record("www", dest=["192.0.2.1", "192.0.2.2"], check=check, interval=3),
        node=name,
    )


def _node() -> str:
    """One record is slow to choose from, the others wait for their next round most of the time."""
    wide = record("wide", dest=WIDE, check=STATIC, policy="sticky", interval=1)
    return config(wide, *(record(f"more{n}", dest=["192.0.2.1"], check=STATIC) for n in range(5)))


def _edge(folder: Path, pet: TcpTarget, login: dict[str, str], canary: tuple[str, int]) -> str:
    return config(
        table("mysql", **login),
        table("pdns", control_socket=str(folder / "nobody")),
        table("brake", canaries=["{}:{}".format(*canary)]),
        table("admin", token_file=str(folder / "tokens")),
        record("pet", dest=[pet.host], check={"type": "tcp", "port": pet.port}),
        record("calm", dest=["192.0.2.1", "192.0.2.2", "192.0.2.3"], check=STATIC),
        record("few", dest=["192.0.2.8", "192.0.2.9"], check=STATIC, min_healthy=2),
    )


async def _named(stack: AsyncExitStack) -> tuple[Daemon | None, NameServer | None]:
    try:
        space = stack.enter_context(namespaces.namespace())
    except namespaces.ForbiddenError:
        return None, None
    resolver = await stack.enter_async_context(NameServer(space.outer))
    resolver.addresses[HOST] = ["192.0.2.1"]
    allow = [f"{space.outer}/32"]
    text = config(
        *(table("admin", allow=allow), table("server", allow=allow)),
        record("www", dest=[HOST], check=STATIC, dns_timeout=2, dns_ttl=2),
    )
    return Daemon(text, host=space.inner, inside=space.inside), resolver


# -- the faults --------------------------------------------------------------------------


async def let_a_certificate_grow_old(stage: Stage) -> Daemon:
    """The record gets a member whose certificate is valid for three more days."""
    check = {"type": "tls", "port": stage.old.port, "sni": HOST, "ca_file": stage.ca_file}
    new = record("old", dest=["127.0.0.1"], check=check)
    stage.mortal.configure(config(record("www", dest=["192.0.2.1"], check=STATIC), new))
    stage.mortal.reload()
    return stage.mortal


async def kill(stage: Stage) -> Daemon:
    await stage.mortal.kill()
    return stage.mortal


async def restart_again_and_again(stage: Stage) -> Daemon:
    started = f'dnslb_start_time_seconds{{instance="{stage.mortal.admin}"}}'
    for _ in range(4):
        before = await stage.prometheus.value(started)
        await stage.mortal.kill()
        await stage.mortal.start()

        async def seen(before: float | None = before) -> bool:
            return await stage.prometheus.value(started) not in (before, None)

        await until(seen, what="the next start")
    return stage.mortal


async def lose_all_targets(stage: Stage) -> Daemon:
    await stage.flock.stop()
    return stage.farm


async def flap(stage: Stage) -> Daemon:
    """Sixty members leave and come back, three times."""
    for _ in range(3):
        await stage.flock.stop()
        await until(lambda: _are_all(stage.farm, "DOWN"), within=WITHIN, what="all DOWN")
        await stage.flock.start()
        await until(lambda: _are_all(stage.farm, "UP"), within=WITHIN, what="all UP")
    return stage.farm


async def _are_all(daemon: Daemon, health: str) -> bool:
    _, report = await daemon.get("/api/v1/status?name=flock")
    return {row["health"] for row in report["members"]} == {health}


async def lose_the_check(stage: Stage) -> Daemon:
    (stage.folder / "check").unlink(missing_ok=True)
    return stage.farm


async def add_a_check_that_hangs(stage: Stage) -> Daemon:
    new = record("new", dest=["192.0.2.1"], check=["sleep", "99"], interval=100, timeout=90)
    stage.farm.configure(_farm(stage.folder, stage.flock, new))
    stage.farm.reload()
    await stage.farm.logged("reloaded: 4 records")
    return stage.farm


async def ask_what_nobody_knows(stage: Stage) -> Daemon:
    await stage.suffer(add_a_check_that_hangs)
    assert await lookup(stage.farm, "new.lb.example") == 500
    return stage.farm


async def write_a_bad_file(stage: Stage) -> Daemon:
    stage.edge.config_file.write_text("[global]\ndomain_name = 5\n")
    stage.edge.reload()
    return stage.edge


async def forget_a_drain(stage: Stage) -> Daemon:
    await _drain(stage, "192.0.2.1")
    return stage.edge


async def lose_half_of_the_targets(stage: Stage) -> Daemon:
    await _override(stage, "down", "192.0.2.8")
    return stage.edge


async def _drain(stage: Stage, target: str) -> None:
    await _override(stage, "drain", target)


async def _override(stage: Stage, action: str, target: str) -> None:
    order = {"target": target, "action": action}
    path = "/api/v1/overrides"
    status, _ = await stage.edge.request("POST", path, order, token=OPERATE_TOKEN)
    assert status == 201


async def change_an_answer(stage: Stage) -> Daemon:
    """Nobody is there to be told to forget the old one."""
    return await stage.suffer(forget_a_drain)


async def lose_the_network(stage: Stage) -> Daemon:
    """No canary has ever answered; now a target does not either."""
    await stage.pet.stop()
    return stage.edge


async def lose_the_resolver(stage: Stage) -> Daemon:
    if stage.named is None or stage.resolver is None:
        pytest.skip("no network namespaces here")
    stage.resolver.is_silent = True
    return stage.named


async def cut_a_node_off(stage: Stage) -> Daemon:
    """Its probes fail, those of the other two do not."""
    (stage.folder / "cut").touch()
    return stage.voters[0]


async def lose_the_other_voters(stage: Stage) -> Daemon:
    for voter in stage.voters[1:]:
        await voter.kill()
    return stage.voters[0]


async def run_beside_a_newer_node(stage: Stage) -> Daemon:
    """It has changed the schema, and set an override that this version cannot read."""
    newer = VERSION + 1
    later = f"INSERT INTO lb_schema_version VALUES ({newer}, UTC_TIMESTAMP(), {VERSION})"
    ramp = (
        "INSERT INTO lb_override (id, node, target, zone, name, action, reason, author, created,"
        " cleared_by, min_version)"
        f" VALUES ('1', '', '192.0.2.1', '', '', 'ramp', '', '', UTC_TIMESTAMP(3), '', {newer})"
    )
    for statement in (later, ramp):
        await stage.mariadb.query(statement, database="mirror")
    await stage.mariadb.kill_connections("DB = %s", "mirror")
    return stage.edge


async def kill_the_database(stage: Stage) -> Daemon:
    await stage.mariadb.kill()
    return stage.edge


async def change_without_a_database(stage: Stage) -> Daemon:
    """Two minutes pass, and the change is still not written."""
    await stage.suffer(kill_the_database)
    await _drain(stage, "192.0.2.2")
    stage.clock.step(120)
    return stage.edge


async def run_short_of_descriptors(stage: Stage) -> Daemon:
    """Clients cannot use them up; somebody who lowers the limit can."""
    figures = await figures_of(stage.node)
    few = int(figures["dnslb_process_open_fds"] / 0.9)
    resource.prlimit(stage.node.pid, resource.RLIMIT_NOFILE, (few, 128))
    return stage.node


async def run_short_of_cpu(stage: Stage) -> Daemon:
    """The daemon stands still again and again: for an instant while it is asked, and for longer."""
    series = f'dnslb_scheduler_lag_seconds_count{{instance="{stage.node.admin}"}}'

    async def is_known() -> bool:
        return await stage.prometheus.value(series) is not None

    # What was late before the first scrape is no increase.
    await until(is_known, within=WITHIN)
    async with aiohttp.ClientSession() as session:
        # So many that it is always answering one while it runs, however busy this machine is.
        asking = [asyncio.create_task(_ask_for_ever(stage.node, session)) for _ in range(4)]
        for _ in range(25):
            for _ in range(40):
                await _stand_still(stage.node, 0.02)
            if await _share_of_slow_lookups(stage.node) > 0.02:
                break
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    for _ in range(2):
        await _stand_still(stage.node, 2.5)
    return stage.node


async def _stand_still(daemon: Daemon, seconds: float) -> None:
    daemon.pause()
    await passes(seconds)
    daemon.resume()
    await passes(0.003)


async def _ask_for_ever(daemon: Daemon, session: aiohttp.ClientSession) -> None:
    """Each time for another client, who has to be found a member."""
    url = f"http://{daemon.http}/dns/lookup/wide.lb.example./A"
    for number in itertools.count():
        client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        headers = {"X-RemoteBackend-Real-Remote": client}
        async with session.get(url, headers=headers) as response:
            await response.read()


async def _share_of_slow_lookups(daemon: Daemon) -> float:
    """The share of lookups over HTTP that took more than 10 ms."""
    _, text = await daemon.get("/metrics")
    name, labels = "dnslb_lookup_duration_seconds", {"transport": "http"}
    values = {
        (one.name, one.labels.get("le")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name.startswith(name) and labels.items() <= one.labels.items()
    }
    return 1 - values[f"{name}_bucket", "0.01"] / values[f"{name}_count", None]


async def lookup(daemon: Daemon, name: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{daemon.http}/dns/lookup/{name}./A") as response,
    ):
        return response.status


async def figures_of(daemon: Daemon) -> dict[str, float]:
    """The samples of /metrics that have no labels."""
    _, text = await daemon.get("/metrics")
    families = text_string_to_metric_families(text)
    return {one.name: one.value for family in families for one in family.samples if not one.labels}


FAULTS: dict[str, Fault] = {
    "DnslbNotReady": add_a_check_that_hangs,
    "DnslbNoAnswer": lose_all_targets,
    "DnslbNoHealthyMember": lose_all_targets,
    "DnslbPanic": lose_half_of_the_targets,
    "DnslbLookupFaults": ask_what_nobody_knows,
    "DnslbLookupsSlow": run_short_of_cpu,
    "DnslbMembersDown": lose_all_targets,
    "DnslbFlapping": flap,
    "DnslbStale": lose_the_check,
    "DnslbHostsOverdue": lose_the_resolver,
    "DnslbBrakeEngaged": lose_the_network,
    "DnslbOverrideForgotten": forget_a_drain,
    "DnslbErrors": lose_the_check,
    "DnslbReloadRefused": write_a_bad_file,
    "DnslbSchedulerLate": run_short_of_cpu,
    "DnslbEventLoopDelayed": run_short_of_cpu,
    "DnslbFileDescriptors": run_short_of_descriptors,
    "DnslbPurgeFailing": change_an_answer,
    "DnslbOutvoted": cut_a_node_off,
    "DnslbVoterMissing": lose_the_other_voters,
    "DnslbQuorumLost": lose_the_other_voters,
    "DnslbRowsUnsupported": run_beside_a_newer_node,
    "DnslbSchemaNewer": run_beside_a_newer_node,
    "DnslbMirrorDown": kill_the_database,
    "DnslbMirrorBehind": change_without_a_database,
    "DnslbNotificationsFailing": lose_all_targets,
    "DnslbLastHealthyMember": change_without_a_database,
    "DnslbCertificateExpires": let_a_certificate_grow_old,
    "DnslbRestarting": restart_again_and_again,
    "DnslbDown": kill,
}
"""By the alert that tells of it. What leaves a daemon of no more use comes last."""


OF_A_BUSY_MACHINE = (
    "DnslbDown",
    "DnslbEventLoopDelayed",
    "DnslbLookupsSlow",
    "DnslbSchedulerLate",
)


def test_every_alert_has_its_fault() -> None:
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), flags=re.MULTILINE)
    assert sorted(alerts) == sorted(FAULTS)


@pytest.mark.soak
async def test_daemons_that_are_well_raise_nothing(stage: Stage) -> None:
    """Runs first."""
    for voter in stage.voters:
        await voter.logged("voters besides this node: v", within=WITHIN)
    count = 9 if stage.named else 8
    up = 'count(up{job="dnslb"} == 1)'

    async def is_up() -> bool:
        return await stage.prometheus.value(up) == count

    await until(is_up, within=WITHIN, what="a first scrape of all")
    await until(lambda: _evaluated(stage), what="a first evaluation")
    assert await stage.prometheus.firing() == set()


async def _evaluated(stage: Stage) -> bool:
    """Whether Prometheus has looked at all rules since it was told of all daemons."""
    groups = (await stage.prometheus.get("/api/v1/rules"))["groups"]
    return all(rule["health"] == "ok" for group in groups for rule in group["rules"])


@pytest.mark.soak
@pytest.mark.parametrize("alert", FAULTS)
async def test_an_alert_fires_in_its_fault(stage: Stage, alert: str) -> None:
    daemon = await stage.suffer(FAULTS[alert])

    async def fires() -> bool:
        return (alert, daemon.admin) in await stage.prometheus.firing()

    await until(fires, within=WITHIN, what=f"{alert} at {daemon.admin}")


@pytest.mark.soak
async def test_a_daemon_that_stayed_well_never_raised_anything(stage: Stage) -> None:
    """Runs last: an alert that fires without a fault teaches people to look away.

    That other tests keep this machine busy is a fault, and shows in some.
    """
    ever = f'ALERTS{{instance="{stage.well.admin}",alertname!~"{"|".join(OF_A_BUSY_MACHINE)}"}}'
    assert await stage.prometheus.value(f"count_over_time({ever}[1h])") is None
