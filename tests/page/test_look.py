"""What is seen: everything, live, as text, in the dark and on a narrow window."""

import asyncio
import re
from typing import Any

from playwright.async_api import Browser, FloatRect, Locator, Page, Route, expect

from tests.page.looking import NONE, counter, health, member, panel, record, to_the_end
from tests.page.scene import OPERATE_TOKEN, Scene
from tests.rigs.browser import NARROW, PATIENCE, Visit, visiting
from tests.rigs.waiting import until

TITLE = f"ns1 {NONE} dnslb"


async def test_every_zone_record_and_member_is_there(page: Page) -> None:
    zones = page.locator(".row.zone strong")
    await expect(zones).to_have_text(["api.example", "shop.example"])
    await expect(page.locator(".row.record strong")).to_have_text(
        [
            "search.api.example",
            "v1.api.example",
            "cart.shop.example",
            "db.shop.example",
            "intra.shop.example",
            "www.shop.example",
            "www.shop.example",
        ]
    )
    await expect(page.locator("#members")).to_have_text("15")
    await expect(page.locator("#found")).to_have_text("15 members in 7 records")
    await expect(page.locator("#node")).to_have_text("ns1")
    await expect(page).to_have_title(TITLE)
    for part in ("ready", "store"):
        await expect(page.locator(f"#part-{part} .part.good")).to_be_visible()
    await expect(page.locator("#part-brake")).to_have_text("off (no canaries)")
    await expect(page.locator("#part-purge")).to_have_text("off")
    await to_the_end(page)
    await expect(member(page, "2001:db8:0:1::12")).to_be_visible()


async def test_a_member_says_how_it_is_and_why(page: Page) -> None:
    row = member(page, "192.0.2.31")
    await expect(health(row)).to_have_text("UP")
    await expect(row.locator(".served")).to_have_text("served")
    await expect(row.locator(".priority")).to_have_text("2")
    await expect(row.locator(".weight")).to_have_text("1")
    await expect(row.locator(".why")).to_have_text("200 OK")
    await expect(row.locator(".since")).to_have_text(re.compile(r"^\d+(s|m)$"))
    await expect(row.locator(".checked")).to_have_text(re.compile(r"^\d+s ago[\d.]+ m?s$"))
    await expect(member(page, "10.20.0.21").locator(".tag.view")).to_have_text("office")
    await expect(member(page, "203.0.113.51").locator(".weight")).to_have_text("80")
    await expect(member(page, "192.0.2.32").locator(".why")).to_contain_text(
        "priority 2 is serving"
    )


async def test_what_dns_answers_now_is_there(page: Page) -> None:
    answer = record(page, "db.shop.example").locator(".answer")
    await expect(answer).to_have_text("DNS answers 192.0.2.31")
    weighted = record(page, "v1.api.example").locator(".answer")
    await expect(weighted).to_have_text("DNS answers some of 203.0.113.51  203.0.113.52")


async def test_a_target_that_falls_and_rises_is_seen_at_once(node: Scene, page: Page) -> None:
    row = member(page, "192.0.2.31")
    node.targets[5].fail(503)
    await expect(health(row)).to_have_text("DOWN")
    await expect(row.locator(".why")).to_contain_text("503")
    await expect(row.locator(".served")).to_have_text(NONE)
    await expect(row.locator(".strip .down")).to_have_count(1)
    answer = record(page, "db.shop.example").locator(".answer")
    await expect(answer).to_have_text("DNS answers 192.0.2.32")
    await expect(counter(page, "down").locator("b")).to_have_text("1")
    await expect(page).to_have_title(f"(1 down) {TITLE}")
    await expect(page.locator("#announcements")).to_contain_text(
        "db.shop.example 192.0.2.31 is DOWN"
    )
    node.targets[5].heal()
    await expect(health(row)).to_have_text("UP")
    await expect(answer).to_have_text("DNS answers 192.0.2.31")
    await expect(page).to_have_title(TITLE)


async def test_a_history_that_arrives_late_takes_no_change_away(node: Scene, visit: Visit) -> None:
    page = visit.page
    asked, released = asyncio.Event(), asyncio.Event()

    async def hold_back(route: Route) -> None:
        response = await route.fetch()
        asked.set()
        await released.wait()
        await route.fulfill(response=response)

    await page.route("**/api/v1/history?*", hold_back)
    await visit.open()
    async with asyncio.timeout(PATIENCE / 1000):
        await asked.wait()
    row = member(page, "192.0.2.13")
    node.targets[4].fail(503)
    await expect(health(row)).to_have_text("DOWN")
    async with page.expect_response("**/api/v1/history?*"):
        released.set()
    await page.get_by_role("button", name="Changes").click()
    fallen = panel(page).locator(".events li").filter(has_text="192.0.2.13")
    await expect(fallen.first).to_contain_text("UP → DOWN")
    await expect(row.locator(".strip .down")).to_have_count(1)


async def test_nobody_left_is_said(node: Scene, page: Page) -> None:
    node.targets[5].fail()
    node.targets[6].fail()
    row = record(page, "db.shop.example")
    await expect(row.locator(".decision")).to_have_text("no answer0 of 2 served")
    await expect(row.locator(".answer")).to_have_text("DNS answers NODATA")
    await expect(counter(page, "no-answer").locator("b")).to_have_text("1")
    node.targets[10].fail()
    fallback = record(page, "search.api.example")
    await expect(fallback.locator(".decision")).to_have_text("fallback0 of 2 served")
    await expect(health(member(page, "203.0.113.99"))).to_have_text("FALLBACK")
    await expect(counter(page, "fallback").locator("b")).to_have_text("1")
    await expect(counter(page, "unknown").locator("b")).to_have_text("0")


async def test_who_waits_to_return_can_be_let_in(node: Scene, page: Page) -> None:
    row = member(page, "192.0.2.41")
    node.targets[8].fail()
    await expect(health(row)).to_have_text("DOWN")
    node.targets[8].heal()
    await expect(health(row)).to_have_text("WAITING")
    await expect(row.locator(".served")).to_have_text(NONE)
    await expect(counter(page, "waiting").locator("b")).to_have_text("1")


async def test_overrides_of_others_are_seen_also_where_no_answer_changes(
    node: Scene, page: Page
) -> None:
    row = member(page, "192.0.2.32")
    await node.override("127.0.0.6", "drain", expires_in=7200, reason="new kernel")
    await expect(health(row)).to_have_text("DRAINED")
    await expect(row.locator(".why")).to_contain_text("1h 59m left")
    await expect(row.locator(".why")).to_contain_text("new kernel by night-shift")
    await expect(counter(page, "override").locator("b")).to_have_text("1")
    await node.clear()
    await expect(health(row)).to_have_text("UP")
    # Also out of sight, where nothing is asked for by itself.
    await page.get_by_role("combobox", name="Zone").select_option("api.example")
    await node.override("127.0.0.6", "drain")
    await expect(counter(page, "override").locator("b")).to_have_text("1")


async def test_a_reload_that_only_takes_away_is_followed(node: Scene, page: Page) -> None:
    await page.get_by_role("combobox", name="Zone").select_option("api.example")
    begin, end = (node.config.index(f'[records."{name}".A]') for name in ("db", "intra"))
    await node.reload(node.config[begin:end], "")
    await expect(page.locator("#members")).to_have_text("13")
    await node.reload()
    await expect(page.locator("#members")).to_have_text("15")


async def test_a_reload_is_followed(node: Scene, page: Page) -> None:
    await node.reload('[records."db".A]', '[records."data".A]')
    await expect(record(page, "data.shop.example")).to_have_count(1)
    await expect(record(page, "db.shop.example")).to_have_count(0)
    await node.reload()
    await expect(record(page, "db.shop.example")).to_have_count(1)
    await expect(record(page, "data.shop.example")).to_have_count(0)


async def test_a_refused_reload_is_shown_until_one_succeeds(node: Scene, page: Page) -> None:
    await expect(page.locator("#part-config .part.good")).to_have_text("as on disk")
    node.daemon.configure(node.config + "[nonsense]\n")
    status, _ = await node.daemon.request("POST", "/api/v1/reload", {}, token=OPERATE_TOKEN)
    assert status == 409
    shown = page.locator("#part-config")
    await expect(shown).to_have_text("not what is on disk")
    await expect(shown).to_have_attribute("title", re.compile("refused: .*nonsense"))
    await node.reload()
    await expect(shown).to_have_text("as on disk")


async def test_checks_that_change_nothing_are_shown_as_well(page: Page) -> None:
    checked = member(page, "192.0.2.31").locator(".checked > :first-child")
    first = await checked.get_attribute("title")
    await expect(checked).not_to_have_attribute("title", str(first))


async def test_the_history_of_a_member(node: Scene, page: Page) -> None:
    row = member(page, "192.0.2.12")
    node.targets[3].fail(500)
    await expect(health(row)).to_have_text("DOWN")
    node.targets[3].heal()
    await expect(health(row)).to_have_text("UP")
    await row.click()
    events = panel(page).locator(".events li")
    await expect(events.first).to_contain_text("DOWN → UP")
    await expect(events.nth(1)).to_contain_text("UP → DOWN")
    await expect(events.nth(1)).to_contain_text("500")
    strip = panel(page).locator(".wide-strip [role=img]")
    await expect(strip).to_have_attribute("aria-label", re.compile("^Last 1h 00m: down once"))
    await panel(page).get_by_label("How far back").select_option("7 days")
    await expect(strip).to_have_attribute("aria-label", re.compile("^Last 7d: down once"))
    await page.get_by_role("button", name="Changes").click()
    latest = panel(page).locator(".events li").first
    await expect(latest).to_contain_text("DOWN → UP")


async def test_an_answer_is_explained(page: Page) -> None:
    await page.get_by_role("button", name="Explain").click()
    await panel(page).get_by_role("textbox", name="Name").fill("intra.shop.example")
    await panel(page).get_by_role("combobox", name="Type").select_option("A")
    await panel(page).get_by_role("textbox", name="Client").fill("10.1.2.3")
    await page.keyboard.press("Enter")
    await expect(panel(page).locator(".verdict")).to_contain_text("NOERROR")
    await expect(panel(page).locator(".candidates .picked")).to_contain_text("10.20.0.21")
    await expect(panel(page).locator(".steps")).to_contain_text("view office serves it")
    await panel(page).get_by_role("textbox", name="Client").fill("nonsense")
    await page.keyboard.press("Enter")
    await expect(panel(page).get_by_role("status")).to_contain_text("is no address or network")
    await panel(page).get_by_role("textbox", name="Name").fill("nothing.shop.example")
    await panel(page).get_by_role("textbox", name="Client").fill("")
    await page.keyboard.press("Enter")
    await expect(panel(page).locator(".verdict")).to_contain_text("NXDOMAIN")


async def test_a_record_in_full(page: Page) -> None:
    await record(page, "db.shop.example").click()
    await expect(panel(page)).to_contain_text("2 and above")
    await panel(page).get_by_role("button", name="192.0.2.32").click()
    await expect(panel(page).get_by_role("heading", level=2)).to_have_text("192.0.2.32")


async def test_dark_and_light_follow_the_system_and_the_reader(
    browser: Browser, node: Scene
) -> None:
    async with visiting(browser, node.url, scheme="dark") as visit:
        await visit.open()
        assert await brightness(visit.page) < 60
        toggle = visit.page.locator("#theme")
        await toggle.click()
        await expect(toggle).to_have_text("Theme: light")
        assert await brightness(visit.page) > 200
        await visit.page.reload()
        await visit.is_live()
        assert await brightness(visit.page) > 200
        await toggle.click()
        await toggle.click()
        await expect(toggle).to_have_text("Theme: system")
        assert await brightness(visit.page) < 60


async def brightness(page: Page) -> float:
    """Of the paper, 0 to 255."""
    colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    return sum(parts) / 3


async def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, node: Scene) -> None:
    async with visiting(browser, node.url, size=NARROW) as visit:
        await visit.open()
        page = visit.page
        row = member(page, "192.0.2.12")
        await to_the_end(page)
        for part in (".state", ".content", ".since", ".why", ".history"):
            box = await place(row.locator(part))
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= NARROW["width"]
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await row.click()
        await expect(panel(page)).to_be_visible()
        # A bar that scrolls the page has its own room.
        assert (await place(panel(page)))["width"] == await page.evaluate(
            "document.body.clientWidth"
        )
        await page.get_by_role("button", name="Close").click()
        await expect(panel(page)).to_be_hidden()


async def place(element: Locator) -> FloatRect:
    """Where it stands; a row has no place for the moment in which it is drawn anew."""
    box = await until(element.bounding_box, what="a place on the page")
    assert box is not None
    return box


# What moved without being pressed; a row goes to the place of its record, the worst first.
SHIFTS = """window.shifts = {rows: [], others: []};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const nodes = entry.sources.map(({node}) => node?.parentElement);
    const kind = nodes.length && nodes.every((node) => node?.closest("#rows")) ? "rows" : "others";
    shifts[kind].push([entry.value, nodes.map((node) => node?.outerHTML.slice(0, 80))]);
  }
}).observe({type: "layout-shift", buffered: true});"""


async def test_nothing_moves_by_itself(node: Scene, visit: Visit) -> None:
    page = visit.page
    await page.add_init_script(SHIFTS)
    await visit.open()
    await expect(page.locator("#part-ready .good")).to_be_visible()
    opened = await page.evaluate("shifts")
    assert moved(opened, "rows") + moved(opened, "others") < 0.001, opened
    node.targets[5].fail()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("DOWN")
    await expect(page.locator("#part-ready .good")).to_be_visible()
    fallen = await page.evaluate("shifts")
    assert moved(fallen, "others") < 0.001, fallen


def moved(shifts: dict[str, list[list[Any]]], kind: str) -> float:
    """Their share of the window, as web.dev's Cumulative Layout Shift counts it."""
    return sum(float(value) for value, _ in shifts[kind])
