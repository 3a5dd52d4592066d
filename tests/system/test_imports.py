"""Imported configurations against what they came from: a real PowerDNS, a real MariaDB.

PowerDNS serves the zone with its LUA records from a file; the daemon serves what was imported. Both
check the same targets. A random answer is a set of possible ones: it is asked for until every one
of them was seen.
"""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dnslb_backend.importers.acceptance import accepted_text
from dnslb_backend.importers.lua import draft_of_zone
from tests.cli.command import run, run_afresh
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import executable
from tests.rigs.targets import farm
from tests.rigs.waiting import until

SAMPLES = Path(__file__).parent.parent / "importers/samples"

ASKED = 16
"""How often a random answer is asked for; what was not seen yet is asked for again."""

ZONE = """\
$ORIGIN lb.example.
$TTL 5
@        IN SOA ns1 hostmaster 1 7200 600 1209600 5
@        IN NS  ns1
ns1      IN A   192.0.2.53
@        IN MX  10 mail
mail     IN A   192.0.2.25
port     IN LUA A "ifportup({port}, {{'127.0.0.2', '127.0.0.3'}}, {{interval=1}})"
allup    IN LUA A ( "ifportup({port}, {{'127.0.0.2', '127.0.0.3'}}, "
                    "{{selector='all', backupSelector='all', interval=1}})" )
url      IN LUA A ( "ifurlup('http://www.lb.example:{port}/', {{'127.0.0.2', '127.0.0.3'}}, "
                    "{{selector='all', backupSelector='all', stringmatch='ok', interval=1}})" )
tiers    IN LUA A ( "ifurlup('http://www.lb.example:{port}/', "
                    "{{{{'127.0.0.2'}}, {{'127.0.0.3'}}}}, {{interval=1}})" )
rand     IN LUA A "pickrandom({{'192.0.2.1', '192.0.2.2'}})"
sample   IN LUA A "pickrandomsample(2, {{'192.0.2.1', '192.0.2.2', '192.0.2.3'}})"
weighted IN LUA A "pickwrandom({{{{0, '192.0.2.1'}}, {{5, '192.0.2.2'}}}})"
every    IN LUA A "all({{'192.0.2.1', '192.0.2.2'}})"
six      IN LUA AAAA "'2001:db8::1'"
alias    IN LUA CNAME "'ns1.lb.example'"
view     IN LUA A ( "view({{ {{{{'127.0.0.0/8'}}, {{'192.0.2.7'}}}}, "
                    "{{{{'0.0.0.0/0'}}, {{'192.0.2.8'}}}} }})" )
office   IN LUA A ( ";if netmask({{'10.0.0.0/8'}}) then return '192.0.2.1' "
                    "elseif netmask({{'127.0.0.0/8'}}) then return '192.0.2.2' "
                    "else return '192.0.2.3' end" )
"""

NAMES = (
    *((name, "A") for name in ("port", "allup", "url", "tiers", "rand", "sample", "weighted")),
    *((name, "A") for name in ("every", "view", "office", "ns1", "mail")),
    ("six", "AAAA"),
    ("alias", "CNAME"),
    ("@", "MX"),
    ("@", "NS"),
)


async def possible(pdns: PowerDNS, name: str, qtype: str) -> set[frozenset[str]]:
    """Every answer that a name server gives of those that it may pick from."""
    full = "lb.example" if name == "@" else f"{name}.lb.example"
    # One after the other: questions that come together may well be picked for together.
    answers = [await pdns.ask(full, qtype) for _ in range(ASKED)]
    assert {answer.rcode for answer in answers} == {"NOERROR"}, name
    return {frozenset(answer.contents) for answer in answers}


async def differences(lua: PowerDNS, ours: PowerDNS) -> dict[str, object]:
    """What either may answer, of each name for which it is not the same."""
    theirs, own = await asyncio.gather(*(_all_possible(pdns) for pdns in (lua, ours)))
    both = zip(NAMES, theirs, own, strict=True)
    return {name: (first, second) for (name, _), first, second in both if first != second}


async def _all_possible(pdns: PowerDNS) -> list[set[frozenset[str]]]:
    return await asyncio.gather(*(possible(pdns, name, qtype) for name, qtype in NAMES))


@asynccontextmanager
async def both(tmp_path: Path, text: str) -> AsyncIterator[tuple[PowerDNS, PowerDNS]]:
    """PowerDNS with the zone, and PowerDNS with what was imported of it."""
    (tmp_path / "lb.zone").write_text(text)
    (tmp_path / "named.conf").write_text(
        f'zone "lb.example" {{ type master; file "{tmp_path}/lb.zone"; }};\n'
    )
    settings = {
        "launch": "bind",
        "bind-config": str(tmp_path / "named.conf"),
        "enable-lua-records": "yes",
        "lua-health-checks-interval": 1,
    }
    imported = await asyncio.to_thread(_imported, text)
    async with PowerDNS(settings) as lua, Daemon(imported) as daemon, daemon.powerdns() as ours:
        yield lua, ours


def _imported(text: str) -> str:
    draft = draft_of_zone(text, "lb.zone", None)
    imported = accepted_text(draft)
    assert draft.notes == []
    return imported


async def settled(lua: PowerDNS, ours: PowerDNS) -> None:
    """Both see the same; it takes some rounds of checks."""
    last: dict[str, object] = {}

    async def agree() -> bool:
        last.clear()
        last.update(await differences(lua, ours))
        return not last

    try:
        await until(agree, within=30)
    except TimeoutError:
        pytest.fail(f"theirs and ours differ: {last}")


async def test_answers_are_those_of_the_lua_records(tmp_path: Path) -> None:
    async with (
        farm(2) as targets,
        both(tmp_path, ZONE.format(port=targets[0].port)) as (lua, ours),
    ):
        await settled(lua, ours)
        assert await possible(ours, "tiers", "A") == {frozenset({"127.0.0.2"})}

        await targets[0].stop()
        await until(lambda: _are_served(ours, "allup", "127.0.0.3"), within=15)
        await settled(lua, ours)
        assert await possible(ours, "port", "A") == {frozenset({"127.0.0.3"})}
        assert await possible(ours, "tiers", "A") == {frozenset({"127.0.0.3"})}

        await targets[0].start()
        targets[0].body = "no"
        await until(lambda: _are_served(ours, "allup", "127.0.0.2", "127.0.0.3"), within=15)
        await settled(lua, ours)
        assert await possible(ours, "url", "A") == {frozenset({"127.0.0.3"})}

        await targets[0].stop()
        await targets[1].stop()
        await until(lambda: _are_served(ours, "url", "127.0.0.2", "127.0.0.3"), within=15)
        await settled(lua, ours)


async def _are_served(pdns: PowerDNS, name: str, *addresses: str) -> bool:
    return (await pdns.ask(f"{name}.lb.example")).addresses == set(addresses)


async def test_what_pdnsutil_lists_is_imported(tmp_path: Path) -> None:
    async with both(tmp_path, ZONE.format(port=1)) as (lua, _):
        code, listed = await lua.util("list-zone", "lb.example")
        assert code == 0
        rows = [row for row in listed.splitlines() if "\t" in row or row.startswith("$")]
    found = tomllib.loads(await asyncio.to_thread(_imported, "\n".join(rows) + "\n"))
    written = tomllib.loads(await asyncio.to_thread(_imported, ZONE.format(port=1)))
    assert found["zones"]["lb.example"]["records"] == written["zones"]["lb.example"]["records"]


async def test_a_database_gives_what_its_dump_gives(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret'é\nmore")
    async with MariaDB(tcp=True) as server:
        await server.query("CREATE DATABASE powergslb CHARACTER SET utf8mb4")
        await _load(server, (SAMPLES / "powergslb-2.sql").read_bytes())
        await server.query("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 's3cret\\'é'")
        await server.query("GRANT SELECT ON powergslb.* TO reader@'127.0.0.1'")
        url = f"mysql://reader@127.0.0.1:{server.port}/powergslb"

        live = await run("import", "powergslb", url, "--password-file", str(password))
        assert live.code == 0, live.err
        expected = (SAMPLES / "powergslb-2.toml").read_text().splitlines()
        assert live.out.splitlines()[1:] == expected[1:]
        head = "# Written by `dnslb-backend import powergslb` from database powergslb."
        assert live.out.splitlines()[0] == head

        by_variable = await run_afresh("import", "powergslb", url, DNSLB_IMPORT_PASSWORD="s3cret'é")
        assert by_variable.out == live.out
        local = f"mysql://root@localhost/powergslb?unix_socket={server.socket}"
        assert (await run("import", "powergslb", local)).out == live.out

        refused = await run("import", "powergslb", url)
        assert refused.code == 1
        assert "Access denied" in refused.err
        other = await run("import", "powergslb", local.replace("/powergslb?", "/mysql?"))
        assert other.code == 1
        assert "no database of PowerGSLB" in other.err


async def _load(server: MariaDB, dump: bytes) -> None:
    process = await asyncio.create_subprocess_exec(
        executable("mariadb"),
        f"--socket={server.socket}",
        "--user=root",
        "powergslb",
        stdin=asyncio.subprocess.PIPE,
    )
    await process.communicate(dump)
    assert process.returncode == 0
