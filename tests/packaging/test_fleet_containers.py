"""compose.fleet.yaml at work: a fleet in containers decides together, whatever is cut or killed."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.load import Observed, asking
from tests.packaging.composition import Composition
from tests.packaging.images import Image, run
from tests.packaging.services import COMPOSE_FLEET, ROOT, read_compose
from tests.rigs.galera import Galera
from tests.rigs.namespaces import ForbiddenError
from tests.rigs.places import Bridge, places
from tests.rigs.waiting import until

# Images are built, from twenty packages, and twelve services started.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

COMPOSE = read_compose(base=COMPOSE_FLEET)
WEB = frozenset({"172.30.54.11", "172.30.54.12"})
LEFT = frozenset({"172.30.54.11"})
MEMBERS = ("db1", "db2", "db3")
VOTERS = ("ns1", "ns2", "witness")
NAME_SERVERS = ("pdns1", "pdns2")
TERMINATED = 128 + 15
"""With what a process ends that tini has sent SIGTERM."""

SOON = 30.0
BUSY = 60.0
"""Seconds, on a busy machine, in which answers follow, and in which the fleet is whole again."""

Row = dict[str, Any]


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    try:
        with places(len(COMPOSE["services"]), targets=0) as bridge:
            yield bridge
    except ForbiddenError as reason:
        pytest.skip(str(reason))


async def test_no_answer_is_wrong_whatever_is_cut_or_killed(
    images: dict[str, Image], tmp_path: Path, bridge: Bridge
) -> None:
    run(str(ROOT / "configs/container/make-secrets"), str(tmp_path / "secrets"))
    async with AsyncExitStack() as stack:
        fleet = Composition(COMPOSE, images, tmp_path, bridge, stack)
        cluster = await _start(fleet, stack)
        seen = [await stack.enter_async_context(_asking(fleet, name)) for name in NAME_SERVERS]
        await _shows(seen, WEB)
        await _a_name_server_is_cut_off(fleet, seen)
        await _the_witness_is_cut_off(fleet, cluster, seen)
        await _is_whole(fleet)
        ended = {
            name: await fleet.running[name].stop() for name in (*NAME_SERVERS, *VOTERS, "web1")
        }
        assert ended == dict.fromkeys(NAME_SERVERS, TERMINATED) | dict.fromkeys(VOTERS, 0) | {
            "web1": TERMINATED
        }
    for each in seen:
        assert [change.addresses for change in each.changes] == [WEB, LEFT, WEB]


async def _start(fleet: Composition, stack: AsyncExitStack) -> Galera:
    """`docker compose up`, until all is healthy, or completed, and the daemons decide together."""
    # Nothing that answers waits for the database.
    await fleet.up(*VOTERS, *NAME_SERVERS)
    cluster = await stack.enter_async_context(_cluster(fleet))
    await fleet.up(*COMPOSE["services"])
    for name in (*VOTERS, *NAME_SERVERS):
        await fleet.running[name].up()
    assert await fleet.running["users"].wait(BUSY) == 0, fleet.running["users"].log
    await _is_whole(fleet)
    return cluster


async def _a_name_server_is_cut_off(fleet: Composition, seen: list[Observed]) -> None:
    """It has no route to the targets: it does not vote, and follows the others."""
    fleet.disconnect("targets", "ns2")
    await _says(fleet, "ns1", "ns2", lambda row: row["up"] + row["down"] == 0)
    await fleet.running["web2"].stop()
    await _shows(seen, LEFT)
    fleet.connect("targets", "ns2")
    await _says(fleet, "ns1", "ns2", lambda row: (row["up"], row["down"]) == (1, 1))


async def _the_witness_is_cut_off(
    fleet: Composition, cluster: Galera, seen: list[Observed]
) -> None:
    """Its packets are dropped: it is outvoted, also while the member is lost that all use."""
    fleet.places["witness"].cut(*WEB)
    await _says(fleet, "ns2", "witness", lambda row: row["outvoted"] == 1)
    await cluster.members[0].kill()
    await cluster.complete(2, within=BUSY)
    await fleet.running["web2"].start()
    await _shows(seen, WEB)
    await _says(fleet, "ns2", "witness", lambda row: row["outvoted"] == 2)
    # Its change of mind reaches the others by way of the members that are left.
    fleet.places["witness"].heal()
    await _says(fleet, "ns2", "witness", lambda row: row["counts"] and row["up"] == 2)
    await cluster.members[0].start()
    await cluster.complete(within=BUSY)


@asynccontextmanager
async def _cluster(fleet: Composition) -> AsyncIterator[Galera]:
    """The members as the image makes them: a database, root with the password of the secret."""
    addresses = fleet.addresses["database"]
    cluster = Galera([(addresses[name], fleet.places[name].inside) for name in MEMBERS])
    cluster.port = 3306
    async with cluster:
        await cluster.query("CREATE DATABASE dnslb")
        await cluster.query(f"CREATE USER root@'%' IDENTIFIED BY '{fleet.secret('mariadb_root')}'")
        await cluster.query("GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION")
        text = (ROOT / "configs/container/galera-users.sql").read_text()
        for statement in text.split(";")[:-1]:
            await cluster.query(statement)
        fleet.running |= zip(MEMBERS, cluster.members, strict=True)
        yield cluster


@asynccontextmanager
async def _asking(fleet: Composition, name: str) -> AsyncIterator[Observed]:
    """What a name server answers, asked ten times a second."""
    observed = Observed()
    async with asking((fleet.places[name].address, 5300), 10, ["www.lb.example"], observed):
        yield observed


async def _shows(seen: list[Observed], addresses: frozenset[str]) -> None:
    """Wait until the last answer of every name server is this."""
    await until(
        lambda: all(each.changes and each.changes[-1].addresses == addresses for each in seen),
        within=SOON,
        what=f"{sorted(addresses)} at every name server",
    )


async def _rows(fleet: Composition, name: str) -> list[Row]:
    """The nodes that `dnslb-backend nodes` shows in this service."""
    code, said = await fleet.service(name).run(["dnslb-backend", "nodes", "--json"])
    assert code == 0, said
    rows: list[Row] = json.loads(said)["nodes"]
    return rows


async def _says(fleet: Composition, name: str, other: str, holds: Callable[[Row], bool]) -> None:
    """Wait until a service shows another node so."""

    async def shown() -> bool:
        rows = await _rows(fleet, name)
        return any(holds(row) for row in rows if row["node"] == other)

    await until(shown, within=BUSY, what=f"{other} as {name} shows it")


async def _is_whole(fleet: Composition) -> None:
    """Wait until each node counts the votes of all, and none is outvoted."""

    async def agrees() -> bool:
        reports = [await _rows(fleet, name) for name in VOTERS]
        return all(
            [row["node"] for row in rows if row["counts"] and not row["outvoted"]] == list(VOTERS)
            for rows in reports
        )

    await until(agrees, within=BUSY, what="three voters everywhere")
    for name in VOTERS:
        code, shown = await fleet.service(name).run(["dnslb-backend", "nodes"])
        assert code == 0
        assert shown.startswith(f"{name}, of site {name}: 2 targets agreed\n")
