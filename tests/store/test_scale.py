"""Ten thousand members, in fair weather and in an outage of a minute."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from time import monotonic

import pytest

from dnslb_backend.clock import now
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.interface import Select
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.tables import TRANSITION
from dnslb_backend.store.mirror.mirror import MirrorStatus
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.store.farm import FAIL, PASS, many_records, stored_state
from tests.store.test_faults import prepared, server
from tests.store.test_persistence import Node, alive

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

RECORDS, MEMBERS, INTERVAL = 3334, 3, 5.0

LARGE = ["--innodb-buffer-pool-size=256M", "--innodb-log-file-size=96M"]

BATCH = 20


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As the daemon runs; the debug mode of asyncio is too slow for so many."""
    return "asyncio", {"use_uvloop": True}


def settings_of(rig: MariaDB) -> MysqlSettings:
    return MysqlSettings(unix_socket=str(rig.socket), user="root", database="mirror")


class Weather:
    """Every member passes once in its interval; those in `down` fail."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.down: set[str] = set()

    async def blow(self) -> None:
        health = self.node.farm.map
        pause = INTERVAL / RECORDS * BATCH
        keys = cycle(list(health.records))
        while True:
            for _ in range(BATCH):
                self.observe(next(keys))
            self.node.record_changes()
            await asyncio.sleep(pause)  # noqa: TID251 - results come as time goes by

    def observe(self, key: RecordKey) -> None:
        health = self.node.farm.map
        for target in health.targets_of(key):
            health.record(
                health.observe(target, FAIL if target.address in self.down else PASS, now())
            )

    @contextmanager
    def all_day(self) -> Iterator[None]:
        task = asyncio.create_task(self.blow())
        try:
            yield
        finally:
            task.cancel()


def mirror(node: Node) -> MirrorStatus:
    return node.persistence.stats.mirrors[1]


async def statements(rig: MariaDB) -> int:
    rows = await rig.query("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(rows[0]["Value"])


async def test_a_steady_state_is_under_fifty_statements_a_second(tmp_path: Path) -> None:
    async with server(*LARGE) as rig:
        await prepared(rig)
        node = Node(tmp_path / "state.sqlite", settings_of(rig), *many_records(RECORDS, MEMBERS))
        async with alive(node):
            node.farm.check_all()
            node.record_changes()
            with Weather(node).all_day():
                await until(lambda: mirror(node).rows > 14_000, within=60)
                await until(lambda: not mirror(node).history, within=60)
                before, rows, began = await statements(rig), mirror(node).rows, monotonic()
                await asyncio.sleep(20)  # noqa: TID251 - what is measured is a rate
                seconds = monotonic() - began
                rate = (await statements(rig) - before) / seconds
                refreshed = (mirror(node).rows - rows) / seconds
    assert rate < 50
    assert refreshed > RECORDS * MEMBERS / INTERVAL


async def test_an_outage_of_a_minute_in_which_many_flip(tmp_path: Path) -> None:
    async with server(*LARGE) as rig:
        await prepared(rig)
        node = Node(tmp_path / "state.sqlite", settings_of(rig), *many_records(RECORDS, MEMBERS))
        weather = Weather(node)
        async with alive(node):
            node.farm.check_all()
            node.record_changes()
            with weather.all_day():
                await until(lambda: mirror(node).rows > 14_000, within=60)
                await until(lambda: not mirror(node).history, within=60)
                await rig.stop()
                weather.down = {f"10.0.{n}.1" for n in range(250)} | {
                    f"10.1.{n}.1" for n in range(250)
                }
                await asyncio.sleep(60)  # noqa: TID251 - the outage is a minute long
                await rig.start()
                began = monotonic()
                await until(lambda: mirror(node).is_connected, within=20)
            await until(lambda: is_like(node, rig), within=60)
            assert monotonic() - began < 60
            await until(lambda: not mirror(node).history, within=30)
            assert mirror(node).dropped == 0
        store = MariaStore(settings_of(rig))
        flips = await store.read(Select(TRANSITION, ("content", "to_health")))
        await store.close()
        assert {content for content, health in flips if health == "DOWN"} == weather.down
        told = sum(1 for content, health in flips if health == "DOWN")
        assert told == len(weather.down) == 500


async def is_like(node: Node, rig: MariaDB) -> bool:
    store = MariaStore(settings_of(rig))
    try:
        return await stored_state(store) == node.farm.state_rows()
    finally:
        await store.close()
