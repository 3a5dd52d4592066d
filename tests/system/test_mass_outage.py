"""10,000 records change at once, by an outage and by an override, and no lookup waits for it."""

import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.bench.beating import BeatingDaemon
from tests.checkers.servers import ScriptedServer, hang
from tests.notifications.hook import Hook
from tests.page.scene import OPERATE_TOKEN, write_tokens
from tests.rigs.processes import resident
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record, table

pytestmark = pytest.mark.soak

RECORDS = 10_000

LONGEST_STEP = 0.05
"""Seconds of CPU that the event loop may spend without answering a lookup."""

GROWTH = 60.0
"""Megabytes: about 6 kB for each record that is waiting to be notified and mirrored."""


def configured(targets: Sequence[HttpTarget], *parts: str) -> str:
    """10,000 records with a member for each of these targets."""
    records = (
        record(
            f"n{number}",
            dest=[
                {"host": f"10.{place}.{number >> 8}.{number & 255}", "check_address": target.host}
                for place, target in enumerate(targets)
            ],
        )
        for number in range(RECORDS)
    )
    checked = {"check": http(targets[0].port), "interval": 5}
    return config(*records, *parts, default=checked)


def longest_step(daemon: BeatingDaemon, since: float) -> float:
    return max((gap.own for gap in daemon.gaps(since)), default=0.0)


async def test_an_outage_delays_no_lookup_whatever_the_receivers_of_notifications_do() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with (
        farm(1) as (target,),
        ScriptedServer(hang) as stuck,
        Hook(*[500] * 1000) as failing,
        Hook(tls=tls) as hostile,
        Hook() as hook,
    ):
        text = configured(
            [target],
            table("notify.webhooks.stuck", url=f"http://127.0.0.1:{stuck.port}/", timeout=60.0),
            table("notify.webhooks.failing", url=failing.url),
            table("notify.webhooks.hostile", url=hostile.url),
            table("notify.webhooks.chat", url=hook.url),
        )
        daemon = BeatingDaemon(text)
        async with daemon:
            await daemon.ready()
            before = resident(daemon.pid)
            began = time.monotonic()
            await target.stop()
            await hook.events(RECORDS, within=60)
            await until(lambda: len(failing.deliveries) > 1, what="a retry")
            await daemon.logged("cannot notify webhook hostile")
            await target.start()
            await hook.events(2 * RECORDS, within=60)
            longest, grown = longest_step(daemon, began), resident(daemon.pid) - before
        assert longest < LONGEST_STEP, longest
        assert grown < GROWTH, grown
        assert stuck.connections == 1
        assert not hostile.deliveries


async def test_a_drain_of_a_data_centre_delays_no_lookup(tmp_path: Path) -> None:
    tokens = table("admin", token_file=str(write_tokens(tmp_path)))
    async with farm(2) as targets:
        daemon = BeatingDaemon(configured(targets, tokens))
        async with daemon:
            await daemon.ready()
            began = time.monotonic()
            status, _ = await order(daemon, "10.*")
            assert status == 409
            status, drain = await order(daemon, "10.0.*")
            assert status == 201
            await until(lambda: serve(daemon, 1), within=60, what="the other data centre alone")
            status, listed = await daemon.get("/api/v1/overrides", token=OPERATE_TOKEN)
            assert listed["overrides"][0]["affects"]["records"] == RECORDS
            path = f"/api/v1/overrides?target={drain['id']}"
            status, _ = await daemon.request("DELETE", path, token=OPERATE_TOKEN)
            assert status == 200
            await until(lambda: serve(daemon, 2), within=60, what="both data centres")
            longest = longest_step(daemon, began)
        assert longest < LONGEST_STEP, longest


async def order(daemon: BeatingDaemon, target: str) -> tuple[int, Any]:
    body = {"target": target, "action": "drain"}
    return await daemon.request("POST", "/api/v1/overrides", body, token=OPERATE_TOKEN)


async def serve(daemon: BeatingDaemon, members: int) -> bool:
    """Whether every record serves so many members."""
    _, shown = await daemon.get("/metrics", token=OPERATE_TOKEN)
    return f"dnslb_members_served {float(members * RECORDS)}" in shown
