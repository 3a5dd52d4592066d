"""What holds for every test: the event loop, its guards, and how properties are tried."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import blockbuster
import hypothesis
import pytest

from tests.rigs import namespaces, server

# A busy machine is no failure of a property, and a failure must be repeatable from the log alone.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
# Against a mutant: few examples, and the same ones again, so that a run is cheap and repeatable.
hypothesis.settings.register_profile("mutants", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile("default")

LONG = ("packaging", "system", "store", "page", "cli", "pdns", "checkers")
"""Folders whose files take longest: begun first, so that the short ones fill up the end."""

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
    """Without asyncio's debug mode, a fifth of all the work; PYTHONASYNCIODEBUG=1 turns it on."""
    return "asyncio", {}


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """A call from the package that would stop a running event loop raises BlockingError.

    That is: sleeping, and reading or writing a file, a blocking socket or a SQLite database.
    """
    with blockbuster.blockbuster_ctx("dnslb_backend") as guards:
        for name in LOOKS_BUT_DOES_NOT_WAIT:
            guards.functions[name].deactivate()
        yield


@pytest.fixture
def namespace() -> Iterator[namespaces.Namespace]:
    """A network of the test's own; where none can be made the test is skipped."""
    try:
        with namespaces.namespace() as space:
            yield space
    except namespaces.ForbiddenError as reason:
        pytest.skip(str(reason))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are handed to workers, with --no-loadscope-reorder."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONG.index(folder) if folder in LONG else len(LONG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows the logs of the servers it used."""
    report = yield
    if report.failed:
        for each in server.seen:
            report.sections.append((f"log of {each.name} in {each.directory}", each.log_tail))
    if report.when == "teardown":
        # One that a whole module shares is there for the next test as well.
        server.seen[:] = [each for each in server.seen if each.alive]
    return report
