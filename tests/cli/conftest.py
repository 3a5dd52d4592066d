"""A served node, and the configuration file that leads to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import Node, serving, write_tokens


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_tokens(tmp_path / "admin.tokens")


@pytest.fixture
def node() -> Node:
    node = Node()
    node.settle()
    return node


@pytest.fixture
async def url(node: Node, token_file: Path) -> AsyncIterator[str]:
    settings = AdminSettings(listen="127.0.0.1:0", token_file=token_file)
    async with serving(node, settings) as url:
        yield url


@pytest.fixture
def config(url: str, token_file: Path, tmp_path: Path) -> Path:
    """Leads to `node`, with all that the daemon would need left out."""
    path = tmp_path / "dnslb.toml"
    listen = url.removeprefix("http://")
    path.write_text(f'[admin]\nlisten = "{listen}"\ntoken_file = "{token_file}"\n')
    return path
