"""A connection to the local file: its tables, the version of its schema, its statements."""

import sqlite3
import time
from pathlib import Path

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Upsert, WriteOp
from dnslb_backend.store.database.schema import FIRST_VIEW, VERSION, load_scripts, sql_directory
from dnslb_backend.store.database.state_file import APPLICATION_ID, ForeignError
from dnslb_backend.store.database.statements import SQLITE, insert_head, insert_row, insert_tail
from dnslb_backend.store.database.tables import OLDEST_PROGRAM, Table
from dnslb_backend.store.database.values import sql_datetime

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class DamagedError(Exception):
    """The file cannot be used, and may be set aside."""


def is_damage(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)


def translate_open_error(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """What it means that a file could not be opened."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"{path}: {error}")
    if name.startswith((*_DAMAGE, "SQLITE_READONLY", "SQLITE_ERROR")):
        return DamagedError(str(error))
    return error


def prepare(database: sqlite3.Connection) -> sqlite3.Connection:
    """Create the tables where there are none, and check that those that are there are ours.

    Raises ForeignError, DamagedError and sqlite3.Error.
    """
    ((owner,),) = database.execute("PRAGMA application_id")
    ((count,),) = database.execute("SELECT COUNT(*) FROM sqlite_master")
    if count and owner != APPLICATION_ID:
        raise ForeignError("it is the database of another program")
    known = _version(database) if count else 0
    if known > VERSION and not _is_compatible(database):
        raise DamagedError(f"its schema is version {known}, this program knows {VERSION}")
    # A kill -9 costs nothing either way; a power failure may cost the last seconds.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if known < VERSION:
        _migrate(database, known)
    # Reads a page of these tables, so that damage shows now rather than later.
    for table in ("lb_state", "lb_record", "lb_override", "lb_transition", "lb_decision"):
        database.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()
    return database


def check_integrity(database: sqlite3.Connection) -> None:
    """Raises DamagedError where pages of two files are mixed."""
    ((finding,),) = database.execute("PRAGMA integrity_check(1)")
    if finding != "ok":
        raise DamagedError(str(finding).replace("\n", " "))


def newer_schema(database: sqlite3.Connection) -> int | None:
    """The version of its schema if that is newer than this program's."""
    version = _version(database)
    return version if version > VERSION else None


def _version(database: sqlite3.Connection) -> int:
    ((version,),) = database.execute("SELECT MAX(version) FROM lb_schema_version")
    return int(version or 0)


def _is_compatible(database: sqlite3.Connection) -> bool:
    """Whether a newer schema says that this program can use it."""
    ((oldest,),) = database.execute(f"SELECT {OLDEST_PROGRAM} FROM lb_schema_version")
    return int(oldest) <= VERSION


def _migrate(database: sqlite3.Connection, known: int) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for script in load_scripts(sql_directory() / "sqlite"):
        if script.number <= known:
            continue
        for statement in script.statements:
            database.execute(statement)
        if script.number < FIRST_VIEW:
            now = sql_datetime(time.time())
            # A file that older programs can live with has written the row itself.
            insert = "INSERT OR IGNORE INTO lb_schema_version (version, applied) VALUES (?, ?)"
            database.execute(insert, (script.number, now))
    database.execute("COMMIT")


def execute(database: sqlite3.Connection, work: WriteOp) -> None:
    """Part of a transaction that the caller has begun."""
    if isinstance(work, Upsert):
        database.executemany(_insert(work.table), work.rows)
    else:
        where = " AND ".join(f"`{name}` = ?" for name in work.table.key)
        database.executemany(f"DELETE FROM {work.table.name} WHERE {where}", work.keys)


def _insert(table: Table) -> str:
    places = ",".join("?" for _ in table.columns)
    row = insert_row(table, SQLITE, places)
    return insert_head(table, SQLITE) + row + insert_tail(table, SQLITE)
