"""What people read: colours on a terminal only, JSON for programs, problems on stderr.

NO_COLOR is obeyed, and output that is no terminal is 80 columns wide unless COLUMNS says
otherwise.

What lays out for a terminal is imported when it is wanted: `serve` shows nothing on one.
"""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import typer

from dnslb_backend.logs import BIDI_ESCAPES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def print_text(text: "Text") -> None:
    """Print lines that are laid out already."""
    console = out()
    if console.color_system is None:
        # Nothing to render: rich would take half a second for ten thousand lines.
        console.file.write(f"{text.plain}\n")
    else:
        console.print(text, soft_wrap=True)


def print_error(*lines: str) -> None:
    """Say on stderr what went wrong, a line each, never broken."""
    for line in lines:
        typer.echo(escape(line), err=True)


def escape(text: str) -> str:
    """`text` on one line, with whatever would steer a terminal written out as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def counted(number: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_json(value: Any) -> None:
    """Print `value` as JSON: indented and coloured on a terminal, plain elsewhere."""
    print_json_text(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_text(text: str) -> None:
    """Print JSON that came as text; elsewhere than on a terminal as it came.

    Characters that turn the direction of text are escaped, which JSON allows.
    """
    escaped = text.translate(BIDI_ESCAPES)
    if not sys.stdout.isatty():
        typer.echo(escaped)
        return
    from rich.json import JSON  # noqa: PLC0415 -- see the module

    out().print(JSON(escaped, ensure_ascii=escaped != text), soft_wrap=True)


def out() -> "Console":
    """The console on stdout as it is now."""
    from rich.console import Console  # noqa: PLC0415 -- see the module

    return Console(
        # Bold and dim are no colours to rich; who asks for none wants none of them either.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
