"""Chromium, as the distribution builds it without windows, driven by playwright."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.rigs.server import executable

FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A container has little shared memory.
    "--disable-dev-shm-usage",
]

PATIENCE = 30_000
"""Milliseconds that anything on a page may take, on a busy machine."""

expect.set_options(timeout=PATIENCE / 2)

WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless browser with its own profile."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable("chromium-headless-shell"), headless=True, args=FLAGS
        )
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One open page. Its console errors and failed requests are in `complaints`.

    A request to anybody but the daemon at `home` is a complaint as well.
    """

    def __init__(self, context: BrowserContext, page: Page, home: str) -> None:
        self.context = context
        self.page = page
        self.home = home
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda said: self._said(said.type, said.text))

    def _said(self, kind: str, text: str) -> None:
        # The page itself reports failed requests.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.home}/", "about:")):
            self.complaints.append(f"asked {url}")

    async def open(self, where: str = "") -> None:
        """Go to the page, and wait until it is live."""
        await self.page.goto(f"{self.home}/{where}")
        await self.is_live()

    async def is_live(self, *, within: float = PATIENCE / 1000) -> None:
        link = self.page.locator("#link")
        await expect(link).to_have_attribute("data-state", "live", timeout=within * 1000)


@asynccontextmanager
async def visiting(
    browser: Browser,
    home: str,
    *,
    size: ViewportSize = WIDE,
    scheme: str = "light",
    timezone: str = "UTC",
) -> AsyncIterator[Visit]:
    """A viewer with its own profile; fails if the page has reported errors."""
    context = await browser.new_context(
        viewport=size,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id=timezone,
    )
    context.set_default_timeout(PATIENCE)
    try:
        visit = Visit(context, await context.new_page(), home)
        yield visit
        assert visit.complaints == []
    finally:
        await context.close()
