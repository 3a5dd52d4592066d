"""What people read: colours on a terminal only, JSON for programs, problems on stderr.

NO_COLOR is obeyed, and output that is no terminal is 80 columns wide unless COLUMNS says
otherwise.
"""

import json
from typing import Any

from rich.console import Console
from rich.json import JSON
from rich.text import Text


def out() -> Console:
    """The console on stdout as it is now."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)


def complain(*lines: str) -> None:
    """Say on stderr what went wrong, a line each, never broken."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(Text(line), soft_wrap=True)


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
