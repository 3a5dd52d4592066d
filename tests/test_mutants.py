"""What `make mutants` leaves alone, and that it mutates the rest."""

import re

import pytest

from tests.mutants.ignored import ignored_spans


def is_ignored(source: str, text: str) -> bool:
    """Whether the only `text` in a line of its own source is left alone."""
    (found,) = re.finditer(re.escape(text), source)
    line = source.count("\n", 0, found.start()) + 1
    column = found.start() - (source.rfind("\n", 0, found.start()) + 1)
    start, end = (line, column), (line, column + len(text))
    return any(first <= start and end <= last for first, last in ignored_spans(source))


@pytest.mark.parametrize(
    ("source", "text", "ignored"),
    [
        ("def f(a, *, b): ...", "*", True),
        ("def f(*, b=2): ...", "*", True),
        ("def f(\n    a=1,\n    *,\n    b=2,\n): ...", "*", True),
        ("def f(a=2 * 3, *, b=4): ...", "2 * 3", False),
        ("def f(a, *, b=2 * 3): ...", "2 * 3", False),
        ("def f(a, *, b):\n    return a / b", "/", False),
        ("def f(a: int | str): ...", "|", True),
        ("def f() -> int | str: ...", "|", True),
        ("value: int | str = 1", "|", True),
        ("value: int = 1", "1", False),
        ("Value = int | str", "|", True),
        ("value = one | two", "|", False),
        ("@dataclass(frozen=True)\nclass A: ...", "True", True),
        ("@cache(size=1)\ndef f(): ...", "1", True),
        ("assert a is not None", "is not", True),
    ],
)
def test_only_what_decides_something_is_mutated(source: str, text: str, ignored: bool) -> None:
    assert is_ignored(source, text) is ignored
