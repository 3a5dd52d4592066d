"""What a reader has to take in at once is small: rooms, modules, constructors; and a name is one's.

Counted are a folder's entries, a module's lines, what a class is constructed with. Two classes of
one name would be one word for two ideas.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dnslb_backend"

MOST_ROOMS = 7
MOST_LINES = 400
MOST_ARGUMENTS = 7

MODULES = sorted(PACKAGE.rglob("*.py"))


def classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield node


def arguments(node: ast.ClassDef) -> int:
    """How many its own constructor takes; a dataclass is a record, and has none."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            given = each.args
            return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
    return 0


@pytest.mark.parametrize("folder", ["core", "checkers", "store", "pdns", "admin"])
def test_a_folder_has_few_rooms(folder: str) -> None:
    rooms = [
        path.name
        for path in (PACKAGE / folder).iterdir()
        if path.name not in ("__init__.py", "__pycache__")
    ]
    assert len(rooms) <= MOST_ROOMS, sorted(rooms)


def test_no_module_is_long() -> None:
    modules = [*MODULES, *PACKAGE.rglob("*.js")]
    counts = {path: len(path.read_text().splitlines()) for path in modules}
    assert {path: count for path, count in counts.items() if count > MOST_LINES} == {}


def test_no_constructor_takes_many_arguments() -> None:
    found = [
        f"{path}:{node.lineno} {node.name} takes {count}"
        for path in MODULES
        for node in classes(path)
        if (count := arguments(node)) > MOST_ARGUMENTS
    ]
    assert not found, "\n" + "\n".join(found)


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[Path]] = defaultdict(list)
    for path in MODULES:
        for name, count in Counter(node.name for node in classes(path)).items():
            places[name] += [path] * count
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
