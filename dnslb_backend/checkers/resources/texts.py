"""What strangers sent, made fit for one line of a table or a log."""

from dnslb_backend.core.health.results import TEXT_LIMIT

_BLANKS = str.maketrans(dict.fromkeys("\t\n\r\v\f", " "))


def one_line(text: str) -> str:
    """The first line that is not blank, without control characters, at most TEXT_LIMIT long."""
    start = text[: 16 * TEXT_LIMIT].lstrip()
    line = start.splitlines()[0] if start else ""
    line = line.translate(_BLANKS).rstrip()[:TEXT_LIMIT]
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else "?" for char in line)
