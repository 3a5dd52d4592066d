"""The whole daemon and its database, as one sees it with SQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until

Rows = list[tuple[Any, ...]]
STATIC = "192.0.2.53"

Ask = Callable[[str], Awaitable[Rows]]


def configuration(mysql: MysqlSettings, port: int, interval: float, static: str = STATIC) -> str:
    """What is not refreshed in the time of a test, but changes in tables, changed for a reason."""
    return f"""
[global]
domain_name = "lb.example"
node = "ns1"

[mysql]
unix_socket = "{mysql.unix_socket}"
user = "root"
database = "{mysql.database}"
refresh = {max(1, interval / 2)}

[zones."lb.example"]
soa = {{ mname = "ns1.lb.example.", minimum = 7 }}
ns = ["ns1.lb.example."]
static = [ {{ name = "ns1", type = "A", content = "{static}", ttl = 300 }} ]

[default]
ttl = 5
interval = {interval}
timeout = 5       # far beyond the interval: a busy machine must not look like an outage
dns_timeout = 0.1
check = {{ type = "http", url = "http://%(address)s:{port}/" }}

[records."www".A]
dest = ["127.0.0.2"]
"""


@asynccontextmanager
async def world(mysql: MysqlSettings, interval: float) -> AsyncIterator[tuple[Daemon, HttpTarget]]:
    target = HttpTarget("127.0.0.2")
    async with target, Daemon(configuration(mysql, target.port, interval)) as daemon:
        yield daemon, target


@pytest.fixture
def ask(mariadb: MariaDB, settings: MysqlSettings) -> Ask:
    """Puts a question to the database that the daemon writes to."""

    async def asked(sql: str) -> Rows:
        rows = await mariadb.query(sql, database=settings.name)
        return [tuple(row.values()) for row in rows]

    return asked


async def shows(ask: Ask, sql: str, *rows: tuple[Any, ...]) -> None:
    """Wait until a question has this answer."""

    async def answered() -> bool:
        return await ask(sql) == list(rows)

    await until(answered, within=15, what=f"{sql} = {rows}")


async def test_a_reload_of_static_rows_alone_is_mirrored_at_once(
    settings: MysqlSettings, ask: Ask
) -> None:
    address = "SELECT content FROM lb_static WHERE name = 'ns1.lb.example'"
    serial = "SELECT serial FROM lb_zone WHERE zone = 'lb.example'"
    # No round is due meanwhile that could bring anything else to the mirror.
    async with world(settings, 600) as (daemon, target):
        await shows(ask, address, (STATIC,))
        ((before,),) = await ask(serial)
        daemon.configure(configuration(settings, target.port, 600, "192.0.2.54"))
        daemon.reload()
        await daemon.logged("reloaded: 1 records, 0 new or changed")
        await shows(ask, address, ("192.0.2.54",))
        ((after,),) = await ask(serial)
        assert after > before


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_flips_of_an_outage_arrive_over_a_restart(
    mariadb: MariaDB, settings: MysqlSettings, ask: Ask, is_killed: bool
) -> None:
    flips = "SELECT to_health FROM lb_transition WHERE from_health <> to_health ORDER BY id"
    up, down = ("UP",), ("DOWN",)
    async with world(settings, 0.6) as (daemon, target):
        await shows(ask, flips, up)
        await mariadb.stop()

        async def flip(times: int) -> None:
            for _ in range(times):
                for turn, change in ((target.fail, "UP -> DOWN"), (target.heal, "DOWN -> UP")):
                    seen = len(daemon.log)
                    turn()
                    await daemon.logged(change, after=seen)

        for _ in range(2):
            await flip(2)
            await (daemon.kill() if is_killed else daemon.stop())
            await daemon.start()
            await daemon.ready()
        await flip(1)
        await mariadb.start()
        await shows(ask, flips, up, *[down, up] * 5)
        await daemon.restart()
        await shows(ask, flips, up, *[down, up] * 5)
