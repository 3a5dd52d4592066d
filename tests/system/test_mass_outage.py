"""10,000 records change at once, with receivers of notifications that hang, fail and lie."""

import ssl
import time

import pytest
import trustme

from tests.bench.beating import BeatingDaemon
from tests.checkers.servers import ScriptedServer, hang
from tests.notifications.hook import Hook
from tests.rigs.processes import resident
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record, table

RECORDS = 10_000

LONGEST_STEP = 0.05
"""Seconds of CPU that the event loop may spend without answering a lookup."""

GROWTH = 60.0
"""Megabytes: about 6 kB for each record that is waiting to be notified and mirrored."""


def address(number: int) -> str:
    return f"10.0.{number >> 8}.{number & 255}"


@pytest.mark.soak
async def test_an_outage_of_ten_thousand_records_delays_no_lookup() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with (
        farm(1) as (target,),
        ScriptedServer(hang) as stuck,
        Hook(*[500] * 1000) as failing,
        Hook(tls=tls) as hostile,
        Hook() as hook,
    ):
        text = config(
            *(
                record(f"n{number}", dest=[{"host": address(number), "check_address": target.host}])
                for number in range(RECORDS)
            ),
            table("notify.webhooks.stuck", url=f"http://127.0.0.1:{stuck.port}/", timeout=60.0),
            table("notify.webhooks.failing", url=failing.url),
            table("notify.webhooks.hostile", url=hostile.url),
            table("notify.webhooks.chat", url=hook.url),
            default={"check": http(target.port), "interval": 5},
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
            longest = max((gap.own for gap in daemon.gaps(began)), default=0.0)
            grown = resident(daemon.pid) - before
        assert longest < LONGEST_STEP, longest
        assert grown < GROWTH, grown
        assert stuck.connections == 1
        assert not hostile.deliveries
