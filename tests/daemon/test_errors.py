"""Every component's unexpected exceptions are counted, for the alert DnslbErrors."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import aiohttp
import pytest

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.resolver import Family, Resolver
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.clock import now
from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.results import failed
from dnslb_backend.core.model.plan import PlanChange
from dnslb_backend.core.model.records import Record
from dnslb_backend.daemon.change_publisher import ChangePublisher
from dnslb_backend.daemon.supervisor import BackgroundService, supervise
from dnslb_backend.metrics import Component
from dnslb_backend.notifications.dispatcher import Dispatcher
from dnslb_backend.notifications.settings import CommandSettings, Receivers
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import PdnsSettings
from tests.admin.node import Node, serving
from tests.core.building import Driver, plan, record
from tests.pdns.transports import serve_http
from tests.rigs.waiting import until
from tests.test_metrics import value

Fail = Callable[[Path], Awaitable[None]]


class BrokenError(Exception):
    """What no code expects."""


def broken(*_: object) -> None:
    raise BrokenError


def counted(component: Component) -> float:
    return value("dnslb_errors_total", component=component)


class BrokenResolver(Resolver):
    async def resolve(self, host: str, family: Family, limit: float) -> Resolution:
        raise BrokenError


async def run_until_counted(component: Component, work: Awaitable[None]) -> None:
    before = counted(component)
    running = asyncio.ensure_future(work)
    await until(lambda: counted(component) > before, what=f"an error of {component}")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def check_cycle(
    component: Component, one: Record, check: Check, changed: Callable[[], None] = lambda: None
) -> None:
    """Check one record until an error is counted."""
    health = HealthMap()
    health.apply_plan(plan(one), now())
    async with CheckResources() as resources, BrokenResolver() as resolver:
        scheduler = Scheduler(health, resolver, resources, slots=9, changed=changed)
        scheduler.apply_plan({"check": check}, PlanChange(), 9)
        await run_until_counted(component, scheduler.run())


async def fail_check(_: Path) -> None:
    missing = parse_check({"type": "exec", "argv": ["/no/such/command"]})
    await check_cycle("check", record("192.0.2.1"), missing)


async def fail_resolver(_: Path) -> None:
    await check_cycle("resolver", record("web.example"), parse_check({"type": "static"}))


async def fail_scheduler(_: Path) -> None:
    check = parse_check({"type": "push", "token": "t0ken", "max_silence": 60})
    empty = replace(record("192.0.2.1"), dests=())
    await check_cycle("scheduler", empty, check, changed=broken)


async def fail_publisher(_: Path) -> None:
    publisher = ChangePublisher(HealthMap().take_in_parts, [broken])
    publisher.notify()
    await run_until_counted("publisher", publisher.run())


async def fail_lookup(_: Path) -> None:
    def snapshot() -> None:
        raise BrokenError

    responder = Responder(snapshot)  # type: ignore[arg-type]
    async with serve_http(responder) as port, aiohttp.ClientSession() as session:
        before = counted("lookup")
        url = f"http://127.0.0.1:{port}/dns/lookup/www.lb.example/A"
        async with session.get(url) as response:
            assert response.status == 500
        assert counted("lookup") == before + 1


async def fail_purge(folder: Path) -> None:
    path = str(folder / "control")
    async with await asyncio.start_unix_server(lambda _, writer: writer.close(), path):
        purger = Purger(PdnsSettings(control_socket=(path,)))
        purger.purge([PurgeItem("no-utf-8\ud800.example")])
        await run_until_counted("purge", purger.run(lambda: None))


async def fail_notify(_: Path) -> None:
    async def run(*_: object) -> str:
        raise BrokenError

    driver = Driver(record("192.0.2.1"))
    receivers = Receivers(commands={"pager": CommandSettings(argv=["page"])})
    dispatcher = Dispatcher(receivers, "ns1", run, now)
    driver.round({"192.0.2.1": failed(1, "no")})
    dispatcher.publish(driver.health_map.take_changes())
    await run_until_counted("notify", dispatcher.run())
    assert dispatcher.waiting("command") == 1


async def fail_admin(_: Path) -> None:
    node = Node()
    node.health_map = None  # type: ignore[assignment]
    async with (
        serving(node, AdminSettings(listen="127.0.0.1:0")) as url,
        aiohttp.ClientSession() as session,
    ):
        before = counted("admin")
        async with session.get(f"{url}/api/v1/status") as response:
            assert response.status == 500
        assert counted("admin") == before + 1


def fail_service(component: Component) -> Fail:
    """A service of the daemon that ends with an exception and is restarted."""

    async def fail(_: Path) -> None:
        async def run() -> None:
            raise BrokenError

        await run_until_counted(
            component, supervise(BackgroundService("a service", component, run))
        )

    return fail


FAILURES: dict[Component, Fail] = {
    "check": fail_check,
    "resolver": fail_resolver,
    "scheduler": fail_scheduler,
    "publisher": fail_publisher,
    "lookup": fail_lookup,
    "purge": fail_purge,
    "notify": fail_notify,
    "admin": fail_admin,
    "mirror": fail_service("mirror"),
    "reload": fail_service("reload"),
    "daemon": fail_service("daemon"),
    "quorum": fail_service("quorum"),
}


def test_every_component_can_fail_here() -> None:
    assert FAILURES.keys() == set(get_args(Component))


@pytest.mark.parametrize("component", FAILURES)
async def test_an_unexpected_exception_counts_for_its_component(
    component: Component, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await FAILURES[component](tmp_path)
    assert any(each.levelname == "ERROR" for each in caplog.records)
