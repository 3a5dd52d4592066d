"""The list: the worst first, a line for each record, labels, marks, and windows of every width."""

import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from tests.page.looking import NONE, health, member, panel, record, to_the_end
from tests.page.scene import Scene
from tests.rigs.browser import NARROW, WIDE, Visit, visiting
from tests.rigs.waiting import until

HEADINGS = ".row.zone strong"
CONTENTS = ".row.member .content .rdata"


async def test_the_worst_comes_first_and_what_is_fine_by_zone(node: Scene, page: Page) -> None:
    node.targets[7].fail()  # One of intra, the other serves.
    node.targets[10].fail()  # All of search, which has a fallback.
    await node.override("127.0.0.8", "drain")  # One of cart.
    node.targets[5].fail()
    node.targets[6].fail()  # All of db.
    await expect(page.locator(HEADINGS)).to_have_text(
        ["No answer", "Fallback", "Degraded", "Overridden", "api.example", "shop.example"]
    )
    names = [
        "db.shop.example",
        "search.api.example",
        "intra.shop.example",
        "cart.shop.example",
        "v1.api.example",
    ]
    shown = page.locator(".row.record strong")
    for place, name in enumerate(names):
        await expect(shown.nth(place)).to_have_text(name)
    await page.get_by_role("checkbox", name="Only problems").check(force=True)
    await expect(page.locator(HEADINGS)).to_have_text(
        ["No answer", "Fallback", "Degraded", "Overridden"]
    )
    # A record that serves with less than all of its members is no plain green.
    await expect(record(page, "intra.shop.example").locator(".tag").first).to_have_class("tag less")


async def test_a_line_for_each_record(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await page.get_by_text("Compact").click()
    assert page.url.endswith("#compact=1")
    await expect(page.locator(".row.member")).to_have_count(0)
    row = record(page, "db.shop.example")
    marks = row.locator(".marks")
    await expect(marks).to_have_attribute("aria-label", "2 UP")
    node.targets[5].fail()
    await expect(marks).to_have_attribute("aria-label", "1 DOWN, 1 UP")
    await expect(page.get_by_role("columnheader")).to_have_text(
        ["Record", "Service", "Members", "DNS answers", "TTL"]
    )
    box = await row.bounding_box()
    assert box is not None
    assert box["height"] <= 40
    await row.click()
    await expect(panel(page).locator(".members li")).to_have_count(2)
    # What shows less is no filter.
    await expect(page.get_by_role("button", name="Clear filter")).to_be_disabled()


async def test_labels_are_searched_as_a_whole(page: Page) -> None:
    search = page.get_by_role("searchbox")
    rows = page.locator(CONTENTS)
    await search.fill("dc=fra")
    await expect(rows).to_have_text(["203.0.113.51", "192.0.2.11", "192.0.2.12"])
    await search.fill("DC=FRA www")
    await expect(rows).to_have_text(["192.0.2.11", "192.0.2.12"])
    await search.fill("rack=1?")
    await expect(rows).to_have_text(["192.0.2.11", "192.0.2.12"])
    await search.fill("dc=f")
    await expect(page.locator("#nothing")).to_be_visible()
    await search.fill("dc=iad")
    await member(page, "192.0.2.13").click()
    labels = panel(page).get_by_role("group", name="Labels")
    await expect(labels).to_have_text("dc=iad")
    await search.fill("")
    await labels.get_by_role("button", name="dc=iad").click()
    await expect(rows).to_have_text(["192.0.2.13"])


async def test_what_operators_order_has_marks_of_its_own(node: Scene, page: Page) -> None:
    node.targets[5].fail()
    row = member(page, "192.0.2.31")
    await expect(health(row)).to_have_text("DOWN")
    await node.override("127.0.0.5", "up", reason="the probe is wrong")
    await expect(health(row)).to_have_text("FORCED UP")
    await expect(row).to_have_attribute("data-kind", "forced-up")
    await expect(row.locator(".why")).to_have_text("measured DOWNthe probe is wrong by night-shift")
    await node.override("127.0.0.6", "drain")
    await expect(member(page, "192.0.2.32")).to_have_attribute("data-kind", "drain")
    await node.override("127.0.0.9", "down", force=True)
    await expect(member(page, "192.0.2.42")).to_have_attribute("data-kind", "forced-down")
    await page.get_by_role("button", name="Changes").click()
    for content, kind, words in (
        ("192.0.2.31", "forced-up", "FORCED UP, served"),
        ("192.0.2.42", "forced-down", "FORCED DOWN, not served"),
    ):
        latest = panel(page).locator(".events li").filter(has_text=content).first
        await expect(latest.locator(".health")).to_have_attribute("data-kind", kind)
        await expect(latest.locator(".health")).to_have_text(words)
    await node.override("127.0.0.2", "drain", name="www.shop.example")
    latest = panel(page).locator(".events li").filter(has_text="192.0.2.11").first
    await expect(latest.locator(".health")).to_have_attribute("data-kind", "drain")
    await expect(latest.locator(".health")).to_have_text("DRAINED, not served")


async def test_an_override_that_begins_later_is_marked(node: Scene, page: Page) -> None:
    await node.override("dc=iad", "drain", starts_in=7200, expires_in=600, reason="new uplink")
    mark = member(page, "192.0.2.13").locator(".tag.pending")
    await expect(mark).to_have_text("drain in 1h 59m")
    await expect(health(member(page, "192.0.2.13"))).to_have_text("UP")
    await expect(member(page, "192.0.2.11").locator(".tag.pending")).to_have_count(0)
    await member(page, "192.0.2.13").click()
    await expect(panel(page).locator(".holds")).to_contain_text("Pending: drain by night-shift")
    await expect(panel(page).locator(".holds")).to_contain_text("new uplink")
    # It is there from the start as well.
    await page.reload()
    await expect(mark).to_have_text("drain in 1h 59m")
    await node.clear()
    await expect(mark).to_have_count(0)


async def test_a_weight_that_is_overridden_is_marked(node: Scene, page: Page) -> None:
    row = member(page, "203.0.113.52")
    await node.override("203.0.113.52", "weight", weight=50, reason="canary")
    await expect(row.locator(".weight .ordered")).to_have_text("50")
    await expect(health(row)).to_have_text("UP")
    await row.click()
    holds = panel(page).locator(".holds p")
    await expect(holds).to_have_text(
        "weight 50 by night-shift, in every record, until cleared: canary"
    )
    # One after the other, as in a ramp, is the same override.
    await node.override("203.0.113.52", "weight", weight=80)
    await expect(row.locator(".weight .ordered")).to_have_text("80")
    await expect(holds).to_have_count(1)
    # What another one overrules is listed below it.
    await node.override("203.0.113.5?", "weight", weight=10)
    await expect(holds).to_have_count(2)
    await expect(holds.nth(1)).to_contain_text("(another override takes precedence)")


SIZES = {
    "phone": NARROW,
    "half": ViewportSize(width=820, height=900),
    "laptop": ViewportSize(width=1100, height=800),
    "wide": WIDE,
}


@pytest.mark.parametrize("size", SIZES)
async def test_what_matters_is_seen_at_every_width(
    browser: Browser, node: Scene, size: str
) -> None:
    async with visiting(browser, node.url, size=SIZES[size]) as visit:
        await visit.open("#q=10.20.0.21")
        page = visit.page
        row = member(page, "10.20.0.21")
        for part in (".state", ".served", ".priority", ".weight", ".since", ".tag.view", ".why"):
            assert await whole(row.locator(part)), part
        await visit.page.evaluate("location.hash = '#q=2001:db8'")
        row = member(page, "2001:db8:0:1::12")
        assert await whole(row.locator(".content .end"))
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # The cards stand in one row, but on a phone.
        tops = await page.locator(".card").evaluate_all(
            "cards => [...new Set(cards.map((card) => card.offsetTop))].length"
        )
        assert tops == (2 if size == "phone" else 1)


async def whole(element: Locator) -> bool:
    """Whether it is seen, with all of its text; its row may be drawn anew meanwhile."""
    await expect(element).to_be_visible()
    return await until(lambda: _is_whole(element), what="a row that stays") == "whole"


async def _is_whole(element: Locator) -> str:
    found: str = await element.evaluate(
        """(node) => {
          if (!node.isConnected) return "";
          const at = node.getBoundingClientRect();
          const row = node.closest(".row").getBoundingClientRect();
          const isInline = getComputedStyle(node).display === "inline";
          const fits = isInline || node.scrollWidth <= node.clientWidth + 1;
          return fits && at.left >= row.left && at.right <= row.right + 1 ? "whole" : "cut";
        }"""
    )
    return found


async def test_a_long_address_keeps_its_end(browser: Browser, node: Scene) -> None:
    async with visiting(browser, node.url, size=NARROW) as visit:
        await node.reload('"2001:db8:0:1::12"', '"2001:db8:1234:5678:9abc:def0:1234:5678"')
        await visit.open("#q=9abc")
        page = visit.page
        content = page.locator(CONTENTS)
        await expect(content).to_have_text("2001:db8:1234:5678:9abc:def0:1234:5678")
        start, end = content.locator(".start"), content.locator(".end")
        is_cut = "(node) => node.scrollWidth > node.clientWidth"
        await until(lambda: start.evaluate(is_cut), what="an address that is cut")
        assert await whole(end)
        await expect(end).to_have_text(":1234:5678")
        # Nor is it wider than the panel.
        await page.locator(".row.member").click()
        await panel(page).locator("summary").click()
        beyond = await page.locator("#panel-body").evaluate(
            """(body) => {
              const shown = [...body.querySelectorAll("*")].filter((node) => node.clientWidth);
              const rights = shown.map((node) => node.getBoundingClientRect().right);
              return Math.max(...rights) - document.body.clientWidth;
            }"""
        )
        assert beyond <= -13
        await node.reload()


async def test_members_without_an_answer_show_what_is_configured(node: Scene, page: Page) -> None:
    node.targets[5].fail()
    row = member(page, "192.0.2.31")
    await expect(health(row)).to_have_text("DOWN")
    await expect(row.locator(".priority")).to_have_text("2")
    await to_the_end(page)
    assert NONE not in await row.locator(".priority").inner_text()
