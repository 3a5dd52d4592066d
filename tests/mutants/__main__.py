"""`python -m tests.mutants`: how many small mistakes in the core its tests notice.

A sample of mutants is tried, each against the tests of tests/core that execute its statement;
listed equivalents are left out.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.equivalents import is_equivalent, load_equivalents
from tests.mutants.mutation import Mutant, find_mutants
from tests.mutants.trial import copied_tree, run_all, survives

PACKAGE = Path("dnslb_backend/core")
GOAL = 0.9
"""The share of mutants, equivalents aside, that has to be noticed."""

PROGRESS = 20
"""After so many mutants it is said how far the run is."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants ARGS=...", description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="mutants in the sample")
    parser.add_argument("--seed", type=int, help="of the sample; random unless given")
    parser.add_argument("--only", default="*", help="glob of module paths below core/")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one mutant")
    return parser.parse_args()


def sample(only: str, count: int, seed: int) -> list[Mutant]:
    paths = sorted(path for path in PACKAGE.rglob("*.py"))
    chosen = [path for path in paths if fnmatch(path.relative_to(PACKAGE).as_posix(), only)]
    mutants = [mutant for path in chosen for mutant in find_mutants(path)]
    print(f"{len(mutants)} mutants in {len(chosen)} modules", flush=True)
    return random.Random(seed).sample(mutants, min(count, len(mutants)))


def verdicts(mutants: Sequence[Mutant], workers: int, limit: float) -> Iterator[bool]:
    """Whether each mutant survives, in their order."""
    trees: SimpleQueue[Path] = SimpleQueue()

    def verdict(mutant: Mutant) -> bool:
        tree = trees.get()
        try:
            return survives(mutant, tree, selector, limit)
        finally:
            trees.put(tree)

    with ExitStack() as stack:
        first = stack.enter_context(copied_tree(Path(), "__pycache__"))
        selector = run_all(first, workers)
        # Copied with its byte code: to compile all of it takes longer than most of the tests.
        trees.put(first)
        for _ in range(workers - 1):
            trees.put(stack.enter_context(copied_tree(first)))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        yield from pool.map(verdict, mutants)


def show(mutant: Mutant) -> None:
    before, after = mutant.diff()
    print(f"\n{mutant.path}:{mutant.line}: survived ({mutant.operator})")
    for sign, lines in (("-", before), ("+", after)):
        for line in lines:
            print(f"    {sign} {line}", flush=True)


def main() -> int:
    given = arguments()
    seed = random.randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}: repeat this sample with --seed {seed} --count {given.count}")
    chosen = sample(given.only, given.count, seed)
    listed = load_equivalents()
    tried = [mutant for mutant in chosen if not is_equivalent(mutant, listed)]
    survived = 0
    trials = zip(tried, verdicts(tried, given.workers, given.limit), strict=True)
    for number, (mutant, is_survivor) in enumerate(trials, 1):
        if is_survivor:
            survived += 1
            show(mutant)
        if number % PROGRESS == 0:
            print(f"\n{number} of {len(tried)} tried, {survived} survived", flush=True)
    caught = len(tried) - survived
    share = caught / len(tried) if tried else 1.0
    print(f"\ncaught      {caught:5}\nsurvived    {survived:5}")
    print(f"equivalent  {len(chosen) - len(tried):5}  (listed in tests/mutants/equivalents.toml)")
    print(f"noticed     {share:6.1%} (goal {GOAL:.0%})")
    return 0 if share >= GOAL else 1


sys.exit(main())
