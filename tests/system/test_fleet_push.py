"""A target that reports to some nodes only: a report is a proof of life wherever it arrives."""

import pytest

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.waiting import until
from tests.system.writing import config, record, table

pytestmark = pytest.mark.timeout(180)

TARGET = "127.0.0.2"
TOKEN = "report-0123456789-abcdef"
SILENCE = 5
WITHIN = 60.0


def text(server: MariaDB, node: str) -> str:
    check = {"type": "push", "token": TOKEN, "max_silence": SILENCE}
    return config(
        table("mysql", unix_socket=str(server.socket), user="root", database="fleet"),
        table("quorum"),
        record("www", dest=[TARGET], check=check),
        node=node,
    )


async def report(daemon: Daemon) -> None:
    status, said = await daemon.request(
        "POST", "/api/v1/push", {"up": True, "address": TARGET}, token=TOKEN
    )
    assert status < 300, said


async def health(daemon: Daemon) -> str:
    _, status = await daemon.get("/api/v1/status?name=www.lb.example")
    return str(status["members"][0]["health"])


async def test_a_target_is_up_for_all_nodes_while_one_of_them_has_its_reports() -> None:
    async with MariaDB() as server:
        await server.query("CREATE DATABASE fleet")
        await apply(MysqlSettings(unix_socket=str(server.socket), user="root", database="fleet"))
        async with (
            Daemon(text(server, "ns1"), ready=False) as first,
            Daemon(text(server, "ns2"), ready=False) as second,
            Daemon(text(server, "ns3"), ready=False) as third,
        ):
            nodes = (first, second, third)

            async def all_are(wanted: str, *reported: Daemon) -> bool:
                for daemon in reported:
                    await report(daemon)
                return [await health(node) for node in nodes] == [wanted] * 3

            for node in nodes:
                await node.logged("voters besides this node: ", within=WITHIN)
            await until(lambda: all_are("UP", *nodes), within=WITHIN)

            # The second and the third say DOWN, once they have heard nothing for long enough.
            async def two_say_down() -> bool:
                assert await all_are("UP", first)
                rows = await server.query("SELECT says FROM fleet.lb_vote WHERE says = 'DOWN'")
                return len(rows) == 2

            await until(two_say_down, within=WITHIN)
            for _ in range(10):
                assert await all_are("UP", first)
            await until(lambda: all_are("DOWN"), within=WITHIN)
