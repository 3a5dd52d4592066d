"""Literals of SQL statements, which may be secret and are not shown."""

import re

LITERALS = re.compile(r"""'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$)""", re.DOTALL)

WORD = 3
"""A literal of so few characters is not a secret, and may occur anywhere."""


def without_literals(text: str, query: str) -> str:
    """The server's text without those literals of the query that it quotes."""
    for literal in LITERALS.findall(query):
        content = literal.strip("'\"")
        text = text.replace(content, "…") if len(content) > WORD else text
    return text
