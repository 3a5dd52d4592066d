"""Notifications of a running daemon: a receiver delays no answer, and no secret gets out."""

import asyncio
import time
from pathlib import Path

import aiohttp

from tests.checkers.servers import ScriptedServer, hang
from tests.notifications.hook import Hook
from tests.rigs.daemon import Daemon, follows
from tests.rigs.ports import free_port
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record, table

SECRET, PATH = "webhook-s3cret-0123456789", "path-s3cret"


def webhook(name: str, **keys: object) -> str:
    return table(f"notify.webhooks.{name}", **keys)


async def test_lookups_go_on_while_a_webhook_hangs() -> None:
    async with farm(2) as targets, ScriptedServer(hang) as stuck, Hook() as hook:
        www = record("www", dest=[each.host for each in targets], check=http(targets[0].port))
        text = config(
            www,
            webhook("stuck", url=f"http://127.0.0.1:{stuck.port}/", timeout=60.0),
            webhook("chat", url=hook.url, events=["decision", "down"]),
        )
        async with Daemon(text) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", {each.host for each in targets})
            for target in targets:
                await target.stop()
            events = await hook.events(3)
            await until(lambda: stuck.connections == 1)
            assert {event["event"] for event in events} == {"decision", "transition"}
            assert [event["to"] for event in events if event["event"] == "decision"] == ["nodata"]
            await follows(pdns, "www.lb.example", set())
            assert await slowest_lookup(daemon) < 1.0
            await targets[0].start()
            await follows(pdns, "www.lb.example", {targets[0].host})
            await hook.events(4)
            _, metrics = await daemon.get("/metrics")
            assert 'dnslb_notification_queue{receiver="webhook"} 2.0' in metrics
            began = time.monotonic()
            await daemon.stop()
            assert time.monotonic() - began < 10
            assert "notifications to webhook stuck were not sent" in daemon.log


async def slowest_lookup(daemon: Daemon) -> float:
    """The time of the slowest of a hundred lookups, in seconds."""
    url = f"http://{daemon.http}/dns/lookup/www.lb.example./A"
    slowest = 0.0
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            began = time.monotonic()
            async with session.get(url) as response:
                assert response.status == 200
            slowest = max(slowest, time.monotonic() - began)
    return slowest


async def test_no_secret_of_a_receiver_gets_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that begins with TLS waits for more than a line of it.
        head = (await reader.read(10_000)).decode(errors="replace")
        said = " | ".join([SECRET, *head.splitlines()])
        writer.write(f"HTTP/1.1 403 {said}\r\nContent-Length: 0\r\n\r\n".encode())

    async with ScriptedServer(echo) as server, farm(1) as (target,):
        www = record("www", dest=[target.host], check=http(target.port))
        keys = {"secret_file": str(tmp_path / "secret"), "events": ["down"]}
        text = config(
            www,
            webhook("echo", url=f"http://127.0.0.1:{server.port}/{PATH}", **keys),
            webhook("closed", url=f"http://127.0.0.1:{free_port()}/{PATH}", **keys),
            webhook("plain", url=f"https://127.0.0.1:{server.port}/{PATH}", **keys),
            loglevel="debug",
        )
        async with Daemon(text) as daemon:
            await target.stop()
            await daemon.logged("webhook echo refused: HTTP 403")
            await daemon.logged("cannot notify webhook closed, retrying")
            await daemon.logged("cannot notify webhook plain, retrying")
            pages = [await daemon.get(page) for page in ("/metrics", "/readyz", "/api/v1/status")]
            for shown in (daemon.log, *map(str, pages)):
                assert SECRET not in shown
                assert PATH not in shown


async def test_a_reload_follows_changes_of_receivers() -> None:
    async with farm(1) as (target,), Hook() as hook:
        www = record("www", dest=[target.host], check=http(target.port))
        async with Daemon(config(www)) as daemon:
            daemon.configure(config(www, webhook("chat", url=hook.url)))
            daemon.reload()
            await daemon.logged("reloaded: ")
            await target.stop()
            (event,) = await hook.events(1)
            assert (event["from"], event["to"]) == ("serve", "nodata")
            daemon.configure(config(www, webhook("chat", url="ftp://chat.example")))
            daemon.reload()
            await daemon.logged("reload refused: ")
            await target.start()
            assert [each["to"] for each in await hook.events(2)] == ["nodata", "serve"]


async def test_a_command_runs_with_the_events_of_a_daemon(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["sh", "-c", 'cat > "$0.part"; mv "$0.part" "$0"', str(out)]
    async with farm(1) as (target,):
        www = record("www", dest=[target.host], check=http(target.port))
        page = table("notify.commands.page", argv=argv)
        async with Daemon(config(www, page)):
            await target.stop()
            await until(out.exists)
            assert '"to": "nodata"' in out.read_text()
