"""Where things are on the page, in the words of its readers."""

from playwright.async_api import Locator, Page

NONE = "\N{EN DASH}"
"""Where there is nothing to say."""


def member(page: Page, content: str) -> Locator:
    """The row of a member."""
    return page.locator(".row.member").filter(
        has=page.locator(".content .rdata").get_by_text(content, exact=True)
    )


def record(page: Page, name: str, kind: str = "A") -> Locator:
    """The row of a balanced record."""
    return (
        page.locator(".row.record")
        .filter(has=page.locator("strong").get_by_text(name, exact=True))
        .filter(has=page.locator(".type").get_by_text(kind, exact=True))
    )


def health(row: Locator) -> Locator:
    return row.locator(".state")


def counter(page: Page, state: str) -> Locator:
    """How many there are of one state, in the summary."""
    return page.locator(f".counters [data-state={state}]")


def panel(page: Page) -> Locator:
    return page.locator("#panel")


async def to_the_end(page: Page) -> None:
    """Scroll down as far as it goes."""
    await page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
