"""The panel: what happens while it is open, checks on demand, what if, and several at once."""

import re

from playwright.async_api import Browser, Page, expect

from tests.page.looking import health, member, panel, record
from tests.page.scene import OPERATE_TOKEN, Scene
from tests.page.test_overrides import give_token, press, unfold
from tests.rigs.browser import NARROW, Visit, visiting


async def test_the_history_goes_on_while_it_is_shown(node: Scene, page: Page) -> None:
    row = member(page, "192.0.2.12")
    await row.click()
    events = panel(page).locator(".events li")
    await expect(events.first).to_be_visible()
    await node.override("127.0.0.3", "drain", name="www.shop.example", reason="new disk")
    await expect(events.first).to_contain_text("DRAINED, not served")
    await node.clear()
    await expect(events.first).to_contain_text("drain cleared by night-shift")
    node.targets[3].fail(500)
    await expect(events.first).to_contain_text("UP → DOWN")
    strip = panel(page).locator(".wide-strip [role=img]")
    await expect(strip).to_have_attribute("aria-label", re.compile("down "))


async def test_escape_closes_it_wherever_focus_is(page: Page) -> None:
    for focus in ("#search", "[data-state=down]", "body", "#panel-title"):
        await page.locator(".row.member").first.click()
        await expect(panel(page)).to_be_visible()
        if focus == "body":
            await page.evaluate("document.activeElement.blur()")
        else:
            await page.locator(focus).focus()
        await page.keyboard.press("Escape")
        await expect(panel(page)).to_be_hidden()
    # A dialog above it is closed first.
    await page.locator(".row.member").first.click()
    await page.get_by_role("button", name="Token").click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Token")).to_be_hidden()
    await expect(panel(page)).to_be_visible()


async def test_times_are_in_a_zone_that_is_said(browser: Browser, node: Scene) -> None:
    context = await browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
    visit = Visit(context, await context.new_page(), node.url)
    try:
        await visit.open()
        page = visit.page
        await member(page, "192.0.2.31").click()
        said = panel(page).get_by_role("status").filter(has_text="newest first")
        await expect(said).to_contain_text("times in UTC+05:30")
        since = panel(page).locator(".facts dd").nth(2)
        await expect(since).to_contain_text(re.compile(r"\d\d:\d\d:\d\d UTC\+05:30$"))
        local = await panel(page).locator(".events time").last.inner_text()
        await page.get_by_role("button", name="Times: local").click()
        await expect(said).to_contain_text("times in UTC")
        await expect(since).to_contain_text(re.compile(r"\d\d:\d\d:\d\d UTC$"))
        moment = panel(page).locator(".events time").last
        await expect(moment).not_to_have_text(local)
        told = str(await moment.get_attribute("datetime"))
        await expect(moment).to_have_text(told[5:19].replace("T", " "))
        # The choice is kept.
        await page.reload()
        await expect(page.get_by_role("button", name="Times: UTC")).to_be_visible()
    finally:
        await context.close()


async def test_a_record_is_checked_now(node: Scene, visit: Visit) -> None:
    node.targets[5].fail(503)
    await node.stands("192.0.2.31", "DOWN")
    await visit.open()
    page = visit.page
    await record(page, "db.shop.example").click()
    await press(page, "Check now")
    await give_token(page, OPERATE_TOKEN)
    results = panel(page).locator(".probes li")
    await expect(results).to_have_count(2)
    failed = results.filter(has_text="192.0.2.31")
    await expect(failed).to_contain_text("503")
    await expect(failed).to_contain_text("DOWN, would stay so")
    await expect(failed.locator(".tag")).to_have_text("fail")
    await member(page, "192.0.2.32").click()
    await press(page, "Check now")
    await expect(results).to_have_count(1)
    await expect(results).to_contain_text("pass")


async def test_what_if_a_member_were_down(node: Scene, page: Page) -> None:
    await member(page, "192.0.2.31").click()
    await press(page, "What if it were down?")
    await expect(panel(page).locator(".verdict")).to_contain_text("if 127.0.0.5 were down")
    picked = panel(page).locator(".candidates .picked")
    await expect(picked).to_contain_text("192.0.2.32")
    await panel(page).get_by_role("textbox", name="down").fill("127.0.0.*")
    await page.keyboard.press("Enter")
    await expect(panel(page).locator(".verdict")).to_contain_text("NODATA")
    await panel(page).get_by_role("textbox", name="down").fill("192.0.2.250")
    await page.keyboard.press("Enter")
    await expect(panel(page).get_by_role("status")).to_contain_text("no member of db.shop.example")
    assert await node.overrides() == []


async def test_two_presses_are_one_override(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.11")
    await press(page, "Drain")
    await give_token(page, OPERATE_TOKEN)
    done = panel(page).get_by_text("The override is in force.")
    await expect(done).to_be_visible()
    (first,) = await node.overrides()
    await panel(page).get_by_label("Reason").fill("again")
    await press(page, "Drain")
    await expect(panel(page).locator(".holds")).to_contain_text("again")
    (second,) = await node.overrides()
    assert second["id"] != first["id"]
    # Another action is another override, and both are shown.
    await panel(page).get_by_role("radio", name="Down").check()
    await press(page, "Down")
    holds = panel(page).locator(".holds p")
    await expect(holds).to_have_count(2)
    await expect(holds.first).to_contain_text("down by night-shift")
    await expect(holds.nth(1)).to_contain_text("(another override takes precedence)")
    await panel(page).get_by_role("button", name="Clear this override").first.click()
    await expect(health(member(page, "192.0.2.11"))).to_have_text("DRAINED")


async def test_several_members_are_drained_at_once(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    button = page.get_by_role("button", name="Override", exact=True)
    await expect(button).to_be_disabled()
    await page.get_by_role("searchbox").fill("dc=fra")
    await button.click()
    await expect(panel(page).get_by_role("checkbox")).to_have_count(3)
    await panel(page).get_by_role("checkbox", name="192.0.2.12").uncheck()
    await expect(panel(page)).to_contain_text("2 members chosen, of 3")
    await press(page, "Drain")
    await give_token(page, OPERATE_TOKEN)
    await expect(panel(page).get_by_text("2 overrides are in force.")).to_be_visible()
    found = {(override["target"], override["name"]) for override in await node.overrides()}
    assert found == {("127.0.0.2", "www.shop.example"), ("127.0.0.2", "v1.api.example")}
    await expect(health(member(page, "192.0.2.11"))).to_have_text("DRAINED")
    await node.clear()
    # A label is one override, for those that come later as well.
    where = panel(page).get_by_role("combobox", name="Where")
    await where.select_option("wherever dc=fra is, also later")
    await press(page, "Drain")
    await expect(health(member(page, "192.0.2.12"))).to_have_text("DRAINED")
    assert [override["target"] for override in await node.overrides()] == ["dc=fra"]


async def test_the_last_of_several_is_insisted_upon(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await record(page, "db.shop.example").click()
    await press(page, "Override several")
    await press(page, "Drain")
    await give_token(page, OPERATE_TOKEN)
    doubt = panel(page).get_by_role("alert")
    await expect(doubt).to_contain_text("No serving member would be left in db.shop.example/A")
    assert len(await node.overrides()) == 1
    await press(page, "Drain anyway")
    await expect(panel(page).get_by_text("2 overrides are in force.")).to_be_visible()
    assert len(await node.overrides()) == 2
    await expect(record(page, "db.shop.example").locator(".decision")).to_contain_text("no answer")


async def test_all_overrides_are_listed_and_cleared(node: Scene, visit: Visit) -> None:
    await node.override("dc=iad", "drain", starts_in=7200, reason="new uplink")
    await visit.open()
    page = visit.page
    await page.get_by_role("button", name="Overrides").click()
    items = panel(page).locator(".all li")
    await expect(items).to_have_count(1)
    await expect(items).to_contain_text("Pending: drain by night-shift")
    await node.override("127.0.0.6", "drain", reason="new kernel")
    await expect(items).to_have_count(2)
    await expect(items.first).to_contain_text("new kernel")
    await expect(items.first).to_contain_text("Affects 1 member: db.shop.example/A 192.0.2.32")
    await items.first.get_by_role("button", name="Clear").click()
    await give_token(page, OPERATE_TOKEN)
    await expect(items).to_have_count(1)
    assert [override["target"] for override in await node.overrides()] == ["dc=iad"]


async def test_a_narrow_panel_has_room_for_all_it_says(browser: Browser, node: Scene) -> None:
    async with visiting(browser, node.url, size=NARROW) as visit:
        await visit.open("#q=db.shop")
        await record(visit.page, "db.shop.example").click()
        body = panel(visit.page).locator("#panel-body")
        assert await body.evaluate("(node) => node.scrollWidth <= node.clientWidth")
