"""Nodes that decide together, on the page of one of them."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.looking import member, panel
from tests.rigs.browser import visiting

# `fleet` is a fixture.
from tests.system.test_voting import WITHIN, A, B, Fleet, fleet, serves  # noqa: F401

pytestmark = pytest.mark.timeout(240)

LONG = WITHIN * 1000
"""Milliseconds."""


async def test_who_votes_and_who_says_what(browser: Browser, fleet: Fleet) -> None:  # noqa: F811
    ns1, ns2, ns3 = [await fleet.node(name) for name in ("ns1", "ns2", "ns3")]
    for node in (ns1, ns2, ns3):
        await serves(node, A, B)
        await node.logged("voters besides this node: ns", within=WITHIN)
    fleet.cut("ns1", A)
    async with visiting(browser, f"http://{ns1.admin}") as visit:
        await visit.open()
        page = visit.page
        strip = page.get_by_role("region", name="Fleet")
        await expect(strip).to_contain_text("3 of 3 vote, in quorum", timeout=LONG)
        await expect(strip.locator(".chip")).to_have_text(["ns1", "ns2", "ns3"])
        await member(page, A).click()
        votes = panel(page).locator(".votes")
        await expect(votes.locator("strong")).to_have_text(["ns1", "ns2", "ns3"])
        await expect(votes.locator(".health")).to_have_text(["DOWN", "UP", "UP"], timeout=LONG)
        await expect(panel(page)).to_contain_text("2 UP, 1 DOWN; this node measured DOWN")
        await strip.get_by_role("button").click()
        nodes = panel(page).locator(".fleet-list li")
        await expect(nodes).to_have_count(3)
        await expect(nodes.nth(0)).to_contain_text("this node")
        await expect(nodes.nth(0)).to_contain_text("outvoted on 1", timeout=LONG)
        await ns3.stop()
        await expect(strip).to_contain_text("2 of 3 vote, in quorum", timeout=LONG)
        await expect(strip.locator(".chip").first).to_have_text("ns3silent")
        await expect(nodes.nth(2)).to_contain_text("silent for", timeout=LONG)
        await ns2.stop()
        await expect(strip).to_contain_text("1 of 3 vote, decides alone", timeout=LONG)


async def test_a_node_that_decides_alone_has_no_such_line(page: Page) -> None:
    await expect(page.locator("#fleet")).to_be_hidden()
