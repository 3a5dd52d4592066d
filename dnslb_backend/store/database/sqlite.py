"""The local copy: the same tables in one SQLite file, worked on by a thread of its own.

what the path leads to            what happens
nothing                           a new file
a file of ours                    it is used; an older schema is brought up to date
ours, of a newer schema           set aside as PATH.aside, a new file with the same rows
damaged, or no database at all    the same, with the rows that can still be read
somebody else's database          it is not touched; memory is used until the path is free
what cannot be written            set aside if that can be done; else memory, as above
locked by another program         StoreError; it is tried again

The path can lead to something else while the file is in use: it was removed, replaced, or its
folder is gone. The open file, which nothing else reaches any more, is then copied to the path, and
what was put there is set aside. While that is impossible, the open file is no better than memory.

The file itself can be overwritten in place (`cp backup PATH`, `> PATH`). In the WAL mode of SQLite
its time changes with a checkpoint only, and those of this program happen in its own commits: after
any other change the file is opened again, checked as a whole, and set aside if damaged. Either way
`losses` rises.
"""

import contextlib
import logging
import sqlite3
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from dnslb_backend.errors import BadRowError, StoreError
from dnslb_backend.store.database.interface import Select, Upsert, WriteOp
from dnslb_backend.store.database.salvage import BAD_ROW, salvage
from dnslb_backend.store.database.schema import FIRST_VIEW, VERSION, load_scripts, sql_directory
from dnslb_backend.store.database.state_file import (
    APPLICATION_ID,
    PRIVATE,
    ForeignError,
    Identities,
    aside_of,
    beside,
    content_stamp,
    create,
    identities,
    make_folder,
    make_way,
    refuse_special,
    set_aside,
)
from dnslb_backend.store.database.statements import (
    SQLITE,
    insert_head,
    insert_row,
    insert_tail,
    select,
)
from dnslb_backend.store.database.tables import Table, TableRow, Value
from dnslb_backend.store.database.thread import DatabaseThread
from dnslb_backend.store.database.values import sql_datetime

log = logging.getLogger(__name__)

LOCK_WAIT = 1.0
"""Seconds to wait for another program that reads or writes the file."""

MEMORY_TERM = 60.0

LARGEST_CHECKPOINT = 2**31 - 1
"""There is room for so much in the head of a file."""


class _DamagedError(Exception):
    """The file is of no use to us, and may be put out of the way."""


_UNUSABLE = (OSError, sqlite3.Error, _DamagedError, ForeignError)
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class SqliteStore:
    """Rows in the file at `path`, or in memory for as long as that cannot be.

    After `memory_term` seconds in memory the file is tried again.
    """

    def __init__(self, path: Path, *, memory_term: float = MEMORY_TERM) -> None:
        self._path = path
        self._memory_term = memory_term
        self._database_thread = DatabaseThread("state")
        self._database: sqlite3.Connection | None = None
        self._in_memory_since: float | None = None
        self._is_damaged = False
        self._files: Identities = ()
        """Which files are open, those of SUFFIXES; none for a database in memory."""
        self._content: tuple[int, int] | None = None
        """The stamp of the file as this program left it."""
        self._is_suspect = False
        self._losses = 0

    @property
    def name(self) -> str:
        return "local"

    @property
    def is_in_memory(self) -> bool:
        """Whether what is written now will be lost at the end."""
        return self._in_memory_since is not None

    @property
    def losses(self) -> int:
        return self._losses

    async def open(self) -> None:
        await self._database_thread.run(self._open)

    async def close(self) -> None:
        await self._database_thread.run(self._close)
        self._database_thread.stop()

    async def write(self, works: Sequence[WriteOp]) -> None:
        await self._database_thread.run(lambda: self._write(works))

    async def write_durably(self, works: Sequence[WriteOp]) -> None:
        """As write, and returns when it would outlive a power cut.

        Raises StoreError where it would not even outlive this process.
        """
        await self._database_thread.run(lambda: self._write(works, is_durable=True))

    async def read(self, query: Select) -> list[TableRow]:
        return await self._database_thread.run(lambda: self._read(query))

    async def checkpoint(self) -> int:
        """A number that was left in the file; 0 where none was. Raises StoreError."""
        return await self._database_thread.run(self._checkpoint)

    async def set_checkpoint(self, number: int) -> None:
        """Leave a number in the file. Raises StoreError."""
        await self._database_thread.run(lambda: self._set_checkpoint(number))

    # -- in the thread -------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._database is not None and not self.is_in_memory:
            self._follow_path()
        if self._database is None:
            try:
                self._database = self._open_file()
                self._in_memory_since = None
            except _UNUSABLE as error:
                log.error("%s: %s; the state is kept in memory only", self._path, error)
                memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                self._database = _prepared(memory)
                self._in_memory_since = time.monotonic()
        return self._database

    def _open_file(self) -> sqlite3.Connection:
        make_folder(beside(self._path)[0].parent)
        refuse_special(self._path)
        try:
            if self._is_damaged:
                raise _DamagedError("it is damaged")
            return self._try_file()
        except _DamagedError as damage:
            self._is_damaged = self._is_suspect = False
            aside = aside_of(self._path)
            log.error("%s: %s; it was set aside as %s", self._path, damage, aside.name)
            set_aside(self._path, aside)
            database = self._try_file()
            salvage(aside, database)
            return database

    def _follow_path(self) -> None:
        """See that the open file is the one at the path, and put it there where it is not."""
        there = identities(self._path)
        if there == self._files:
            if content_stamp(self._path) != self._content:
                log.error("%s: overwritten while in use; writing all of it again", self._path)
                self._is_suspect = True
                self._losses += 1
                self._close()
            return
        if there[0] == self._files[0]:
            # Closing writes into the file what those beside it had.
            log.error("%s: its -wal or -shm file was removed while in use; reopening", self._path)
            self._close()
            return
        what = "replaced" if there[0] else "removed"
        log.error("%s: %s while in use; writing all of it again", self._path, what)
        try:
            self._return_open_file()
        except _UNUSABLE as error:
            log.error("%s: %s; the state is kept in memory only", self._path, error)
            self._in_memory_since = time.monotonic()

    def _return_open_file(self) -> None:
        """Copy the open file to the path. Raises one of _UNUSABLE, and then it stays open."""
        database = self._database
        assert database is not None
        aside = aside_of(self._path)
        make_folder(beside(self._path)[0].parent)
        is_replaced = make_way(self._path, aside, self._files)
        # At no moment is there half a file at the path, not even after a crash.
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.unlink(missing_ok=True)
        create(draft)
        try:
            with contextlib.closing(sqlite3.connect(draft, timeout=LOCK_WAIT)) as copy:
                database.backup(copy)
            draft.replace(beside(self._path)[0])
        except sqlite3.Error as error:
            draft.unlink(missing_ok=True)
            if not _is_damage(error):
                raise
            self._losses += 1
            self._close()
            raise StoreError(f"{self._path}: the open file is damaged: {error}") from error
        # Before the new one has a file -wal: closing the old one removes it by its name.
        self._close()
        self._database = self._try_file()
        self._in_memory_since = None
        if is_replaced:
            log.error("%s: what was put there was set aside as %s", self._path, aside.name)
            salvage(aside, self._database)

    def _try_file(self) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError):
            create(self._path)
        # One thread works on it at a time; over a `close` it can be another one.
        database = sqlite3.connect(
            self._path, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            prepared = _prepared(database)
            if self._is_suspect:
                _check_whole(database)
                self._is_suspect = False
            self._keep_private()
            self._files = identities(self._path)
            self._content = content_stamp(self._path)
            return prepared
        except sqlite3.DatabaseError as error:
            database.close()
            raise _meaning(error, self._path) from error
        except BaseException:
            database.close()
            raise

    def _keep_private(self) -> None:
        """There may be keys in it; one of an earlier version may be readable for others."""
        for path in beside(self._path):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_IMODE(path.stat().st_mode) != PRIVATE:
                    path.chmod(PRIVATE)

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
        self._files = ()

    def _write(self, works: Sequence[WriteOp], *, is_durable: bool = False) -> None:
        self._return_to_the_file()
        database = self._open()
        losses = self._losses
        if is_durable:
            self._refuse_memory()
        try:
            if is_durable:
                database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            try:
                for work in works:
                    _do(database, work)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            self._content = content_stamp(self._path)
            if is_durable:
                database.execute("PRAGMA synchronous = NORMAL")
                self._open()
        except (sqlite3.Error, *BAD_ROW) as error:
            raise self._translated(error) from error
        if is_durable:
            self._refuse_memory()
            if losses != self._losses:
                raise StoreError(f"{self._path}: overwritten during a write")

    def _refuse_memory(self) -> None:
        if self.is_in_memory:
            raise StoreError(f"{self._path}: it cannot be used, and memory does not last")

    def _read(self, query: Select) -> list[TableRow]:
        values: list[Value] = []

        def bind(value: Value) -> str:
            values.append(value)
            return "?"

        statement = select(query, SQLITE, bind)
        database = self._open()
        try:
            return database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _checkpoint(self) -> int:
        try:
            ((number,),) = self._open().execute("PRAGMA user_version")
        except sqlite3.Error as error:
            raise self._translated(error) from error
        return int(number)

    def _set_checkpoint(self, number: int) -> None:
        try:
            self._open().execute(f"PRAGMA user_version = {min(number, LARGEST_CHECKPOINT)}")
            self._content = content_stamp(self._path)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _return_to_the_file(self) -> None:
        """Whoever mirrors begins anew, with everything, after this StoreError."""
        since = self._in_memory_since
        if since is None or time.monotonic() - since < self._memory_term:
            return
        self._in_memory_since = time.monotonic()
        try:
            if self._files:
                self._return_open_file()
                return
            database = self._open_file()
        except (*_UNUSABLE, StoreError):
            return
        files = self._files
        self._close()
        self._database, self._files, self._in_memory_since = database, files, None
        raise StoreError(f"{self._path} can be used again")

    def _translated(self, error: Exception) -> StoreError:
        if isinstance(error, BAD_ROW):
            return BadRowError(f"{self._path}: {error}")
        self._is_damaged = _is_damage(error)
        self._losses += self._is_damaged
        self._close()
        return StoreError(f"{self._path}: {error}")


def _is_damage(error: Exception) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)


def _meaning(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """What to make of a file that could not be opened."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(f"{path}: {error}")
    if name.startswith((*_DAMAGE, "SQLITE_READONLY", "SQLITE_ERROR")):
        return _DamagedError(str(error))
    return error


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    """Make the tables where there are none, and see that those that are there are ours."""
    ((owner,),) = database.execute("PRAGMA application_id")
    ((count,),) = database.execute("SELECT COUNT(*) FROM sqlite_master")
    if count and owner != APPLICATION_ID:
        raise ForeignError("it is the database of another program")
    known = _version(database) if count else 0
    if known > VERSION:
        raise _DamagedError(f"its schema is version {known}, this program knows {VERSION}")
    # What a kill -9 leaves behind is whole either way; a power cut may cost the last seconds.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if known < VERSION:
        _migrate(database, known)
    # Reads a page of every table: damage shows now rather than later.
    for table in ("lb_state", "lb_record", "lb_override", "lb_transition"):
        database.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()
    return database


def _check_whole(database: sqlite3.Connection) -> None:
    """Raises _DamagedError where pages of two files are mixed."""
    ((finding,),) = database.execute("PRAGMA integrity_check(1)")
    if finding != "ok":
        raise _DamagedError(str(finding).replace("\n", " "))


def _version(database: sqlite3.Connection) -> int:
    ((version,),) = database.execute("SELECT MAX(version) FROM lb_schema_version")
    return int(version or 0)


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
            database.execute("INSERT INTO lb_schema_version VALUES (?, ?)", (script.number, now))
    database.execute("COMMIT")


def _do(database: sqlite3.Connection, work: WriteOp) -> None:
    if isinstance(work, Upsert):
        database.executemany(_insert(work.table), work.rows)
    else:
        where = " AND ".join(f"`{name}` = ?" for name in work.table.key)
        database.executemany(f"DELETE FROM {work.table.name} WHERE {where}", work.keys)


def _insert(table: Table) -> str:
    places = ",".join("?" for _ in table.columns)
    row = insert_row(table, SQLITE, places)
    return insert_head(table, SQLITE) + row + insert_tail(table, SQLITE)
