"""What can still be read of a state file that was set aside, copied into the new one.

SQLite stops at the first damaged page. So rows are read by their key in many small ranges, each
from both ends: only the rows on damaged pages and between them are lost.
"""

import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dnslb_backend.store.database.statements import quoted
from dnslb_backend.store.database.tables import (
    HOST,
    NODE,
    OVERRIDE,
    RECORD,
    SIGNING_TABLES,
    STATE,
    ZONE,
    Table,
    TableRow,
)
from dnslb_backend.store.database.values import printable

log = logging.getLogger(__name__)

IRREPLACEABLE = (OVERRIDE, *SIGNING_TABLES)
"""Health can be measured again; what operators and PowerDNS wrote cannot."""

TABLES = (*IRREPLACEABLE, NODE, ZONE, RECORD, HOST, STATE)
"""The most important ones first."""

BAD_ROW = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError),
    *(sqlite3.ProgrammingError, OverflowError, UnicodeError),
)
"""What can be wrong with a single row."""

_BOUNDS = (None, *(f"{number:02x}" for number in range(256)), None)
"""Cuts the keys, which are random hexadecimal digits, into ranges of a page or less."""

MOST_NAMED = 10


@dataclass(slots=True)
class _Salvaged:
    """What was read of one table; no row can be read between the keys of each of `gaps`."""

    rows: int = 0
    gaps: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    error: sqlite3.Error | None = None


def salvage(aside: Path, database: sqlite3.Connection) -> None:
    """Copy into `database` what can be read of the file at `aside`; rows already there stay."""
    where = f"{aside.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(where, uri=True, isolation_level=None)) as old:
            # Text that is not UTF-8 is refused below, row by row.
            old.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            old.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()
            for table in TABLES:
                found = _Salvaged()
                _copy(old, database, table, found)
                _report(aside, table, found)
    except sqlite3.Error as error:
        log.error("%s: nothing more can be recovered: %s", aside, error)
        if database.in_transaction:
            database.execute("ROLLBACK")


def _copy(
    old: sqlite3.Connection, database: sqlite3.Connection, table: Table, found: _Salvaged
) -> None:
    # A file of an older schema lacks some columns, which then have their defaults.
    there = {column[1] for column in old.execute(f"PRAGMA table_info({table.name})")}
    names = tuple(name for name in (*table.columns, *table.stamped) if name in there)
    marks = ",".join("?" for _ in names)
    insert = f"INSERT OR IGNORE INTO {table.name} ({quoted(*names)}) VALUES ({marks})"
    database.execute("BEGIN IMMEDIATE")
    for row in _readable(old, table, names, found):
        try:
            found.rows += database.execute(insert, row).rowcount
        except BAD_ROW as error:
            found.refused.append(f"{printable(str(row[0]), 64)} ({error})")
    database.execute("COMMIT")


def _readable(
    old: sqlite3.Connection, table: Table, names: tuple[str, ...], found: _Salvaged
) -> Iterator[TableRow]:
    bounds = _BOUNDS if table in IRREPLACEABLE else (None, None)
    key = table.key[0]
    for low, high in itertools.pairwise(bounds):
        where = [f"`{key}` >= ?"] * (low is not None) + [f"`{key}` < ?"] * (high is not None)
        query = f"SELECT {quoted(*names)} FROM {table.name}"
        query += f" WHERE {' AND '.join(where)}" * bool(where)
        values = [bound for bound in (low, high) if bound is not None]
        ends = {"ASC": low or "", "DESC": high or ""}
        for way in ends:
            order = ", ".join(f"`{name}` {way}" for name in table.key)
            try:
                for row in old.execute(f"{query} ORDER BY {order}", values):
                    ends[way] = str(table.key_of(row)[-1])
                    yield row
            except sqlite3.DatabaseError as error:
                found.error = error
            else:
                break
        else:
            _add_gap(found.gaps, ends["ASC"], ends["DESC"])


def _add_gap(gaps: list[tuple[str, str]], low: str, high: str) -> None:
    if gaps and gaps[-1][1] == low:
        low = gaps.pop()[0]
    gaps.append((low, high))


def _report(aside: Path, table: Table, found: _Salvaged) -> None:
    what = f"{aside}: recovered {found.rows} rows of {table.name}"
    if found.refused:
        log.error("%s; these are damaged: %s", what, _some(found.refused))
    if found.error is not None:
        gaps = [f"{printable(low, 64)!r} and {printable(high, 64)!r}" for low, high in found.gaps]
        log.error("%s; none between %s: %s", what, _some(gaps) or "any", found.error)
    elif found.rows and table in IRREPLACEABLE:
        log.warning("%s", what)


def _some(found: list[str]) -> str:
    more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more
