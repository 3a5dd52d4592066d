"""How it is used: filter and search, keys, what screen readers are told, and hostile texts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.looking import counter, health, member, panel
from tests.page.scene import OPERATE_TOKEN, Scene, write_tokens
from tests.rigs.browser import Visit, visiting
from tests.rigs.daemon import Daemon

ROWS = ".row.member .content .rdata"


async def test_a_search_finds_names_addresses_and_reasons(node: Scene, page: Page) -> None:
    search = page.get_by_role("searchbox")
    rows = page.locator(ROWS)
    await search.fill("DB.shop")
    await expect(rows).to_have_text(["192.0.2.31", "192.0.2.32"])
    await expect(page.locator("#found")).to_have_text("2 members in 1 record, of 15")
    assert page.url.endswith("#q=DB.shop")
    await search.fill("2001:db8 ::12")
    await expect(rows).to_have_text(["2001:db8:0:1::12"])
    await search.fill("office")
    await expect(rows).to_have_text(["10.20.0.21"])
    node.targets[5].fail(418)
    await search.fill("teapot")
    await expect(rows).to_have_text(["192.0.2.31"])
    await search.fill("nobody has this")
    await expect(page.locator("#nothing")).to_contain_text("Nothing found")
    await page.get_by_role("button", name="Clear filter").click()
    await expect(page.locator("#found")).to_have_text("15 members in 7 records")
    assert "#" not in page.url


async def test_filters_by_health_zone_and_trouble_follow_what_happens(
    node: Scene, page: Page
) -> None:
    rows = page.locator(ROWS)
    await page.get_by_role("radio", name="Down").check(force=True)
    await expect(page.locator("#nothing")).to_contain_text("Nothing down found")
    node.targets[9].fail()
    await expect(rows).to_have_text(["192.0.2.42"])
    await page.get_by_role("checkbox", name="Only problems").check(force=True)
    await page.get_by_role("radio", name="All").check(force=True)
    await expect(rows).to_have_text(["192.0.2.42"])
    await node.override("127.0.0.6", "drain")
    await expect(rows).to_have_text(["192.0.2.42", "192.0.2.32"])
    await counter(page, "override").click()
    await expect(rows).to_have_text(["192.0.2.32"])
    await expect(counter(page, "override")).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Clear filter").click()
    await page.get_by_role("combobox", name="Zone").select_option("api.example")
    await expect(page.locator(".row.record strong")).to_have_text(
        ["search.api.example", "v1.api.example"]
    )


async def test_the_address_holds_the_filter(visit: Visit) -> None:
    await visit.open("#q=192.0.2&zone=shop.example&state=up&trouble=nonsense&state=x")
    await expect(visit.page.get_by_role("searchbox")).to_have_value("192.0.2")
    await expect(visit.page.get_by_role("radio", name="Up")).to_be_checked()
    await expect(visit.page.locator(ROWS)).to_have_count(7)
    await visit.page.evaluate("location.hash = '#q=db.shop'")
    await expect(visit.page.locator(ROWS)).to_have_count(2)


async def test_everything_can_be_done_with_keys(page: Page) -> None:
    press = page.keyboard.press
    await press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("db")
    await press("Escape")
    grid = page.get_by_role("grid")
    await expect(grid).to_be_focused()
    for key in ("Home", "ArrowDown", "j", "ArrowDown", "k"):
        await press(key)
    active = page.locator(".row[aria-selected=true]")
    await expect(active).to_contain_text("192.0.2.31")
    assert await active.get_attribute("id") == await grid.get_attribute("aria-activedescendant")
    assert await outline(page, ".row[aria-selected=true]") == "2px solid"
    await press("Enter")
    await expect(panel(page).get_by_role("heading", level=2)).to_be_focused()
    await press("Escape")
    await expect(panel(page)).to_be_hidden()
    await expect(grid).to_be_focused()
    await press("x")
    await expect(page.get_by_role("searchbox")).to_have_value("")
    await press("p")
    await expect(page.get_by_role("checkbox", name="Only problems")).to_be_checked()
    await press("p")
    await press("v")
    await expect(page.get_by_role("checkbox", name="Compact")).to_be_checked()
    await press("v")
    await press("e")
    await expect(panel(page).get_by_role("textbox", name="Name")).to_be_focused()
    await press("Escape")
    await press("?")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await press("Escape")
    await expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


async def test_focus_is_seen_wherever_it_goes(page: Page) -> None:
    """From the top, Tab reaches every control of the page, and each shows it."""
    await page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        shown = await page.evaluate(
            """() => {
              const at = document.activeElement;
              const drawn = (node) => getComputedStyle(node).outlineStyle !== "none";
              const next = at.nextElementSibling;
              return [at.id || at.dataset.state || at.name || at.tagName,
                      drawn(at) || Boolean(next && drawn(next))];
            }"""
        )
        if shown[0] == "list":
            break
        reached.append(shown)
    names = {name for name, _ in reached}
    assert {"open-explain", "open-token", "theme", "down", "stale", "search", "zone"} <= names
    assert [name for name, is_seen in reached if not is_seen] == []


async def outline(page: Page, selector: str) -> str:
    style: str = await page.locator(selector).evaluate(
        "(node) => `${getComputedStyle(node).outlineWidth} ${getComputedStyle(node).outlineStyle}`"
    )
    return style


CONTROLS = {
    "button",
    "checkbox",
    "combobox",
    "dialog",
    "grid",
    "link",
    "radio",
    "searchbox",
    "textbox",
    "DisclosureTriangle",
}


async def test_the_accessibility_tree_names_every_control(node: Scene, page: Page) -> None:
    """With every part of the page shown in turn."""
    node.targets[5].fail()
    row = member(page, "192.0.2.31")
    await expect(health(row)).to_have_text("DOWN")
    seen: set[str] = set()
    await row.click()
    await panel(page).locator("summary").click()
    seen |= await controls(page)
    for opener in ("Explain", "Changes", "Overrides", "Keyboard shortcuts"):
        await page.get_by_role("button", name=opener, exact=True).click()
        seen |= await controls(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Token").click()
    seen |= await controls(page)
    await page.keyboard.press("Escape")
    assert CONTROLS - {"link"} <= seen


async def controls(page: Page) -> set[str]:
    """The roles of the controls that exist now; each has a name."""
    session = await page.context.new_cdp_session(page)
    tree = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    await session.detach()
    found = {}
    for node in tree:
        if not node.get("ignored") and node["role"]["value"] in CONTROLS:
            found[node["nodeId"]] = (node["role"]["value"], node.get("name", {}).get("value", ""))
    assert [role for role, name in found.values() if not name.strip()] == []
    return {role for role, _ in found.values()}


async def test_rows_read_well_without_seeing_them(node: Scene, page: Page) -> None:
    node.targets[5].fail()
    row = member(page, "192.0.2.31")
    await expect(health(row)).to_have_text("DOWN")
    await expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "26")
    await expect(page.get_by_role("columnheader")).to_have_count(9)
    words = await row.aria_snapshot()
    assert re.search(r"DOWN 192\.0\.2\.31 .*503", words), words
    assert re.search(r"Last 1h 00m: down (once|\d+ times), ", words), words


HOSTILE = r"""
[global]
domain_name = "lb.example"
node = "<i>ns1</i>"

[admin]
token_file = "TOKENS"

[views."'\"><img src=x onerror=alert(1)>"]
networks = ["10.0.0.0/8"]

[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = { type = "static" }

[records."<img src=x onerror=alert(1)>".A]
dest = ["192.0.2.1", { host = "192.0.2.5", views = ["'\"><img src=x onerror=alert(1)>"] }]

[records."%2e%2e%2f\\\"quoted\\\" & 'x'".A]
dest = ["192.0.2.3", "192.0.2.6"]

[records."javascript:alert(1)".A]
dest   = ["192.0.2.4"]
check  = ["/bin/sh", "-c", "printf '<script>alert(1)</script>\\342\\200\\256evil'; exit 1"]
expect = "up"
"""


@pytest.fixture(scope="module")
async def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    tokens = write_tokens(tmp_path_factory.mktemp("hostile"))
    async with Daemon(HOSTILE.replace("TOKENS", str(tokens))) as daemon:
        body = {
            "target": "192.0.2.3",
            "action": "drain",
            "reason": "</span><script>alert(1)</script>\u202e../../etc/passwd",
        }
        status, told = await daemon.request("POST", "/api/v1/overrides", body, token=OPERATE_TOKEN)
        assert status == 201, told
        yield daemon


async def test_markup_in_names_and_reasons_is_text(browser: Browser, hostile: Daemon) -> None:
    async with visiting(browser, f"http://{hostile.admin}") as visit:
        page = visit.page
        alerts: list[str] = []
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        await visit.open()
        await expect(page.locator("#node")).to_have_text("<i>ns1</i>")
        names = page.locator(".row.record strong")
        await expect(names.filter(has_text="<img\\032src=x\\032onerror=alert")).to_have_count(1)
        await expect(names.filter(has_text="%2e%2e%2f")).to_have_count(1)
        await expect(member(page, "192.0.2.5").locator(".tag.view")).to_have_text(
            "'\"><img src=x onerror=alert(1)>"
        )
        drained = member(page, "192.0.2.3")
        await expect(drained.locator(".reason")).to_contain_text("</span><script>alert(1)</script>")
        # What would turn the text around it is written out.
        await expect(drained.locator(".reason")).to_contain_text("\\u202e../../etc/passwd")
        await drained.click()
        await expect(panel(page)).to_contain_text("<script>alert(1)</script>")
        await expect(panel(page).locator(".events li").first).to_contain_text("</span><script>")
        await member(page, "192.0.2.4").click()
        await expect(panel(page)).to_contain_text("<script>alert(1)</script>?evil")
        await panel(page).get_by_role("button", name="Explain this name").click()
        await expect(panel(page).locator(".verdict")).to_contain_text("javascript:alert")
        await page.get_by_role("searchbox").fill("<img")
        await expect(page.locator(ROWS)).to_have_count(2)
        await visit.page.evaluate("location.hash = '#zone=<svg onload=alert(1)>&q=</script>'")
        await expect(page.locator("#nothing")).to_be_visible()
        for tag in (
            "img:not(header img)",
            "i",
            "script:not([src])",
            "svg[onload]",
            "a[href^=java]",
        ):
            assert await page.locator(tag).count() == 0, tag
        assert alerts == []


PAGE = Path(__file__).parent.parent.parent / "dnslb_backend" / "admin" / "page"


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(PAGE.iterdir()):
        yield path.name, path.read_text()


@pytest.mark.parametrize(("name", "text"), list(sources()), ids=lambda value: str(value)[:20])
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(name: str, text: str) -> None:
    banned = (
        "innerHTML|outerHTML|insertAdjacentHTML|document\\.write|eval\\(|new Function|DOMParser"
    )
    assert not re.search(banned, text)
    assert not re.search(
        r"(?<!xmlns=\")(?<!\")https?://|[\"'(]//", text.replace('"http://www.w3.org', "")
    )
    if name.endswith(".html"):
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", text)


def test_every_module_is_fetched_at_once() -> None:
    """One that only another module names would cost one more way to the daemon and back."""
    index = (PAGE / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="page/(\w+\.js)"', index))
    assert named == {path.name for path in PAGE.glob("*.js")}
