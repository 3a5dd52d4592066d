"""The servers that other tests lean on do what those tests believe."""

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import aiomysql
import pytest

from tests.rigs import namespaces
from tests.rigs.daemon import Daemon, follows, with_setting
from tests.rigs.dig import ask
from tests.rigs.mariadb import MariaDB
from tests.rigs.namespaces import Namespace
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import StartError
from tests.rigs.targets import HttpTarget, TcpTarget, farm
from tests.rigs.waiting import until

ZONE = """\
$TTL 60
@    IN SOA ns1 hostmaster 1 3600 600 86400 60
@    IN NS  ns1
ns1  IN A   192.0.2.53
www  IN A   192.0.2.1
www  IN A   192.0.2.2
text IN TXT "hello"
"""


@pytest.fixture
async def pdns(tmp_path: Path) -> AsyncIterator[PowerDNS]:
    (tmp_path / "zone").write_text(ZONE)
    named = tmp_path / "named.conf"
    named.write_text(f'zone "static.example" {{ type master; file "{tmp_path}/zone"; }};\n')
    settings = {"launch": "bind", "bind-config": str(named), "cache-ttl": 60}
    async with PowerDNS(settings) as server:
        yield server


async def test_powerdns_answers_over_udp_and_tcp(pdns: PowerDNS) -> None:
    for tcp in (False, True):
        answer = await pdns.ask("www.static.example", tcp=tcp)
        assert answer.rcode == "NOERROR"
        assert answer.addresses == {"192.0.2.1", "192.0.2.2"}
        assert answer.ttl == 60
        assert "aa" in answer.flags
        assert not answer.is_nodata


async def test_an_answer_tells_nodata_from_a_name_that_is_not_there(pdns: PowerDNS) -> None:
    nodata = await pdns.ask("www.static.example", "AAAA")
    assert (nodata.is_nodata, nodata.ttl, nodata.addresses) == (True, None, frozenset())
    missing = await pdns.ask("nosuch.static.example")
    assert (missing.rcode, missing.has_soa, missing.is_nodata) == ("NXDOMAIN", True, False)
    assert (await pdns.ask("elsewhere.example")).rcode == "REFUSED"
    assert (await pdns.ask("text.static.example", "TXT")).contents == ('"hello"',)


async def test_powerdns_is_controlled_over_its_socket(pdns: PowerDNS) -> None:
    assert await pdns.control("rping") == "PONG"
    await pdns.ask("www.static.example")
    assert await pdns.purge("www.static.example") > 0
    assert await pdns.purge("www.static.example") == 0


async def test_powerdns_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(StartError, match="nosuch-setting"):
        async with PowerDNS({"launch": "bind", "nosuch-setting": "1"}):
            pass


async def test_a_server_leaves_nothing_behind(pdns: PowerDNS) -> None:
    async with PowerDNS({"launch": "bind"}) as other:
        assert other.port != pdns.port
        directory = other.directory
    assert not other.alive
    assert not directory.exists()
    assert "ready to distribute" in other.log
    assert pdns.alive


async def test_a_server_restarts_on_its_port(pdns: PowerDNS) -> None:
    first = pdns.pid
    await pdns.restart()
    assert pdns.pid != first
    assert (await pdns.ask("www.static.example")).rcode == "NOERROR"
    assert pdns.log.count("ready to distribute") == 2


async def test_a_paused_server_is_silent_until_it_resumes(pdns: PowerDNS) -> None:
    pdns.pause()
    with pytest.raises(TimeoutError):
        await ask(pdns.address, "www.static.example", timeout=0.2)
    pdns.resume()
    assert (await pdns.ask("www.static.example")).rcode == "NOERROR"


def test_free_ports_differ() -> None:
    ports = [free_port("127.0.0.1", "127.0.0.2") for _ in range(50)]
    assert len(set(ports)) == 50


@pytest.fixture
async def mariadb() -> AsyncIterator[MariaDB]:
    async with MariaDB() as server:
        await server.query("create database lb")
        await server.query("create table t (n int)", database="lb")
        yield server


async def test_mariadb_keeps_its_data_when_it_is_killed(mariadb: MariaDB) -> None:
    await mariadb.query("insert into t values (%s), (%s)", (1, 2), database="lb")
    await mariadb.kill()
    with pytest.raises(aiomysql.OperationalError):
        await mariadb.query("select 1")
    await mariadb.start()
    assert await mariadb.query("select n from t", database="lb") == [{"n": 1}, {"n": 2}]
    await mariadb.restart()
    assert await mariadb.query("select count(*) as c from lb.t") == [{"c": 2}]


async def test_a_paused_mariadb_answers_later(mariadb: MariaDB) -> None:
    mariadb.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await mariadb.query("select 1")
    mariadb.resume()
    assert await mariadb.query("select 1 as one") == [{"one": 1}]


async def test_mariadb_listens_on_tcp_where_it_is_told_to() -> None:
    async with MariaDB(tcp=True) as server:
        assert server.port
        await server.query("create user joe@127.0.0.1 identified by 'secret'")
        async with aiomysql.connect(
            host="127.0.0.1", port=server.port, user="joe", password="secret"
        ) as connection:
            assert connection.get_server_info().count("MariaDB")
        assert await server.stop() == 0


async def test_two_mariadbs_know_nothing_of_each_other(mariadb: MariaDB) -> None:
    async with MariaDB() as other:
        assert {"Database": "lb"} not in await other.query("show databases")
    assert {"Database": "lb"} in await mariadb.query("show databases")


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        yield session


async def status(client: aiohttp.ClientSession, target: HttpTarget) -> int:
    async with client.get(f"http://{target.address}/health") as response:
        return response.status


async def test_targets_of_a_farm_share_a_port_and_fail_alone(client: aiohttp.ClientSession) -> None:
    async with farm(3) as targets:
        assert len({target.port for target in targets}) == 1
        assert len({target.host for target in targets}) == 3
        targets[1].fail(500)
        assert [await status(client, target) for target in targets] == [200, 500, 200]
        targets[1].heal()
        assert await status(client, targets[1]) == 200


async def test_a_target_refuses_while_it_is_stopped(client: aiohttp.ClientSession) -> None:
    async with HttpTarget() as target:
        assert await status(client, target) == 200
        await target.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(client, target)
        await target.start()
        assert await status(client, target) == 200
        assert target.hits == 2
        assert target.last_request is not None
        assert target.last_request.path == "/health"


async def test_a_target_that_hangs_answers_once_it_is_well(client: aiohttp.ClientSession) -> None:
    async with HttpTarget() as target, asyncio.TaskGroup() as group:
        target.hang()
        with pytest.raises(TimeoutError):
            await status(client, target)
        probed = group.create_task(target.probed())
        answer = group.create_task(status(client, target))
        await probed
        assert not answer.done()
        target.heal()
        assert await answer == 200


async def test_a_target_that_hangs_can_be_stopped() -> None:
    async with HttpTarget() as target:
        target.hang()
        reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: target\r\n\r\n")
        await until(lambda: target.hits == 1)
        await target.stop()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_tcp_target_greets() -> None:
    async with TcpTarget() as target:
        target.banner = b"220 ready\r\n"
        reader, writer = await asyncio.open_connection(target.host, target.port)
        assert await reader.read() == b"220 ready\r\n"
        writer.close()
        await writer.wait_closed()
        await target.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(target.host, target.port)


def inside(space: Namespace, *command: str) -> subprocess.CompletedProcess[str]:
    line = [*space.inside, *command]
    return subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)


async def test_a_server_in_a_namespace_is_reached_until_its_cable_is_cut(
    namespace: Namespace,
) -> None:
    async with PowerDNS({"launch": "bind"}, host=namespace.inner, inside=namespace.inside) as pdns:
        assert (await pdns.ask("elsewhere.example")).rcode == "REFUSED"
        namespace.cut()
        with pytest.raises((TimeoutError, OSError)):
            await ask(pdns.address, "elsewhere.example", timeout=0.3)
        namespace.heal()
        assert (await pdns.ask("elsewhere.example")).rcode == "REFUSED"


CONNECT = "import socket; socket.create_connection(({address!r}, {port}), timeout=0.5)"


async def test_from_a_namespace_a_cut_is_silence_and_an_unplugged_cable_is_not(
    namespace: Namespace,
) -> None:
    async with TcpTarget(namespace.outer) as target:

        async def connect() -> str:
            code = CONNECT.format(address=target.host, port=target.port)
            tried = await asyncio.to_thread(inside, namespace, sys.executable, "-c", code)
            return tried.stderr.strip().rpartition("\n")[2]

        assert await connect() == ""
        namespace.cut()
        assert "timed out" in await connect()
        namespace.heal()
        assert await connect() == ""
        namespace.unplug()
        assert "unreachable" in await connect()
        namespace.heal()
        assert await connect() == ""


def test_a_namespace_has_its_own_resolver_and_is_removed(namespace: Namespace) -> None:
    assert f"nameserver {namespace.outer}\n" in inside(namespace, "cat", "/etc/resolv.conf").stdout
    namespace.resolve_with("192.0.2.1", "192.0.2.2")
    lines = inside(namespace, "cat", "/etc/resolv.conf").stdout.splitlines()
    assert lines[:2] == ["nameserver 192.0.2.1", "nameserver 192.0.2.2"]
    with namespaces.namespace() as other:
        assert other.name != namespace.name
        assert other.resolv_conf.exists()
    assert not other.resolv_conf.parent.exists()
    assert inside(other, "true").returncode != 0


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", {"admin": {"listen": "x"}}),
        ("[global]\nnode = 'a'", {"global": {"node": "a"}, "admin": {"listen": "x"}}),
        ("[admin]\nallow = []\n", {"admin": {"allow": [], "listen": "x"}}),
        ("[admin]\nlisten = ''\n", {"admin": {"listen": ""}}),
    ],
)
def test_a_setting_of_the_rig_yields_to_one_of_the_test(
    config: str, expected: dict[str, object]
) -> None:
    assert tomllib.loads(with_setting(config, "admin", "listen", "x")) == expected


CONFIG = """\
[global]
domain_name = "lb.example"

[default]
ttl = 5
interval = 0.2
timeout = 0.1
dns_timeout = 0.05

[records."www".A]
dest = ["127.0.0.2", "127.0.0.3"]
check = {{ type = "http", url = "http://%(address)s:{port}/" }}
"""


async def test_dns_follows_the_targets_of_a_daemon() -> None:
    async with (
        farm(2) as (first, second),
        Daemon(CONFIG.format(port=first.port)) as daemon,
        daemon.powerdns() as pdns,
    ):
        await follows(pdns, "www.lb.example", {first.host, second.host})
        await second.stop()
        await follows(pdns, "www.lb.example", {first.host})
        await second.start()
        answer = await follows(pdns, "www.lb.example", {first.host, second.host})
        assert answer.ttl == 5
        assert await daemon.stop() == 0


async def test_a_daemon_with_a_bad_configuration_shows_why_it_did_not_start() -> None:
    with pytest.raises(StartError, match=r"\(126\)"):
        async with Daemon("[global]\nnosuch = 1\n"):
            pass
