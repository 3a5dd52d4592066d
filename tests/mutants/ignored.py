"""What of a module is no subject of mutation."""

import ast
from collections.abc import Iterator

Span = tuple[tuple[int, int], tuple[int, int]]
"""(line, column) of the first character, and of the one after the last."""


def ignored_spans(source: str) -> Iterator[Span]:
    """The spans of a module whose mutants are left out.

    Annotations are mypy's to check, decorators that freeze or slot a value change no answer, and
    the marker of keyword-only parameters is no operator.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AnnAssign() | ast.arg() if node.annotation:
                yield _span(node.annotation)
            case ast.FunctionDef():
                yield from map(_span, (*node.decorator_list, *filter(None, (node.returns,))))
                yield from _keyword_marker(node)
            case ast.ClassDef():
                yield from map(_span, node.decorator_list)
            case ast.Assert():
                yield _span(node)
            case ast.Assign(targets=[ast.Name(id=name)]) if isinstance(node.value, ast.BinOp):
                # An alias of types: `Chain = NsecChain | Nsec3Chain`.
                if (
                    isinstance(node.value.op, ast.BitOr)
                    and name[:1].isupper()
                    and name[1:2].islower()
                ):
                    yield _span(node.value)


def _keyword_marker(function: ast.FunctionDef) -> Iterator[Span]:
    """From the parameter before a bare `*`, or the start of the function, to the one after it."""
    match function.args:
        case ast.arguments(vararg=None, kwonlyargs=[after, *_]) as given:
            before: list[ast.expr | ast.arg] = [*given.posonlyargs, *given.args, *given.defaults]
            start = (function.lineno, function.col_offset)
            start = max((_span(node)[1] for node in before), default=start)
            yield start, _span(after)[0]


def _span(node: ast.expr | ast.stmt | ast.arg) -> Span:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
