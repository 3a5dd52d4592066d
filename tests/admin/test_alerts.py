"""Every alert rule fires in a staged fault, on a real Prometheus that scrapes a served node."""

import asyncio
import functools
import os
import re
import resource
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from dnslb_backend import metrics
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.core.overrides import Action, Override
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.resolutions import Resolution, Status
from tests.admin.node import BROKEN, Node, serving
from tests.admin.prometheus import Prometheus
from tests.admin.test_monitoring import RULES
from tests.core.building import KEY, ZONE, at, record
from tests.rigs.ports import free_port
from tests.rigs.waiting import until

WITHIN = 20.0
"""Seconds until an alert must fire: a rate needs two scrapes, and so some faults two strokes."""


@dataclass
class Stage:
    """A node that is well, scraped by a Prometheus that knows the rules."""

    node: Node
    prometheus: Prometheus
    ended: list[Callable[[], None]] = field(default_factory=list)


Fault = Callable[[Stage], None]


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    node = Node(record("10.0.0.1", "web.dc2.example"))
    node.resolve("web.dc2.example", "10.0.0.7")
    node.settle()
    async with serving(node, AdminSettings(listen="127.0.0.1:0")) as url:
        targets = {"node": url.removeprefix("http://"), "dnslb": f"127.0.0.1:{free_port()}"}
        async with Prometheus(targets, RULES) as prometheus:
            yield Stage(node, prometheus)
    metrics.BRAKE_ENGAGED.set(0)
    metrics.MIRROR_LAG.set(0)
    metrics.MIRROR_UP.clear()
    metrics.count_reload(True)


def nothing(_: Stage) -> None:
    """The job `dnslb` has nobody who answers, all the time."""


def restart(stage: Stage) -> None:
    stage.node.since += 1


def run_out_of_descriptors(stage: Stage) -> None:
    """Take many, then leave only a few more; what was taken is given back at the end."""
    if stage.ended:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(1) for _ in range(400)]
    in_use = int(metrics.REGISTRY.get_sample_value("dnslb_process_open_fds") or 0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 50, hard))
    assert in_use / (max(taken) + 50) > 0.8
    stage.ended.append(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    stage.ended += [functools.partial(os.close, fd) for fd in taken]


def add_an_unready_record(stage: Stage) -> None:
    new = record("10.0.0.9", key=RecordKey(ZONE, f"new.{ZONE}", "A"))
    stage.node.adopt(stage.node.map.records[KEY].record, new)


def everybody_down(stage: Stage) -> None:
    stage.node.round({"10.0.0.1": BROKEN, "10.0.0.7": BROKEN})


def lose_the_resolver(stage: Stage) -> None:
    stage.node.map.resolved(KEY, "web.dc2.example", Resolution(Status.FAILED), at(0))
    stage.node.clock += 1000


def drain(stage: Stage) -> None:
    order = Override("1", "10.0.0.1", Action.DRAIN, created=1.0)
    stage.node.map.set_overrides([order], stage.node.now())


METER = metrics.LookupMeter("http")

FAULTS: dict[str, Fault] = {
    "DnslbDown": nothing,
    "DnslbNotReady": add_an_unready_record,
    "DnslbNobodyServes": everybody_down,
    "DnslbLookupFaults": lambda _: METER.count("fault", 1e-5),
    "DnslbLookupsSlow": lambda _: METER.count("found", 0.5),
    "DnslbMembersDown": everybody_down,
    "DnslbFlapping": lambda _: metrics.TRANSITIONS.labels("DOWN").inc(500),
    "DnslbStale": lambda stage: stage.node.wait(1000),
    "DnslbHostsOverdue": lose_the_resolver,
    "DnslbBrakeEngaged": lambda _: metrics.BRAKE_ENGAGED.set(1),
    "DnslbOverrideForgotten": drain,
    "DnslbErrors": lambda _: metrics.count_error("resolver"),
    "DnslbReloadRefused": lambda _: metrics.count_reload(False),
    "DnslbSchedulerLate": lambda _: metrics.SCHEDULER_LAG.observe(5),
    "DnslbEventLoopDelayed": lambda _: metrics.EVENT_LOOP_DELAY.observe(2),
    "DnslbRestarting": restart,
    "DnslbFileDescriptors": run_out_of_descriptors,
    "DnslbPurgeFailing": lambda _: metrics.PURGE_FAILURES.inc(),
    "DnslbMirrorDown": lambda _: metrics.MIRROR_UP.labels("mariadb").set(0),
    "DnslbMirrorBehind": lambda _: metrics.MIRROR_LAG.set(600),
}


def test_every_alert_has_its_fault() -> None:
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), flags=re.MULTILINE)
    assert alerts == list(FAULTS)


async def test_a_node_that_is_well_raises_nothing(stage: Stage) -> None:
    """Runs first; the job without a node is down from the start."""
    ready = 'dnslb_members_served{job="node"}'
    await until(lambda: stage.prometheus.value(ready), within=WITHIN, what="a first scrape")
    await until(stage.prometheus.firing, within=WITHIN, what="a first evaluation")
    assert await stage.prometheus.firing() <= {"DnslbDown"}
    assert await stage.prometheus.value(ready) == 2


@pytest.mark.parametrize("alert", FAULTS)
async def test_an_alert_fires_in_its_fault(stage: Stage, alert: str) -> None:
    async def fires() -> bool:
        FAULTS[alert](stage)
        return alert in await stage.prometheus.firing()

    try:
        await until(fires, within=WITHIN, what=alert)
    finally:
        for end in stage.ended:
            await asyncio.to_thread(end)
        stage.ended.clear()
