"""Ten thousand members: they are all there, found at once, and a change is seen.

How long it takes is measured by `make bench ARGS="--only page"`; here nothing fails because a
machine is slow.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.bench.beating import LargeDaemon
from tests.bench.page import (
    FLIPPING,
    TOKEN,
    WATCH,
    configuration,
    figures,
    order,
)
from tests.page.looking import health, member, to_the_end
from tests.rigs.browser import visiting

MEMBERS = 10_000

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LargeDaemon]:
    config = configuration(MEMBERS, tmp_path_factory.mktemp("crowd"))
    async with LargeDaemon(config, ready=False) as daemon:
        await daemon.ready(within=50)
        yield daemon


async def test_all_of_them_are_there_and_nothing_moves(
    browser: Browser, crowd: LargeDaemon
) -> None:
    async with visiting(browser, f"http://{crowd.admin}") as visit:
        page = visit.page
        await page.add_init_script(WATCH)
        await visit.open()
        await expect(page.locator("#members")).to_have_text("10,002")
        await expect(page.locator("#found")).to_have_text("10,002 members in 2,501 records")
        found = await figures(visit)
        assert found["shift"] < 0.01
        # Only what is in sight exists.
        assert found["nodes"] < 2000
        # What is painted first does not wait for the last.
        assert found["rows"] < found["whole"]
        await to_the_end(page)
        await expect(member(page, "10.9.195.4")).to_be_in_viewport()
        await page.get_by_role("searchbox").fill("10.9.195.")
        await expect(page.locator(".row.member")).to_have_count(4)
        await expect(page.locator("#found")).to_have_text("4 members in 1 record, of 10,002")
        assert (await figures(visit))["shift"] < 0.01


async def test_a_change_among_them_is_seen(browser: Browser, crowd: LargeDaemon) -> None:
    async with visiting(browser, f"http://{crowd.admin}") as visit:
        await visit.open()
        row = member(visit.page, FLIPPING)
        await order(crowd, is_drain=True)
        await expect(health(row)).to_have_text("DRAINED")
        await order(crowd, is_drain=False)
        await expect(health(row)).to_have_text("UP")
        # A change of nearly all of them at once is asked for as a whole.
        body = {"target": "10.*", "action": "drain", "force": True}
        status, told = await crowd.request("POST", "/api/v1/overrides", body, token=TOKEN)
        assert status == 201, told
        await expect(visit.page.locator("[data-state=override] b")).to_have_text("10,000")
        await expect(health(member(visit.page, "10.0.0.1"))).to_have_text("DRAINED")
