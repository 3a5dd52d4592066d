"""What people read: colours on a terminal only, JSON for programs, problems on stderr.

NO_COLOR is obeyed, and output that is no terminal is 80 columns wide unless COLUMNS says
otherwise.
"""

import json
import os
from typing import Any

from rich.console import Console
from rich.json import JSON
from rich.text import Text


def out() -> Console:
    """The console on stdout as it is now."""
    return _console()


def print_text(text: Text) -> None:
    """Print lines that are laid out already."""
    console = out()
    if console.color_system is None:
        # Nothing to render: rich would take half a second for ten thousand lines.
        console.file.write(f"{text.plain}\n")
    else:
        console.print(text, soft_wrap=True)


def complain(*lines: str) -> None:
    """Say on stderr what went wrong, a line each, never broken."""
    console = _console(to_stderr=True)
    for line in lines:
        console.print(Text(visible(line)), soft_wrap=True)


def visible(text: str) -> str:
    """`text` on one line, with whatever would steer a terminal written out as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_json(value: Any) -> None:
    """Print `value` as JSON: indented and coloured on a terminal, plain elsewhere."""
    console = out()
    if console.is_terminal:
        console.print(JSON.from_data(value), soft_wrap=True)
    else:
        console.file.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_json_text(text: str) -> None:
    """Print JSON that came as text; elsewhere than on a terminal as it came."""
    console = out()
    if console.is_terminal:
        console.print(JSON(text), soft_wrap=True)
    else:
        console.file.write(text + "\n")


def _console(*, to_stderr: bool = False) -> Console:
    return Console(
        stderr=to_stderr,
        # Bold and dim are no colours to rich; who asks for none wants none of them either.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
