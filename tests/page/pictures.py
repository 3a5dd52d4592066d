"""`python -m tests.page.pictures`: the pictures of the documents, made from a real node."""

import asyncio
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.page.looking import counter, health, member, panel
from tests.page.scene import Scene, scene
from tests.rigs.browser import NARROW, WIDE, Visit, chromium, visiting
from tests.rigs.waiting import passes

STRETCH = 200
"""So much longer ago everything is on the pictures: seconds of the scene fill an hour."""

PICTURES = Path(__file__).parent.parent.parent / "docs" / "pictures"


async def happen(node: Scene) -> None:
    """What is to be seen: some are down, one is drained, one waits, one record is on fallback."""
    await passes(4)
    for content, target in (("192.0.2.31", 5), ("192.0.2.12", 3), ("192.0.2.41", 8)):
        node.targets[target].fail()
        await node.stands(content, "DOWN")
        await passes(1.5)
        node.targets[target].heal()
        await node.stands(content, "UP")
        await passes(1)
    node.targets[4].fail(503)
    node.targets[10].fail(500)
    await node.stands("192.0.2.13", "DOWN")
    await node.stands("203.0.113.62", "DOWN")
    await passes(2)
    await node.override("127.0.0.6", "drain", expires_in=5400, reason="new kernel")


async def age(node: Scene) -> None:
    """Have it all be longer ago: seconds of the scene fill an hour of its history."""
    await node.daemon.stop()
    wall = datetime.now(UTC)
    file = sqlite3.connect(node.daemon.config["state"]["path"])
    for table, column in (("lb_transition", "at"), ("lb_state", "last_change")):
        rows = file.execute(f"SELECT DISTINCT {column} FROM {table} ORDER BY {column}")
        for (text,) in rows.fetchall():
            if text is None:
                continue
            at = datetime.fromisoformat(text).replace(tzinfo=UTC)
            told = (wall - (wall - at) * STRETCH).replace(tzinfo=None)
            file.execute(
                f"UPDATE {table} SET {column} = ? WHERE {column} = ?",
                (told.isoformat(" ", "milliseconds"), text),
            )
    # What is told of single checks has times of its own; only who waits needs it.
    file.execute("UPDATE lb_state SET checks = NULL WHERE content != '192.0.2.41'")
    file.commit()
    file.close()
    await node.daemon.start()


async def shown(visit: Visit) -> Page:
    """The page, once all of it is there."""
    await visit.open()
    page = visit.page
    await expect(health(member(page, "203.0.113.61"))).to_have_text("DOWN")
    await expect(counter(page, "override").locator("b")).to_have_text("1")
    await expect(page.locator("#part-ready .good")).to_be_visible()
    await expect(page.locator(".strip rect.down").first).to_be_visible()
    await page.evaluate("document.fonts.ready")
    return page


async def take(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def whole(browser: Browser, node: Scene) -> None:
    for name, size in (("wide", WIDE), ("narrow", NARROW)):
        for scheme in ("light", "dark"):
            async with visiting(browser, node.url, size=size, scheme=scheme) as visit:
                await take(await shown(visit), f"page-{name}-{scheme}")


async def panels(browser: Browser, node: Scene) -> None:
    async with visiting(browser, node.url) as visit:
        page = await shown(visit)
        await member(page, "192.0.2.41").click()
        await expect(panel(page).locator(".events li").first).to_be_visible()
        await panel(page).locator("summary").click()
        await take(page, "page-member")
        await page.get_by_role("button", name="Explain", exact=True).click()
        await panel(page).get_by_role("textbox", name="Name").fill("intra.shop.example")
        await panel(page).get_by_role("textbox", name="Client").fill("10.1.2.3")
        await page.keyboard.press("Enter")
        await expect(panel(page).locator(".candidates .picked")).to_be_visible()
        await take(page, "page-explain")
    async with visiting(browser, node.url) as visit:
        page = await shown(visit)
        await page.get_by_text("Compact").click()
        await expect(page.locator(".marks").first).to_be_visible()
        await take(page, "page-compact")


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with scene(Path(directory), interval=1) as node, chromium() as browser:
            await happen(node)
            await age(node)
            await whole(browser, node)
            await panels(browser, node)


asyncio.run(main())
