"""What goes wrong is said, and ends by itself: the daemon gone, the stream cut, a token refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.looking import counter, health, member, panel, record
from tests.page.scene import CONFIG, OPERATE_TOKEN, READ_TOKEN, Scene, write_tokens
from tests.rigs.browser import Visit, visiting
from tests.rigs.daemon import Daemon
from tests.rigs.waiting import until

SLOW = '{ type = "push", token = "push-0123456789abcdef", max_silence = 600 }'

STATES = """
window.states = [];
new MutationObserver(() => {
  const link = document.querySelector("#link");
  const state = link && link.dataset.state;
  if (state && states[states.length - 1] !== state) states.push(state);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""


async def test_the_daemon_goes_and_comes_back(node: Scene, visit: Visit) -> None:
    await visit.open()
    page = visit.page
    await node.daemon.kill()
    fault = page.get_by_role("alert").filter(has_text="Retrying automatically")
    await expect(fault).to_contain_text("Shown as of")
    await expect(page.locator("#link-text")).to_have_text("Not connected")
    await expect(health(member(page, "192.0.2.31"))).to_have_text("UP")
    await member(page, "192.0.2.31").click()
    await expect(panel(page)).to_contain_text("Cannot read the history")
    node.daemon.configure(node.config.replace('[records."www".AAAA]', '[records."six".AAAA]'))
    node.targets[5].fail()
    await node.daemon.start()
    await visit.is_live()
    await expect(fault).to_be_hidden()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("DOWN")
    await expect(record(page, "six.shop.example", "AAAA")).to_have_count(1)
    await expect(page.locator("#announcements")).to_contain_text("The daemon answers again.")
    # And it is live again.
    node.targets[5].heal()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("UP")
    await node.reload()


async def test_trying_again_at_once(node: Scene, visit: Visit) -> None:
    await visit.open()
    await node.daemon.stop()
    button = visit.page.get_by_role("button", name="Retry now")
    await expect(button).to_be_visible()
    await node.daemon.start()
    # In one step: by now the page may have come back by itself.
    await button.evaluate_all("found => found.forEach((button) => button.click())")
    await visit.is_live()


async def test_a_stream_that_is_cut_is_taken_up_again(node: Scene, visit: Visit) -> None:
    await visit.page.add_init_script(STATES)
    await visit.open()
    page = visit.page
    allow = 'allow = ["127.0.0.0/8", "192.0.2.0/24"]'
    # With other rights, whoever listens is looked at anew.
    await node.reload("[admin]\n", f"[admin]\n{allow}\n")
    await until(lambda: page.evaluate("states.length >= 4"), within=30)
    assert await page.evaluate("states") == ["connecting", "live", "lost", "live"]
    node.targets[5].fail()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("DOWN")
    await node.reload()


@pytest.fixture
async def closed(node: Scene) -> AsyncIterator[Scene]:
    """Nobody may read without a token."""
    await node.reload("[admin]\n", "[admin]\nallow = []\n")
    yield node
    await node.reload()


async def give_token(page: Page, token: str) -> None:
    dialog = page.get_by_role("dialog", name="Token")
    await dialog.get_by_label("Token", exact=True).fill(token)
    await dialog.get_by_role("button", name="Use token").click()


async def test_where_reading_wants_a_token(closed: Scene, visit: Visit) -> None:
    page = visit.page
    await page.goto(visit.home)
    dialog = page.get_by_role("dialog", name="Token")
    await expect(dialog).to_contain_text("does not let this page read: a token is needed.")
    await expect(page.locator("#link-text")).to_have_text("Token needed")
    await give_token(page, "wrong-token-0123456")
    await expect(dialog).to_contain_text("The daemon does not accept this token.")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(page.locator(".row")).to_have_count(1)
    await page.get_by_role("button", name="Enter a token").click()
    await give_token(page, READ_TOKEN)
    await visit.is_live()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("UP")
    await expect(page.locator("#part-store")).to_have_text("in sync")
    closed.targets[5].fail()
    await expect(health(member(page, "192.0.2.31"))).to_have_text("DOWN")
    # It is kept for this tab, over a reload of the page as well.
    await page.reload()
    await visit.is_live()


async def test_a_token_that_is_called_back(closed: Scene, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    await page.goto(visit.home)
    await give_token(page, OPERATE_TOKEN)
    await visit.is_live()
    other = write_tokens(tmp_path)
    other.write_text("operate another-0123456789abcdef day-shift\n")
    config = closed.config.replace("[admin]\n", "[admin]\nallow = []\n")
    line = next(text for text in config.splitlines() if text.startswith("token_file"))
    closed.daemon.configure(config.replace(line, f'token_file = "{other}"'))
    closed.daemon.reload()
    dialog = page.get_by_role("dialog", name="Token")
    await expect(dialog).to_be_visible()
    await give_token(page, "another-0123456789abcdef")
    await visit.is_live()
    closed.daemon.configure(config)
    closed.daemon.reload()
    await expect(dialog).to_be_visible()
    await give_token(page, OPERATE_TOKEN)
    await visit.is_live()


async def test_a_node_without_any_record_and_a_record_of_which_nothing_is_known(
    browser: Browser,
) -> None:
    head = CONFIG.partition("[records.")[0].replace("INTERVAL", "30").replace("PORT", "1")
    head = head.replace('token_file = "TOKENS"', "")
    async with Daemon(head) as bare, visiting(browser, f"http://{bare.admin}") as visit:
        await visit.open()
        nothing = visit.page.locator("#nothing")
        await expect(nothing).to_have_text("No balanced record is configured.")
        bare.configure(f'{head}[records."www".A]\ndest = ["127.0.0.1"]\ncheck = {SLOW}\n')
        bare.reload()
        row = record(visit.page, "www.shop.example")
        await expect(row.locator(".decision")).to_have_text("SERVFAIL0 of 1 served")
        await expect(row.locator(".answer")).to_have_text("DNS answers SERVFAIL")
        await expect(health(member(visit.page, "127.0.0.1"))).to_have_text("UNKNOWN")
        await expect(counter(visit.page, "servfail").locator("b")).to_have_text("1")
        await expect(nothing).to_be_hidden()
