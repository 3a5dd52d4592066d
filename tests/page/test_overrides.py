"""Overrides: set and cleared on the page, with a token, a reason, a beginning and an end."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.looking import health, member, panel
from tests.page.scene import CONFIG, OPERATE_TOKEN, READ_TOKEN, Scene
from tests.rigs.browser import Visit, visiting
from tests.rigs.daemon import Daemon


async def unfold(page: Page, content: str) -> None:
    """Open the form for overrides of a member."""
    await member(page, content).click()
    await panel(page).locator("summary").click()


async def give_token(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="Token")
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Token", exact=True).fill(token)
    await page.keyboard.press("Enter")


async def press(page: Page, name: str) -> None:
    await panel(page).get_by_role("button", name=name, exact=True).click()


async def test_a_drain_with_reason_and_end_and_its_clearing(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.11")
    await panel(page).get_by_label("Reason").fill("new <b>disk</b>")
    await panel(page).get_by_role("combobox", name="For").select_option("30 minutes")
    await press(page, "Drain")
    await give_token(page, OPERATE_TOKEN)
    await expect(panel(page).get_by_text("The override is in force.")).to_be_visible()
    row = member(page, "192.0.2.11")
    await expect(health(row)).to_have_text("DRAINED")
    await expect(row.locator(".why")).to_contain_text("29m left")
    (override,) = await node.overrides()
    assert (
        override["action"],
        override["target"],
        override["name"],
        override["reason"],
        override["author"],
    ) == (
        "drain",
        "127.0.0.2",
        "www.shop.example",
        "new <b>disk</b>",
        "night-shift",
    )
    await expect(panel(page).locator(".holds")).to_contain_text(
        "drain by night-shift, in www.shop.example, for another 29m: new <b>disk</b>"
    )
    await press(page, "Clear this override")
    await expect(health(row)).to_have_text("UP")
    assert await node.overrides() == []


async def test_the_last_member_is_taken_only_on_purpose(node: Scene, visit: Visit) -> None:
    node.targets[6].fail()
    await node.stands("192.0.2.32", "DOWN")
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.31")
    await panel(page).get_by_role("radio", name="Down").check()
    await panel(page).get_by_role("combobox", name="For").select_option("until cleared")
    await press(page, "Down")
    await give_token(page, OPERATE_TOKEN)
    doubt = panel(page).get_by_role("alert")
    await expect(doubt).to_contain_text("serving member would be left in db.shop.example/A")
    await expect(doubt).to_contain_text("No member would be left")
    assert await node.overrides() == []
    await press(page, "Down anyway")
    await expect(panel(page).get_by_text("The override is in force.")).to_be_visible()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("FORCED DOWN")
    assert [override["expires"] for override in await node.overrides()] == [None]


async def test_an_override_for_every_record_of_a_target(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.12")
    where = panel(page).get_by_role("combobox", name="Where")
    await where.select_option("in every record, 127.0.0.3")
    await press(page, "Drain")
    await give_token(page, OPERATE_TOKEN)
    for content in ("192.0.2.12", "203.0.113.52"):
        await expect(health(member(page, content))).to_have_text("DRAINED")
    assert [override["name"] for override in await node.overrides()] == [""]


async def test_a_member_that_waits_is_readmitted(node: Scene, visit: Visit) -> None:
    node.targets[8].fail()
    await node.stands("192.0.2.41", "DOWN")
    node.targets[8].heal()
    await visit.open()
    page = visit.page
    await expect(health(member(page, "192.0.2.41"))).to_have_text("WAITING")
    await member(page, "192.0.2.41").click()
    await press(page, "Readmit now")
    await give_token(page, OPERATE_TOKEN)
    await expect(health(member(page, "192.0.2.41"))).to_have_text("UP")
    await expect(panel(page).get_by_text("Cleared.")).to_be_visible()


async def test_tokens_that_are_wrong_or_may_only_read(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.11")
    await press(page, "Drain")
    dialog = page.get_by_role("dialog", name="Token")
    for wrong, why in (
        ("not-the-token-0123", "does not accept this token"),
        ("with space", "has no spaces"),
        ("", "Enter a token"),
    ):
        await give_token(page, wrong)
        await expect(dialog.get_by_role("alert")).to_contain_text(why)
    await give_token(page, READ_TOKEN)
    await expect(dialog).to_be_hidden()
    doubt = panel(page).get_by_role("alert")
    await expect(doubt).to_contain_text("This token may read, but not change anything.")
    await expect(panel(page).get_by_role("button", name="anyway")).to_have_count(0)
    assert await node.overrides() == []
    stored = await page.evaluate("[JSON.stringify(localStorage), sessionStorage.length]")
    assert stored == ["{}", 1]
    await page.get_by_role("button", name="Token: set").click()
    await dialog.get_by_role("button", name="Forget token").click()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_without_a_token_nothing_is_changed(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.11")
    await press(page, "Drain")
    dialog = page.get_by_role("dialog", name="Token")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(panel(page).get_by_role("alert")).to_contain_text("No token was given.")
    assert await node.overrides() == []


async def test_a_weight_where_the_policy_counts_weights(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "203.0.113.51")
    number = panel(page).get_by_role("spinbutton", name="Weight")
    await expect(number).to_be_hidden()
    await panel(page).get_by_role("radio", name="Weight").check()
    await expect(number).to_have_value("80")
    await number.fill("5")
    await press(page, "Set weight")
    await give_token(page, OPERATE_TOKEN)
    await expect(panel(page).get_by_text("The override is in force.")).to_be_visible()
    await expect(member(page, "203.0.113.51").locator(".weight")).to_have_text("5")
    await expect(panel(page).locator(".holds")).to_contain_text("weight 5 by night-shift")
    (override,) = await node.overrides()
    assert (override["action"], override["weight"]) == ("weight", 5)


async def test_a_weight_that_would_have_no_effect_is_not_offered(page: Page) -> None:
    await unfold(page, "192.0.2.11")
    await expect(panel(page).get_by_role("radio", name="Weight")).to_be_disabled()
    await expect(panel(page).locator(".actions")).to_contain_text("policy is all")


@pytest.mark.parametrize("zone", ["UTC", "local"])
async def test_an_override_that_begins_later(node: Scene, browser: Browser, zone: str) -> None:
    begin = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    async with visiting(browser, node.url, timezone="Asia/Kolkata") as visit:
        await visit.open()
        page = visit.page
        if zone == "UTC":
            await page.get_by_role("button", name="Times: local").click()
        await unfold(page, "192.0.2.11")
        field = panel(page).get_by_label("Begins")
        await expect(panel(page).get_by_text("Begins")).to_contain_text(
            "UTC" if zone == "UTC" else "UTC+05:30"
        )
        shown = begin if zone == "UTC" else begin + timedelta(hours=5, minutes=30)
        await field.fill(f"{shown:%Y-%m-%dT%H:%M}")
        await press(page, "Schedule drain")
        await give_token(page, OPERATE_TOKEN)
        await expect(panel(page).get_by_text("The override is pending.")).to_be_visible()
        await expect(panel(page).locator(".holds")).to_contain_text("Pending: drain by night-shift")
    (override,) = await node.overrides()
    assert datetime.fromisoformat(override["starts"]) == begin
    assert datetime.fromisoformat(override["expires"]) == begin + timedelta(hours=2)


async def test_a_beginning_in_the_past_is_refused(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await unfold(page, "192.0.2.11")
    await panel(page).get_by_label("Begins").fill("2020-01-01T02:00")
    await press(page, "Schedule drain")
    await give_token(page, OPERATE_TOKEN)
    await expect(panel(page).get_by_role("alert")).to_contain_text("Starts: is in the past")
    assert await node.overrides() == []


async def test_without_a_token_file_the_page_says_so_and_asks_for_none(browser: Browser) -> None:
    head = CONFIG.partition("[records.")[0].replace("INTERVAL", "30").replace("PORT", "1")
    head = head.replace('token_file = "TOKENS"', "")
    text = f'{head}[records."www".A]\ndest = ["127.0.0.1"]\ncheck = {{ type = "static" }}\n'
    async with Daemon(text) as bare, visiting(browser, f"http://{bare.admin}") as visit:
        await visit.open()
        page = visit.page
        await member(page, "127.0.0.1").click()
        await expect(panel(page).locator(".operate .warning")).to_contain_text(
            "no token file is configured"
        )
        await panel(page).locator("summary").click()
        for button in ("Drain", "Check now"):
            await press(page, button)
            await expect(page.get_by_role("dialog", name="Token")).to_be_hidden()
        await expect(panel(page).get_by_role("alert")).to_contain_text(
            "No token file is configured"
        )
        await page.get_by_role("button", name="Token", exact=True).click()
        await expect(page.locator("#token-why")).to_contain_text("no token file is configured")
