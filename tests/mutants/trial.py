"""Running tests/core against mutants, in copies of the tree: the working tree is never changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.mutation import Mutant

TESTS = Path("tests/core")
COPIED = ("dnslb_backend", "tests", "pyproject.toml")


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


def check_baseline(tree: Path, limit: float) -> None:
    """Raises BrokenTestsError unless the tests pass as they are; leaves its byte code there."""
    if not _passes(tree, TESTS, limit, keeps_bytecode=True):
        raise BrokenTestsError(f"{TESTS} fails without any mutant, or takes over {limit:g} s")


def survives(mutant: Mutant, tree: Path, limit: float) -> bool:
    """Whether the tests pass in spite of the mutant; running for over `limit` s is failing."""
    place = tree / mutant.path
    times = place.stat()
    try:
        place.write_text(mutant.source())
        return all(_passes(tree, tests, limit) for tests in (*_nearest(mutant), TESTS))
    finally:
        place.write_text(mutant.original)
        # So that its byte code is valid again.
        os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))


def _nearest(mutant: Mutant) -> list[Path]:
    """The tests of the same module, which are the likeliest to fail: they run first."""
    room = mutant.path.parent.name
    found = TESTS / room / f"test_{mutant.path.stem}.py"
    return [found] if found.exists() else []


def _passes(tree: Path, tests: Path, limit: float, *, keeps_bytecode: bool = False) -> bool:
    options = ("--exitfirst", "--quiet", "-p", "no:cacheprovider", "--hypothesis-profile=mutants")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *options, str(tests)],
            cwd=tree,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "" if keeps_bytecode else "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0
