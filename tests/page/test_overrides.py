"""Orders: given and taken back on the page, with a token, a reason and an end."""

from playwright.async_api import Page, expect

from tests.page.looking import health, member, panel
from tests.page.scene import OPERATE_TOKEN, READ_TOKEN, Scene
from tests.rigs.browser import Visit


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
