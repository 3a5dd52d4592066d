"""Every mutant of a module: its source with one operator, condition or constant changed."""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

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

Span = tuple[tuple[int, int], tuple[int, int]]


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
    """Every mutant of a module. Annotations, decorators and asserts are left alone.

    Type checks are mypy's, and that a value is frozen or slotted changes no answer.
    """
    source = path.read_text()
    ignored = list(_ignored(ast.parse(source)))
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        spans = [span for node in nodes for span in operator.mutation_positions(node)]
        for index, (start, end) in enumerate(spans):
            if not any(first <= start and end <= last for first, last in ignored):
                yield Mutant(path, source, start[0], name, index)


def _ignored(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign() | ast.arg() if node.annotation:
                yield _span(node.annotation)
            case ast.FunctionDef():
                yield from map(_span, (*node.decorator_list, *filter(None, (node.returns,))))
            case ast.ClassDef():
                yield from map(_span, node.decorator_list)
            case ast.Assert():
                yield _span(node)
            case ast.Assign(targets=[ast.Name(id=name)]) if isinstance(node.value, ast.BinOp):
                # An alias of types: `Chain = NsecChain | Nsec3Chain`.
                if isinstance(node.value.op, ast.BitOr) and name[1:2].islower():
                    yield _span(node.value)


def _span(node: ast.expr | ast.stmt) -> Span:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
