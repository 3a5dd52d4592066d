"""Every mutant of a module: its source with one operator, condition or constant changed."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tests.mutants.ignored import ignored_spans

COMPARISONS = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "LtE_Gt", "Gt_LtE", "GtE_Lt"),
)
ARITHMETIC = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul"),
    *("BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitAnd", "RShift_LShift", "LShift_RShift"),
)
OPERATORS = (
    *(f"ReplaceComparisonOperator_{change}" for change in COMPARISONS),
    *(f"ReplaceBinaryOperator_{change}" for change in ARITHMETIC),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "AddNot"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("NumberReplacer", "ZeroIterationForLoop"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
)
"""One or two for each kind of mistake; cosmic-ray's other pairs fail at the first call."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module; `index` counts the places where `operator` applies.

    `original` is the module as it was found, so that edits during a run confuse nothing.
    """

    path: Path
    original: str
    line: int
    operator: str
    index: int

    def source(self) -> str:
        """The module with the change made."""
        operator = get_operator(f"core/{self.operator}")()
        changed = mutate_code(self.original, operator, self.index)
        assert changed is not None, self
        return changed

    def diff(self) -> tuple[list[str], list[str]]:
        """The lines that the change removes, and those that it adds."""
        before, after = self.original.splitlines(), self.source().splitlines()
        changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        return (
            [line[2:].strip() for line in changed if line[0] == "-"],
            [line[2:].strip() for line in changed if line[0] == "+"],
        )


def find_mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module outside its ignored spans."""
    source = path.read_text()
    ignored = list(ignored_spans(source))
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        spans = [span for node in nodes for span in operator.mutation_positions(node)]
        for index, (start, end) in enumerate(spans):
            if not any(first <= start and end <= last for first, last in ignored):
                yield Mutant(path, source, start[0], name, index)
