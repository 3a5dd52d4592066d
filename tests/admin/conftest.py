"""A served node and a client of it."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from dnslb_backend.admin.settings import AdminSettings
from tests.admin.node import Node, serving, write_tokens


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_tokens(tmp_path / "admin.tokens")


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def client(node: Node, token_file: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Speaks to `node` from an address that may read without a token."""
    settings = AdminSettings(listen="127.0.0.1:0", token_file=token_file)
    async with serving(node, settings) as url, aiohttp.ClientSession(url) as session:
        yield session


@pytest.fixture
async def stranger(node: Node, token_file: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Speaks to `node` from an address that may do nothing without a token."""
    settings = AdminSettings(listen="127.0.0.1:0", allow=("192.0.2.0/24",), token_file=token_file)
    async with serving(node, settings) as url, aiohttp.ClientSession(url) as session:
        yield session


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: it takes the longer the more tests ran before."""
    gc.disable()
    yield
    gc.enable()
