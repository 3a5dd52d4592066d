"""What users read names the actor and uses the words of the field.

Read here: every sentence among the string literals of the package (log lines, errors, API problems,
member reasons, CLI output), the help of commands, the page, the alerts, and the documents.
"""

import ast
import html
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from dnslb_backend.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dnslb_backend"
PAGE = PACKAGE / "admin" / "page"

BANNED = re.compile(
    r"\b(told|tells?|telling|heard|hears?|hearing|stands?|somebody|nobody|whoever|anew|of ours"
    r"|makes no sense|a bug in|in rounds|check rounds?)\b"
    # Two dots are no ellipsis, unless they are a path such as ../docs.
    r"|(?<![./\w])\.\.(?![./\w])",
    re.IGNORECASE,
)

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
JS_COMMENT = re.compile(r"^\s*//.*$|/\*.*?\*/", re.MULTILINE | re.DOTALL)
JS_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')
SQL_COMMENT = re.compile(r"^-- .*$", re.MULTILINE)
MARKUP = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)

Reader = Callable[[str], Iterator[str]]


def sentences_of_python(text: str) -> Iterator[str]:
    """The string literals of a module that hold more than one word, docstrings aside."""
    tree = ast.parse(text)
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str) and " " in node.value:
            yield node.value


def sentences_of_scripts(text: str) -> Iterator[str]:
    yield from JS_STRING.findall(JS_COMMENT.sub("", text))


def sentences_of_markup(text: str) -> Iterator[str]:
    yield html.unescape(MARKUP.sub(" ", text))


def sentences_of_documents(text: str) -> Iterator[str]:
    yield from FENCE.sub("", text).splitlines()


def lines(text: str) -> Iterator[str]:
    yield from text.splitlines()


def comments_of_sql(text: str) -> Iterator[str]:
    yield from SQL_COMMENT.findall(text)


SOURCES: tuple[tuple[Path, str, Reader], ...] = (
    (PACKAGE, "**/*.py", sentences_of_python),
    (PAGE, "*.js", sentences_of_scripts),
    (PAGE, "*.html", sentences_of_markup),
    (ROOT, "*.md", sentences_of_documents),
    (ROOT / "docs", "*.md", sentences_of_documents),
    (ROOT / "configs", "**/*.*", lines),
    (ROOT / "pdns", "*.conf", lines),
    (ROOT / "sql", "**/*.sql", comments_of_sql),
)

FILES = [
    pytest.param(path, reader, id=str(path.relative_to(ROOT)))
    for folder, pattern, reader in SOURCES
    for path in sorted(folder.glob(pattern))
    if path.is_file() and path.name != "CHANGELOG.md"
]


def faults(sentence: str) -> list[str]:
    return [sentence.strip()] if BANNED.search(sentence) else []


@pytest.mark.parametrize(("path", "reader"), FILES)
def test_texts_use_the_words_of_the_field(path: Path, reader: Reader) -> None:
    assert [fault for text in reader(path.read_text()) for fault in faults(text)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_commands_uses_them_too(name: str) -> None:
    module, attribute = COMMANDS[name]
    help_text = getattr(import_module(f"dnslb_backend.cli.{module}"), attribute).__doc__ or ""
    assert faults(help_text) == []


@pytest.mark.parametrize(
    "text",
    ["an order is told", "nobody serves", "It stands.", "asking ..", "the loop stood .. still"],
)
def test_it_sees_what_it_is_for(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("text", ["../docs", "standby", "standard", "a/../b", "an answer …"])
def test_other_words_pass(text: str) -> None:
    assert not faults(text)
