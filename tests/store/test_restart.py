"""A daemon that is killed and started again, with targets that say nothing any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.processes import processor_time
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import until

LARGE = pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(180)])


class Crowd(HttpTarget):
    """Answers for every address of 127/8; for each third one that it is ill."""

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        answer = await super()._answer(request)
        last = int(request.host.split(":")[0].rpartition(".")[2])
        return answer if last % 3 else web.Response(status=503, text="ill")


def configuration(port: int, records: int, extra: str = "") -> str:
    head = f"""
[global]
domain_name = "lb.example"
node = "ns1"
max_record_checks = 50
{extra}
[default]
ttl = 5
interval = 120
timeout = 60
dns_timeout = 1
check = {{ type = "http", url = "http://%(address)s:{port}/health" }}
"""
    return head + "\n".join(
        f'[records.n{n:04}.A]\ndest = ["127.1.{n >> 8}.{n & 255}", "127.2.{n >> 8}.{n * 7 & 255}"]'
        for n in range(records)
    )


async def lookups(daemon: Daemon, records: int) -> dict[str, str]:
    """The answer to PowerDNS for every name; "500" where that is an error."""
    found: dict[str, str] = {}
    connector = aiohttp.TCPConnector(limit=20)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(name: str) -> None:
            url = f"http://{daemon.http}/dns/lookup/{name}./ANY"
            async with session.get(url) as response:
                found[name] = await response.text() if response.status == 200 else "500"

        await asyncio.gather(*(ask(f"n{n:04}.lb.example") for n in range(records)))
    return found


@asynccontextmanager
async def world(records: int, extra: str = "") -> AsyncIterator[tuple[Daemon, Crowd]]:
    async with Crowd("0.0.0.0") as targets:
        config = configuration(targets.port, records, extra)
        async with Daemon(config, ready=False) as daemon:
            await daemon.ready(within=90)
            yield daemon, targets


async def answers(daemon: Daemon) -> bool:
    try:
        url = f"http://{daemon.http}/dns/getAllDomains"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


@pytest.mark.parametrize("records", [100, LARGE])
async def test_the_first_answers_are_the_last_ones(records: int) -> None:
    async with world(records) as (daemon, targets):
        before = await lookups(daemon, records)
        assert len(set(map(len, before.values()))) > 1
        assert "500" not in before.values()
        await until(lambda: is_written(daemon))
        targets.hang()
        await daemon.kill()
        await daemon.launch()
        await until(lambda: answers(daemon))
        work = processor_time(daemon.pid)
        assert await lookups(daemon, records) == before
        await daemon.logged(f"restored the state of {records} records from: local")
        status, ready = await daemon.get("/readyz")
        assert (status, ready["details"]["mirror"]["restored"]) == (200, "local")
    assert work < 2.0


async def is_written(daemon: Daemon) -> bool:
    """Whether the local file has every change: a kill loses those of the last moment."""
    _, ready = await daemon.get("/readyz")
    return all(not mirror["backlog"] for mirror in ready["details"]["mirror"]["mirrors"])


async def test_without_its_file_the_database_remembers(mariadb: MariaDB) -> None:
    records = 100
    await mariadb.query("CREATE DATABASE dnslb")
    await apply(MysqlSettings(unix_socket=str(mariadb.socket), user="root"))
    extra = f'[mysql]\nunix_socket = "{mariadb.socket}"\nuser = "root"\n'
    async with world(records, extra) as (daemon, targets):
        before = await lookups(daemon, records)
        await until(lambda: is_mirrored(mariadb, records))
        targets.hang()
        await daemon.kill()
        lose_state(daemon)
        await daemon.launch()
        await until(lambda: answers(daemon))
        assert await lookups(daemon, records) == before
        await daemon.logged(f"restored the state of {records} records from: mariadb")


async def is_mirrored(mariadb: MariaDB, records: int) -> bool:
    rows = await mariadb.query(
        "SELECT COUNT(*) AS n, SUM(health <> 'UNKNOWN') AS known FROM lb_state", database="dnslb"
    )
    served = await mariadb.query(
        "SELECT COUNT(*) AS n FROM lb_record WHERE decision NOT IN ('pending')", database="dnslb"
    )
    return rows == [{"n": 2 * records, "known": 2 * records}] and served[0]["n"] == records


def lose_state(daemon: Daemon) -> None:
    for path in daemon.directory.glob("state.sqlite*"):
        path.unlink()
