"""Running tests/core against mutants, in copies of the tree: the working tree is never changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from coverage import CoverageData

from tests.mutants.mutation import Mutant
from tests.mutants.selection import Selector

TESTS = Path("tests/core")
COPIED = ("dnslb_backend", "tests", "pyproject.toml")

FIRST_LIMIT = 1800.0
"""Seconds for the run of all tests under coverage, which takes far longer than one without it."""

CONTEXTS = "[run]\nsource = dnslb_backend.core\ndynamic_context = test_function\n"
"""The configuration of coverage for the run that shows which tests execute what."""


class BrokenTestsError(Exception):
    """The tests fail without any mutant."""


@contextmanager
def copied_tree(origin: Path, *ignored: str) -> Iterator[Path]:
    """A copy of what the tests need of another tree, without what is `ignored`."""
    with TemporaryDirectory(prefix="mutants-") as name:
        for part in COPIED:
            source, target = origin / part, Path(name, part)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored))
            else:
                shutil.copy2(source, target)
        yield Path(name)


def run_all(tree: Path, workers: int) -> Selector:
    """Run the tests as they are, which leaves their byte code in the tree.

    Raises BrokenTestsError unless they pass.
    """
    (tree / "contexts.ini").write_text(CONTEXTS)
    files = sorted(str(path) for path in TESTS.rglob("test_*.py"))
    parts = [files[number::workers] for number in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        passed = list(
            pool.map(lambda part: _passes(tree, part, FIRST_LIMIT, is_traced=True), parts)
        )
    if not all(passed):
        raise BrokenTestsError(f"{TESTS} fails without any mutant, or takes {FIRST_LIMIT:g} s")
    data = CoverageData(str(tree / ".coverage"))
    for path in tree.glob(".coverage.*"):
        part = CoverageData(str(path))
        part.read()
        data.update(part)
    return Selector(tree, data)


def survives(mutant: Mutant, tree: Path, selector: Selector, limit: float) -> bool:
    """Whether the tests pass in spite of the mutant; running for over `limit` s is failing."""
    place = tree / mutant.path
    times = place.stat()
    selection = selector.tests_for(mutant)
    tries = [list(selection.tests)] if selection.tests else []
    tries += [[str(TESTS)]] if selection.is_whole else []
    try:
        place.write_text(mutant.source())
        return all(_passes(tree, tests, limit) for tests in tries)
    finally:
        place.write_text(mutant.original)
        # So that its byte code is valid again.
        os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))


def _passes(tree: Path, tests: Sequence[str], limit: float, *, is_traced: bool = False) -> bool:
    options = ("--exitfirst", "--quiet", "-p", "no:cacheprovider", "--hypothesis-profile=mutants")
    traced = ("-m", "coverage", "run", "--rcfile=contexts.ini", "--parallel-mode")
    try:
        ended = subprocess.run(
            [sys.executable, *(traced if is_traced else ()), "-m", "pytest", *options, *tests],
            cwd=tree,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "" if is_traced else "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0
