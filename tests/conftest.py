"""What holds for every test: the event loop, its guards, and how properties are tried."""

from collections.abc import Iterator
from typing import Any

import blockbuster
import hypothesis
import pytest

# A busy machine is no failure of a property, and a failure must be repeatable from the log alone.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.load_profile("default")

LOOKS_BUT_DOES_NOT_WAIT = (
    # Calls on a path that touch one directory entry: binding and removing a unix socket needs them.
    "os.getcwd",
    "os.path.abspath",
    "os.readlink",
    "os.stat",
    "os.unlink",
    # A worker thread and the loop may meet at a lock that is held for microseconds.
    "threading.Lock.acquire",
    "threading.Lock.acquire_lock",
)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"debug": True}


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """A call from the package that would stop a running event loop raises BlockingError.

    That is: sleeping, and reading or writing a file, a blocking socket or a SQLite database.
    """
    with blockbuster.blockbuster_ctx("dnslb_backend") as guards:
        for name in LOOKS_BUT_DOES_NOT_WAIT:
            guards.functions[name].deactivate()
        yield
