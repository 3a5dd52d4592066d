"""Contents that versions of PowerDNS read differently are written for the one that is there."""

import asyncio
import json
from pathlib import Path

import aiohttp

from tests.rigs.daemon import Daemon
from tests.rigs.powerdns import installed_version, is_older_than
from tests.rigs.waiting import until
from tests.system.serving import serving
from tests.system.writing import config, table

RESINFO = {"name": "info", "type": "RESINFO", "content": '"qnamemin"'}
HTTPS = {"name": "info", "type": "HTTPS", "content": '1 . ohttp key9="\\000\\029"'}
FOR_47 = {("TYPE261", "\\# 9 08716e616d656d696e"), ("HTTPS", '1 . key8="" key9="\\000\\029"')}
FOR_51 = {("RESINFO", '"qnamemin"'), ("HTTPS", "1 . ohttp tls-supported-groups=29")}


async def rows(daemon: Daemon) -> set[tuple[str, str]]:
    url = f"http://{daemon.http}/dns/lookup/info.lb.example/ANY"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        found = json.loads(await response.read())["result"]
    return {(row["qtype"], row["content"]) for row in found}


def text(**pdns: object) -> str:
    zone = table(
        'zones."lb.example"',
        ns=["ns1.example."],
        soa={"mname": "ns1.example.", "rname": "hostmaster"},
        static=[RESINFO, HTTPS],
    )
    return config(zone, table("pdns", **pdns))


async def test_they_are_written_for_the_version_that_is_configured() -> None:
    async with Daemon(text(version="5.1")) as daemon:
        assert await rows(daemon) == FOR_51
        daemon.configure(text(version="4.9.18"))
        daemon.reload()

        async def are_rewritten() -> bool:
            return await rows(daemon) == FOR_47

        await until(are_rewritten)
        assert "is read differently" not in daemon.log


async def test_they_follow_the_version_that_powerdns_tells(tmp_path: Path) -> None:
    """PowerDNS may start after the daemon, and may be there before it."""
    path = str(tmp_path / "control")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"5.1.5" if line == b"version\n" else b"1\n")
        await writer.drain()
        writer.transport.abort()

    async with Daemon(text(control_socket=path)) as daemon:
        assert await rows(daemon) == FOR_47
        async with await asyncio.start_unix_server(answer, path):

            async def are_rewritten() -> bool:
                return await rows(daemon) == FOR_51

            await until(are_rewritten)
            assert "has version 5.1.5" in daemon.log
            assert "are written for this PowerDNS from now on" in daemon.log
            async with Daemon(text(control_socket=path)) as later:
                assert await rows(later) == FOR_51
                assert "from now on" not in later.log


async def test_without_a_version_a_warning_names_what_may_be_read_otherwise() -> None:
    async with Daemon(text()) as daemon:
        assert await rows(daemon) == FOR_47
        assert "static[0].content: is read differently by PowerDNS 5.1 and newer" in daemon.log
        assert "static[1].content: is read differently by PowerDNS 5.1 and newer" in daemon.log


async def test_what_has_no_place_in_the_daemon_is_refused_by_pdnsutil_and_changes_nothing() -> None:
    """Catalog zones, autoprimaries, and the views and networks of PowerDNS 5."""
    if is_older_than(5, 0):
        orders: list[tuple[str, ...]] = [
            ("set-catalog", "lb.example", "catalog.example"),
            ("add-autoprimary", "192.0.2.9", "ns1.example"),
        ]
    else:
        orders = [
            ("catalog", "set", "lb.example", "catalog.example"),
            ("autoprimary", "add", "192.0.2.9", "ns1.example"),
            ("view", "add-zone", "inside", "lb.example..inside"),
            ("network", "set", "192.0.2.0/24", "inside"),
        ]
    async with serving(text(version=installed_version())) as served:
        for words in orders:
            code, output = await served.pdns.util(*words)
            assert code != 0, output
        assert (await served.ask("info", "HTTPS")).rcode == "NOERROR"
        assert (await served.ask("@", "SOA")).contents
