"""One browser and one node for all tests of a file; each test leaves the node as it was."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.page.scene import Scene, scene
from tests.rigs.browser import Visit, chromium, visiting


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with scene(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture
async def node(shared: Scene) -> AsyncIterator[Scene]:
    yield shared
    await shared.clear()


@pytest.fixture
async def visit(browser: Browser, node: Scene) -> AsyncIterator[Visit]:
    """Somebody new on a wide window, who has not opened the page yet."""
    async with visiting(browser, node.url) as visit:
        yield visit


@pytest.fixture(scope="module")
async def reader(browser: Browser, shared: Scene) -> AsyncIterator[Visit]:
    """Somebody who stays for all tests of a file."""
    async with visiting(browser, shared.url) as visit:
        yield visit


@pytest.fixture
async def page(reader: Visit, node: Scene) -> AsyncIterator[Page]:
    """The page, opened anew and live; it must not complain of anything."""
    await reader.page.goto("about:blank")
    await reader.open()
    yield reader.page
    assert reader.complaints == []
