"""Real stores: one MariaDB server for a module, a database and a file of its own for each test."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from dnslb_backend.store.database.interface import Store
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB

_numbers = count(1)


WITH_THREADS = ("test_conformance", "test_sqlite")
"""The local file is asked in a thread: these find one that meets the loop as it should not."""


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """In asyncio's debug mode where it finds something; it takes a quarter of the work."""
    return "asyncio", {"debug": request.path.stem in WITH_THREADS}


@pytest.fixture(scope="module")
async def mariadb() -> AsyncIterator[MariaDB]:
    async with MariaDB(tcp=True) as server:
        yield server


@pytest.fixture
async def empty(mariadb: MariaDB) -> MysqlSettings:
    """A database with nothing in it."""
    name = f"mirror{next(_numbers)}"
    await mariadb.query(f"CREATE DATABASE {name}")
    return MysqlSettings(unix_socket=str(mariadb.socket), user="root", database=name)


@pytest.fixture
async def settings(empty: MysqlSettings) -> MysqlSettings:
    """A database that `schema apply` has prepared."""
    await apply(empty)
    return empty


@pytest.fixture
async def maria_store(settings: MysqlSettings) -> AsyncIterator[MariaStore]:
    store = MariaStore(settings)
    yield store
    await store.close()


@pytest.fixture
async def local_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "state.sqlite")
    yield store
    await store.close()


@pytest.fixture(params=["local_store", "maria_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each kind of store in turn: what holds for one holds for the other."""
    found: Store = request.getfixturevalue(request.param)
    return found
