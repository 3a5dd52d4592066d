"""Which tests execute a statement of the core, as a run of all of them under coverage has shown."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coverage import CoverageData

from tests.mutants.mutation import Mutant

OUTSIDE = ""
"""The context of what runs while modules are imported and fixtures are made."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Tests by their ids; `is_whole`: others may be affected as well, by what ran outside them."""

    tests: tuple[str, ...]
    is_whole: bool


class Selector:
    """Reads the `data` of a run in `tree` whose contexts are test functions."""

    def __init__(self, tree: Path, data: CoverageData) -> None:
        self._tree = tree.resolve()
        self._data = data

    def tests_for(self, mutant: Mutant) -> Selection:
        """The tests that execute the statement of a mutant."""
        by_line = self._data.contexts_by_lineno(str(self._tree / mutant.path))
        lines = statement_lines(mutant.original, mutant.line)
        found = {context for line in lines for context in by_line.get(line, ())}
        return Selection(tuple(sorted(map(_test_id, found - {OUTSIDE}))), OUTSIDE in found)


def statement_lines(source: str, line: int) -> Iterable[int]:
    """The lines of the innermost statement at `line`, without those of its body."""
    around = [span for span in _statements(source) if line in span]
    return min(around, key=len, default=range(line, line + 1))


@cache
def _statements(source: str) -> list[range]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt | ast.match_case | ast.ExceptHandler):
            body = getattr(node, "body", None)
            first = node.pattern if isinstance(node, ast.match_case) else node
            last = body[0].lineno - 1 if body else first.end_lineno
            found.append(range(first.lineno, max(last or 0, first.lineno) + 1))
    return found


def _test_id(context: str) -> str:
    """`tests.core.test_x.test_y` as pytest has it."""
    module, _, function = context.rpartition(".")
    return f"{module.replace('.', '/')}.py::{function}"
