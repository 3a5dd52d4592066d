"""Reload: all of the new configuration or nothing of it, and those who ask notice nothing."""

import asyncio
import fcntl
import os
import signal
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.cli.command import run
from tests.rigs.daemon import Daemon, follows
from tests.rigs.hung_storage import hung
from tests.rigs.ports import free_port
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import passes, until
from tests.system.stream import Stream
from tests.system.writing import BROKEN, FINE, config, http, record, table

TOKEN = "operate-it-0123456789abcdef"


async def reloaded(daemon: Daemon, text: str) -> None:
    """The daemon runs on this configuration now."""
    seen = len(daemon.log)
    daemon.configure(text)
    daemon.reload()
    await daemon.logged("reloaded: ", after=seen)


async def test_who_asks_meanwhile_sees_no_reload() -> None:
    async with farm(3) as (first, second, third):
        www = record("www", dest=[first.host, second.host], check=http(first.port))
        six = record("www", "AAAA", dest=["2001:db8::1"], check=FINE)
        dead = record("dead", dest=[third.host], check=http(third.port))
        third.fail()
        async with Daemon(config(www, six, dead)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", {first.host, second.host})
            expected = {
                ("www.lb.example", "A"): {first.host, second.host},
                ("www.lb.example", "AAAA"): {"2001:db8::1"},
                ("dead.lb.example", "A"): set(),
            }
            before = len(daemon.log)
            async with Stream(pdns, expected) as stream:
                for number in range(8):
                    come = [record(f"n{n}", dest=["192.0.2.1"], check=FINE) for n in range(number)]
                    mail = record(
                        "mail", dest=[f"192.0.2.{number}"], check=[BROKEN, FINE][number % 2]
                    )
                    await reloaded(daemon, config(www, six, dead, mail, *come))
                    await stream.goes_on(30)
                # Nor did anything happen to their targets: no transition, and no pause.
                await first.probed(within=2)
                transitions = daemon.log[before:].splitlines()
                assert any("mail.lb.example/A" in line for line in transitions)
                assert not any(
                    f"{name}.lb.example/A" in "".join(transitions) for name in ("www", "dead")
                )
            # What came and what went is there and gone.
            await follows(pdns, "n6.lb.example", {"192.0.2.1"})
            await reloaded(daemon, config(www))
            assert (await pdns.ask("n6.lb.example")).rcode == "NXDOMAIN"
            assert (await pdns.ask("www.lb.example", "AAAA")).is_nodata


async def test_what_is_new_or_changed_is_checked_at_once() -> None:
    async with farm(3) as (first, second, third):
        slow = {"interval": 600, "timeout": 2}
        old = record("old", dest=[first.host], check=http(first.port), **slow)
        changing = record("changing", dest=[first.host], check=http(first.port), **slow)
        async with (
            Daemon(config(old, changing)) as daemon,
            daemon.powerdns(zone_cache_refresh_interval=1) as pdns,
        ):
            await follows(pdns, "old.lb.example", {first.host})
            probed = first.hits
            second.fail()
            new = record("new", dest=[second.host, third.host], check=http(first.port), **slow)
            changed = record("changing", dest=[third.host], check=http(first.port), **slow)
            zone = table('zones."new.example"')
            api = table('zones."new.example".records.api.A', dest=[third.host], check=FINE)
            began = time.monotonic()
            await reloaded(daemon, config(old, changed, new, zone, api))
            await follows(pdns, "new.lb.example", {third.host})
            await follows(pdns, "changing.lb.example", {third.host})
            assert time.monotonic() - began < 3
            # Old ones wait for their time.
            assert first.hits == probed
            # PowerDNS looks for zones every second here.
            await follows(pdns, "api.new.example", {third.host})


async def test_a_changed_record_keeps_its_answer_until_it_was_checked_anew() -> None:
    async with HttpTarget() as before, HttpTarget(before.host) as after:
        after.hang()
        www = record("www", dest=[before.host], check=http(before.port))
        other = record("www", dest=[before.host], check=http(after.port), timeout=5, interval=60)
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", {before.host})
            async with Stream(pdns, {("www.lb.example", "A"): {before.host}}) as stream:
                await reloaded(daemon, config(other))
                await until(lambda: after.hits)
                await stream.goes_on()
                after.heal()
                await stream.goes_on()
            assert "no longer served" not in daemon.log
            # And what the new check says counts.
            await after.stop()
            await reloaded(daemon, config(other.replace("interval = 60", "interval = 61")))
            await follows(pdns, "www.lb.example", set())


BAD = {
    "no TOML": "[global",
    "unknown key": config(record("www", dest=["192.0.2.9"], colour="red")),
    "no records, and a section of no meaning": table("nonsense"),
    "one good record and a bad one": config(
        record("new", dest=["192.0.2.8"], check=FINE), record("www", dest=[])
    ),
}


@pytest.mark.parametrize("why", BAD)
async def test_a_bad_file_changes_nothing_and_is_logged(why: str) -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        async with Stream(pdns, {("www.lb.example", "A"): {"192.0.2.1"}}) as stream:
            daemon.config_file.write_text(BAD[why])
            daemon.reload()
            line = await daemon.logged(f"reload refused: {daemon.config_file}: ")
            assert " error " in line
            await stream.goes_on()
        _, report = await daemon.get("/readyz")
        assert report["details"]["config"]["problem"] in line
        shown = await run(
            "status", "-c", str(daemon.config_file), "--admin", f"http://{daemon.admin}"
        )
        assert "CONFIG: running is not what is on disk, reload refused" in shown.out
        assert (await pdns.ask("new.lb.example")).rcode == "NXDOMAIN"
        # Its rounds go on, and so does the next reload.
        _, status = await daemon.get("/api/v1/status")
        last = status["members"][0]["last_check"]

        async def checked_again() -> bool:
            _, status = await daemon.get("/api/v1/status")
            return bool(status["members"][0]["last_check"] > last)

        await until(checked_again)
        await reloaded(daemon, config(record("www", dest=["192.0.2.2"], check=FINE)))
        await follows(pdns, "www.lb.example", {"192.0.2.2"})


def by_signal(number: signal.Signals) -> Callable[[Daemon], Awaitable[None]]:
    async def tell(daemon: Daemon) -> None:
        daemon.signal(number)

    return tell


async def by_command(daemon: Daemon) -> None:
    ended = await run("reload", "-c", str(daemon.config_file))
    assert (ended.code, ended.out) == (0, "Reloaded: 2 records, 1 new or changed, 0 removed.\n")


async def by_api(daemon: Daemon) -> None:
    status, report = await daemon.request("POST", "/api/v1/reload", {}, token=TOKEN)
    assert status == 200
    assert (report["records"], report["changed"], report["removed"]) == (2, 1, 0)


WAYS = {
    "SIGHUP": by_signal(signal.SIGHUP),
    "SIGUSR1": by_signal(signal.SIGUSR1),
    "command": by_command,
    "API": by_api,
}


@pytest.fixture
def admin(tmp_path: Path) -> str:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"operate {TOKEN} tester\nread reader-0123456789abcdef\n")
    tokens.chmod(0o600)
    return table("admin", token_file=str(tokens))


@pytest.mark.parametrize("way", WAYS)
async def test_there_are_four_ways_to_reload(way: str, admin: str) -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(admin, www)) as daemon, daemon.powerdns() as pdns:
        daemon.configure(config(admin, www, record("new", dest=["192.0.2.2"], check=FINE)))
        await WAYS[way](daemon)
        await daemon.logged("reloaded: 2 records, 1 new or changed, 0 removed")
        await follows(pdns, "new.lb.example", {"192.0.2.2"})


async def test_who_orders_a_bad_reload_is_told_why(admin: str) -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(admin, www)) as daemon:
        daemon.configure(config(admin, record("www", dest=[])))
        status, problem = await daemon.request("POST", "/api/v1/reload", {}, token=TOKEN)
        assert status == 409
        assert "records.www.A.dest" in problem["errors"][0]["field"]
        ended = await run("reload", "-c", str(daemon.config_file))
        assert ended.code == 126
        assert "records.www.A.dest" in ended.err
        # And who may not order one changes nothing.
        daemon.configure(config(admin))
        for token, expected in (("", 401), ("reader-0123456789abcdef", 403), ("wrong", 401)):
            status, _ = await daemon.request("POST", "/api/v1/reload", {}, token=token)
            assert status == expected
        _, report = await daemon.get("/api/v1/status")
        assert len(report["records"]) == 1


async def test_the_listener_for_operators_moves() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon:
        before = daemon.admin
        moved = f"127.0.0.1:{free_port()}"
        await reloaded(daemon, config(table("admin", listen=moved), www))
        assert daemon.admin == moved
        assert await daemon.health("/readyz")
        daemon.config["admin"]["listen"] = before
        await until(lambda: is_gone(daemon))


async def is_gone(daemon: Daemon) -> bool:
    return not await daemon.health("/livez")


async def test_who_reloads_through_the_listener_that_moves_hears_of_it(admin: str) -> None:
    www, new = (record(name, dest=["192.0.2.1"], check=FINE) for name in ("www", "new"))
    async with Daemon(config(admin, www)) as daemon:
        before, after = daemon.admin, f"127.0.0.1:{free_port()}"
        moved = admin + f'listen = "{after}"\n'
        daemon.configure(config(moved, www, new))
        daemon.config["admin"]["listen"] = before
        await by_api(daemon)
        await until(lambda: is_gone(daemon))
        daemon.config["admin"]["listen"] = after
        _, report = await daemon.get("/api/v1/status")
        assert len(report["records"]) == 2


async def test_who_may_connect_follows_a_reload_and_the_node_does_not(tmp_path: Path) -> None:
    path = tmp_path / "pdns.sock"
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(table("server", unix=str(path)), www)) as daemon:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        closed = table("server", unix=str(path), unix_mode="0600")
        await reloaded(daemon, config(closed, www, node="other"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await daemon.logged("global.node: is ")
        nobody = table("server", unix=str(path), unix_mode="0666", unix_group="no such group")
        daemon.configure(config(nobody, www))
        daemon.reload()
        await daemon.logged("reload refused: ")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_locks_of_others_hold_up_neither_start_nor_reload_nor_stop(tmp_path: Path) -> None:
    """The folder's may be taken by any local user; that beside the socket by another daemon."""
    www = record("www", dest=["192.0.2.1"], check=FINE)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    before = config(table("server", unix=str(tmp_path / "old.sock")), www)
    after = config(table("server", unix=str(tmp_path / "new.sock")), www)
    async with Daemon(before) as daemon:
        with (tmp_path / "new.sock.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            daemon.configure(after)
            daemon.reload()
            refused = asyncio.create_task(daemon.logged("reload refused: "))
            while not refused.done():
                assert await daemon.health("/livez")
                await passes(0.1)
            assert "another process is opening its socket" in await refused
        await reloaded(daemon, after)
        assert await daemon.stop() == 0
    assert [entry.name for entry in os.scandir(folder)] == []
    os.close(folder)


async def test_what_http_serves_and_by_which_name_follows_a_reload() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    write = {"method": "setDomainMetadata", "parameters": {"name": "lb.example.", "kind": "X-A"}}
    async with Daemon(config(www)) as daemon, aiohttp.ClientSession() as session:

        async def ask(host: str) -> int:
            url = f"http://{daemon.http}/dns"
            async with session.post(url, json=write, headers={"Host": host}) as reply:
                return reply.status

        assert (await ask("localhost"), await ask("dnslb.example.com")) == (500, 403)
        server = table("server", http_keys=True, hosts=["dnslb.example.com"])
        await reloaded(daemon, config(server, www))
        assert (await ask("localhost"), await ask("dnslb.example.com")) == (200, 200)
        await daemon.logged("PowerDNS wrote: setDomainMetadata")
        await reloaded(daemon, config(www))
        assert (await ask("localhost"), await ask("dnslb.example.com")) == (500, 403)


async def test_the_listener_for_powerdns_moves() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon, daemon.powerdns() as old:
        await follows(old, "www.lb.example", {"192.0.2.1"})
        moved = f"127.0.0.1:{free_port()}"
        began = time.monotonic()
        await reloaded(daemon, config(table("server", http=moved), www))
        assert time.monotonic() - began < 5
        async with daemon.powerdns() as new:
            await follows(new, "www.lb.example", {"192.0.2.1"})
        assert (await old.ask("www.lb.example")).rcode == "SERVFAIL"
        await reloaded(daemon, config(table("server", http=""), www))
        assert await daemon.health("/readyz")
        await reloaded(daemon, config(table("server", http=moved), www))
        daemon.configure(config(table("server", http=moved), www))
        async with daemon.powerdns() as new:
            await follows(new, "www.lb.example", {"192.0.2.1"})


@pytest.mark.parametrize(("section", "key"), [("server", "http"), ("admin", "listen")])
async def test_a_listener_that_cannot_be_had_refuses_the_reload(section: str, key: str) -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon, Daemon(config()) as other, daemon.powerdns() as pdns:
        taken = other.config[section][key]
        new = record("new", dest=["192.0.2.2"], check=FINE)
        daemon.configure(config(table(section, **{key: taken}), www, new))
        daemon.reload()
        line = await daemon.logged("reload refused: ")
        assert f"{section}.{key}" in line
        assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}
        assert (await pdns.ask("new.lb.example")).rcode == "NXDOMAIN"


async def test_who_may_ask_changes_with_a_reload() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        await reloaded(daemon, config(table("server", allow=["192.0.2.0/24"]), www))
        # That it was connected already does not help.
        assert (await pdns.ask("www.lb.example")).rcode == "SERVFAIL"
        await reloaded(daemon, config(table("server", allow=["127.0.0.1/32"]), www))
        await follows(pdns, "www.lb.example", {"192.0.2.1"})


async def test_a_heap_of_signals_ends_with_the_newest_configuration() -> None:
    www = record("www", dest=["192.0.2.1"], check=FINE)
    async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
        for number in range(30):
            daemon.configure(config(www, record(f"n{number}", dest=["192.0.2.2"], check=FINE)))
            daemon.signal([signal.SIGHUP, signal.SIGUSR1][number % 2])
        await follows(pdns, "n29.lb.example", {"192.0.2.2"})
        assert (await pdns.ask("n28.lb.example")).rcode == "NXDOMAIN"
        # One that is told to end in the middle of it does so.
        daemon.reload()
        assert await daemon.stop() == 0
        assert "raceback" not in daemon.log


async def test_a_reload_in_the_first_round_goes_on_with_it() -> None:
    async with HttpTarget() as target:
        target.hang()
        slow = {"timeout": 30, "interval": 60}
        www = record("www", dest=[target.host], check=http(target.port), **slow)
        six = record("six", "AAAA", dest=["2001:db8::1"], check=["sleep", "30"], **slow)
        async with Daemon(config(www, six), ready=False) as daemon, daemon.powerdns() as pdns:
            await until(lambda: target.hits)
            early = record("early", dest=["192.0.2.1"], check=FINE)
            await reloaded(daemon, config(www, early))
            await follows(pdns, "early.lb.example", {"192.0.2.1"})
            assert (await pdns.ask("www.lb.example")).rcode == "SERVFAIL"
            assert not await daemon.health("/readyz")
            target.heal()
            await follows(pdns, "www.lb.example", {target.host})
            await daemon.ready()
            # It was asked once: the probe that was under way is the one that counted.
            assert target.hits == 1


async def test_a_file_on_storage_that_hangs_stops_neither_answers_nor_the_stop(
    tmp_path: Path, admin: str
) -> None:
    drop_in = tmp_path / "more.toml"
    drop_in.write_text("")
    www = record("www", dest=["192.0.2.1"], check=FINE)
    text = config(admin, www, load_records=[str(drop_in)])
    async with Daemon(text) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        with hung(drop_in) as is_held:
            daemon.reload()
            await until(is_held)
            await follows(pdns, "www.lb.example", {"192.0.2.1"})
            assert await daemon.stop() == 0
