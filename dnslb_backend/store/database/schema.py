"""The numbered files of sql/: what they contain, and where they are.

    0001-0799   tables; each is applied once, in order, and is the version of the schema then
    0801        views for people    } created again by every `schema apply`
    0802        views for PowerDNS  }
    0901        users; to be read, never applied

sql/sqlite/ has the same tables for the local file. No file names a database. Columns that a file
adds are on lines of their own (ADD COLUMN IF NOT EXISTS): a file that failed halfway is run again.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

VERSION = 8
"""The newest schema that this program knows: the number of the last file below 0800."""

MADE_BY = "dnslb-backend"
"""The comment of every table, and a condition in every view, that this program has created."""

FIRST_VIEW, POWERDNS_VIEWS, FIRST_USER = 800, 802, 900

_NUMBERED = re.compile(r"(\d{4})_\w+\.sql")
_CREATES = re.compile(r"^CREATE .*?(?:TABLE|VIEW)(?: IF NOT EXISTS)? (\w+)", re.MULTILINE)
_ADD = "ADD COLUMN IF NOT EXISTS "
_TABLE = re.compile(r"(?:CREATE TABLE(?: IF NOT EXISTS)?|ALTER TABLE) (\w+)")
_KEY = re.compile(r"(PRIMARY |UNIQUE )?KEY (\w*) ?\((\w+)")
_PIECES = re.compile(
    r"""--[^\n]*            # a comment
      | '(?:[^'\\]|\\.|'')*'
      | `[^`]*`
      | ;
      | [^-'`;]+ | [-'`]
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Script:
    """One numbered file."""

    number: int
    path: Path
    text: str

    @property
    def statements(self) -> list[str]:
        return split(self.text)

    @property
    def makes(self) -> list[str]:
        """The tables or views that it creates."""
        return list(dict.fromkeys(_CREATES.findall(self.text)))


@dataclass(frozen=True, slots=True)
class Part:
    """A column or a key of a table, and what makes it."""

    name: str
    is_key: bool
    definition: str


def table_of(statement: str) -> str:
    """The table that a statement makes or alters; empty where it does neither."""
    match = _TABLE.match(statement)
    return match[1] if match else ""


def parts(statement: str) -> list[Part]:
    """The columns and keys that a statement makes, each on a line of its own."""
    lines = [line.strip() for line in statement.splitlines()[1:]]
    if statement.startswith("ALTER TABLE"):
        lines = [line.removeprefix(_ADD) for line in lines if line.startswith(_ADD)]
    elif not statement.startswith("CREATE TABLE"):
        return []
    return [_part(line.rstrip(",")) for line in itertools.takewhile(_is_part, lines)]


def _is_part(line: str) -> bool:
    return not line.startswith(")")


def _part(line: str) -> Part:
    if (key := _KEY.match(line)) is None:
        return Part(line.split()[0].strip("`"), False, f"COLUMN {line}")
    name = "PRIMARY" if key[1] == "PRIMARY " else key[2] or key[3]
    return Part(name, True, line)


def sql_directory() -> Path:
    """The folder sql/: inside the package once it is installed, beside it in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"


def load_scripts(directory: Path | None = None) -> list[Script]:
    """The numbered files of a folder in their order, those for MariaDB unless another is named."""
    found = [
        Script(int(match[1]), path, path.read_text())
        for path in (directory or sql_directory()).iterdir()
        if (match := _NUMBERED.fullmatch(path.name))
    ]
    return sorted(found, key=lambda script: script.number)


def split(text: str) -> list[str]:
    """The statements of a script, without comments and without their final semicolons."""
    statements = [""]
    for piece in _PIECES.findall(text):
        if piece == ";":
            statements.append("")
        elif not piece.startswith("--"):
            statements[-1] += piece
    return [statement.strip() for statement in statements if statement.strip()]


def show(*, users: bool = False) -> str:
    """What `schema apply` would run, or the statements for users, as the text of a script."""
    scripts = [script for script in load_scripts() if (script.number > FIRST_USER) == users]
    return "\n".join(script.text for script in scripts)
