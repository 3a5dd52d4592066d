"""Checks of databases: the literals of their statements, which may be secret and are not shown, and
what they found, in words."""

import re
from collections.abc import Sequence

from dnslb_backend.checkers.resources.texts import one_line

DEFAULT_QUERY, DEFAULT_VALUE = "SELECT 1", "1"

LITERALS = re.compile(r"""'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$)""", re.DOTALL)

WORD = 3
"""A literal of so few characters is not a secret, and may occur anywhere."""


def without_literals(text: str, query: str) -> str:
    """The server's text without those literals of the query that it quotes."""
    for literal in LITERALS.findall(query):
        content = literal.strip("'\"")
        text = text.replace(content, "…") if len(content) > WORD else text
    return text


def found_text(facts: Sequence[str], query: str, value: str) -> str:
    """What a check of a database found: facts about the server, and the value of its query.

    That of the default query shows no more than that the server answers.
    """
    is_bare = (query, value) == (DEFAULT_QUERY, DEFAULT_VALUE)
    found = [*facts, "" if is_bare else one_line(value)]
    return ", ".join(filter(None, found)) or "answers queries"
