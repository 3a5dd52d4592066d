"""`python -m tests.matrix [ONLY]`: run the suites in Debian releases, and keep the results.

A minimal system of each release is made once and kept (.ci/debian-root). The wheel of this tree is
installed in a copy of it, with the release's own Python, and the suites run there in a network of
their own. The rows that were run replace those in docs/compatibility.md.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.matrix.environment import Environment, EnvironmentFailedError, build_wheel
from tests.matrix.table import PAGE, Row, replace_rows
from tests.matrix.variants import SUITES, VARIANTS, Variant


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make matrix ONLY=...", description=__doc__)
    parser.add_argument("only", nargs="?", default="", help=", ".join(map(str, VARIANTS)))
    parser.add_argument("--suite", action="append", choices=SUITES, help="this suite only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds for one suite")
    parser.add_argument("--packages", nargs="+", default=[], help="Debian packages of the systems")
    return parser.parse_args()


def run(variant: Variant, wheel: Path, options: argparse.Namespace) -> Row:
    """Every suite in one system, each kept as it ends; one that is not chosen keeps its cell."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dnslb-matrix-") as folder:
        environment = Environment(Path(folder), variant, options.packages)
        environment.install(wheel)
        row = Row(str(variant), environment.versions())
        for name in (each for each in variant.suites if each in (options.suite or SUITES)):
            row.results[name] = environment.test(SUITES[name], options.workers, options.limit)
            print(f"{variant} {name}: {row.results[name]}", flush=True)
            PAGE.write_text(replace_rows(PAGE.read_text(), [row]))
    print(f"{variant}: {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
    return row


def main() -> int:
    options = arguments()
    chosen = [each for each in VARIANTS if options.only in ("", str(each))]
    if not chosen:
        print(f"no system {options.only!r}; there are {', '.join(map(str, VARIANTS))}")
        return 2
    is_green = True
    with tempfile.TemporaryDirectory(prefix="dnslb-wheel-") as folder:
        wheel = build_wheel(Path(folder))
        for variant in chosen:
            try:
                row = run(variant, wheel, options)
            except EnvironmentFailedError as error:
                print(f"{variant}: {error}", flush=True)
                is_green = False
                continue
            is_green = is_green and row.is_green
    return 0 if is_green else 1


if __name__ == "__main__":
    sys.exit(main())
