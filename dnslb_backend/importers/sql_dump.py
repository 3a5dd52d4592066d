"""The rows of a dump as mysqldump and mariadb-dump write it; what else is in it is passed over."""

import re
from collections.abc import Iterator, Set
from typing import TypeAlias

from dnslb_backend.errors import SourceError

SqlValue: TypeAlias = str | int | float | None
SqlRow: TypeAlias = dict[str, SqlValue]
Tables: TypeAlias = dict[str, list[SqlRow]]

MOST_ROWS = 1_000_000

_TOKEN = re.compile(
    r"""\s+ | --(?:[ \t][^\n]*)?$ | \#[^\n]* | /\*.*?\*/
    | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<name>`(?:[^`]|``)*`)
    | (?P<word>[\w.$@+-]+)
    | (?P<sign>[(),;=.<>!|&*%:{}\[\]~^?\\]|/(?!\*))""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_HEAD = re.compile(r"\A(?:/\*.*?\*/;?\s*)?-- (?:MySQL|MariaDB) dump")
_END = "-- Dump completed"
_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_NUMBER = re.compile(r"[+-]?\d{1,18}")
_CHARSET = re.compile(r"_[a-z0-9]+")

Token: TypeAlias = tuple[str, str]


def read_tables(text: str, wanted: Set[str], file: str) -> Tables:
    """The rows of the tables in `wanted` that the dump makes. Raises SourceError.

    A dump that is cut off is refused: a name without half of its addresses would be worse.
    """
    if _HEAD.match(text) and _END not in text[-1000:]:
        raise SourceError(f"{file}: the dump is cut off: it does not end with {_END!r}")
    return _Dump(wanted, file).read(_without_routines(text))


def _without_routines(text: str) -> str:
    """Triggers and procedures are between two lines with DELIMITER; their lines become empty."""
    lines: list[str] = []
    is_plain = True
    for line in text.split("\n"):
        if line.startswith("DELIMITER "):
            is_plain = line.strip() == "DELIMITER ;"
            line = ""
        lines.append(line if is_plain else "")
    return "\n".join(lines)


class _Dump:
    def __init__(self, wanted: Set[str], file: str) -> None:
        self._wanted = wanted
        self._file = file
        self._columns: dict[str, list[str]] = {}
        self._count = 0
        self.tables: Tables = {}

    def read(self, text: str) -> Tables:
        for statement in self._statements(text):
            words = [word.upper() for kind, word in statement[:3] if kind == "word"]
            if words[:2] == ["CREATE", "TABLE"]:
                self._create(statement)
            elif words[:2] in (["INSERT", "INTO"], ["REPLACE", "INTO"], ["INSERT", "IGNORE"]):
                self._insert(statement)
        return self.tables

    def _statements(self, text: str) -> Iterator[list[Token]]:
        statement: list[Token] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise SourceError(
                    f"{self._file}: {_where(text, at)}: this is no SQL, or it is cut off"
                )
            at = found.end()
            if found[0] == ";":
                yield statement
                statement = []
            elif found.lastgroup:
                statement.append((found.lastgroup, found[0]))
        if statement:
            begin = " ".join(word for _, word in statement[:3])
            raise SourceError(f"{self._file}: the dump is cut off: {begin} … does not end")

    def _create(self, statement: list[Token]) -> None:
        table, at = _table(statement)
        if table not in self._wanted:
            return
        depth, columns = 0, []
        for (_, before), (kind, word) in zip(statement[at - 1 :], statement[at:], strict=False):
            if kind == "name" and depth == 1 and before in ("(", ","):
                columns.append(_unquoted(word))
            depth += (kind, word) == ("sign", "(")
            depth -= (kind, word) == ("sign", ")")
        self._columns[table] = columns
        self.tables.setdefault(table, [])

    def _insert(self, statement: list[Token]) -> None:
        table, at = _table(statement)
        if table not in self._wanted:
            return
        columns = self._columns.get(table, [])
        if statement[at : at + 1] == [("sign", "(")]:
            columns, at = self._listed(statement, at)
        if [word.upper() for _, word in statement[at : at + 1]] != ["VALUES"]:
            raise SourceError(f"{self._file}: INSERT INTO {table} has no VALUES")
        rows = self.tables.setdefault(table, [])
        for values in self._values(statement, at + 1):
            if len(values) != len(columns):
                count = f"{len(values)} values for {len(columns)} columns"
                raise SourceError(f"{self._file}: INSERT INTO {table} has {count}")
            self._count += 1
            if self._count > MOST_ROWS:
                raise SourceError(f"{self._file}: has more than {MOST_ROWS} rows")
            rows.append(dict(zip(columns, values, strict=True)))

    def _listed(self, statement: list[Token], at: int) -> tuple[list[str], int]:
        end = at
        while end < len(statement) and statement[end][1] != ")":
            end += 1
        return [_unquoted(word) for kind, word in statement[at:end] if kind != "sign"], end + 1

    def _values(self, statement: list[Token], at: int) -> Iterator[list[SqlValue]]:
        values: list[SqlValue] = []
        for kind, word in statement[at:]:
            if kind == "sign":
                if word == ")":
                    yield values
                    values = []
            elif kind == "word" and _CHARSET.fullmatch(word):
                continue  # _utf8mb4'…', _binary'…'
            else:
                values.append(_value(kind, word))


def _table(statement: list[Token]) -> tuple[str, int]:
    """The name of the table, without that of its database, and where the next token is."""
    at = 2
    while at < len(statement) and statement[at][1].upper() in ("IF", "NOT", "EXISTS", "INTO"):
        at += 1
    if [word for _, word in statement[at + 1 : at + 2]] == ["."]:
        at += 2
    return (_unquoted(statement[at][1]) if at < len(statement) else "", at + 1)


def _value(kind: str, word: str) -> SqlValue:
    if kind == "text":
        return _ESCAPE.sub(_plain, word[1:-1])
    if word.upper() == "NULL":
        return None
    return int(word) if _NUMBER.fullmatch(word) else word


def _plain(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[1]) if found[1] else found[0][0]


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _where(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"
